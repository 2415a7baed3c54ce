"""Mistakes about what is trained: one clear error, before any training."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import tutti
import tutti.nn as tnn
from tutti.core import InputError, Setting


@pytest.fixture
def table() -> pd.DataFrame:
    random = np.random.default_rng(0)
    x = random.normal(size=60)
    kind = np.array(["a", "b", "c"])[np.arange(60) % 3]
    return pd.DataFrame({"x": x, "z": random.normal(size=60), "kind": kind, "up": np.where(x > 0, "yes", "no")})


class Deciding(nn.Module):
    """Looks at a value to decide what to do."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.last = nn.Linear(features, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x) if x.sum() > 0 else self.last(-x)


class Squeezed(nn.Module):
    """Leaves out the axis of its only output."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.last = nn.Linear(features, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x).squeeze(-1)


class Turning(nn.Module):
    """Holds complex numbers."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.turn = nn.Parameter(torch.randn(features, outputs, dtype=torch.complex64))

    def forward(self, x: Tensor) -> Tensor:
        return (x.to(self.turn.dtype) @ self.turn).real


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            lambda _, outputs: nn.LazyLinear(outputs),
            r"sizes of body.module.weight, body.module.bias are not known yet",
        ),
        (nn.LazyLinear(1), r"Give them: nn.Linear\(8, 3\) in place of nn.LazyLinear"),
        (Turning, r"parameter body.module.turn holds complex64 numbers.*view_as_real"),
    ],
)
def test_parameters_that_no_member_can_have_are_told(model: Any, said: str, table: pd.DataFrame, cheap: dict) -> None:
    with pytest.raises(InputError, match=said):
        tutti.fit(table, target="up", model=model, **cheap)


@pytest.mark.parametrize(
    ("target", "model", "said"),
    [
        ("kind", lambda features, _: nn.Linear(features, 2), r"answers \[3, 2\] on 3 rows.*3 classes needs \[3, 3\]"),
        ("up", lambda features, _: nn.Linear(features, 2), r"answers \[3, 2\].*binary.*2 classes needs \[3, 1\]"),
        ("x", lambda features, _: nn.Linear(features, 5), r"answers \[3, 5\].*regression.*1 target.*\[3, 1\]"),
        (["x", "z"], lambda features, _: nn.Linear(features, 1), r"answers \[3, 1\].*2 target.*needs \[3, 2\]"),
        ("x", Squeezed, r"answers \[3\] on 3 rows.*needs \[3, 1\]"),
        ("x", lambda features, outputs: nn.Linear(features + 2, outputs), r"fails on \[batch, features\] rows: mat1"),
    ],
)
def test_an_output_that_does_not_match_the_task_is_shown_beside_what_does(
    target: Any, model: Callable[[int, int], nn.Module], said: str, table: pd.DataFrame, cheap: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match=said):
        tutti.fit(table, target=target, model=model, **cheap)


def test_an_executor_that_does_not_do_says_why(table: pd.DataFrame, cheap: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"Unknown executor 'stakced'\. Did you mean 'stacked'"):
        tutti.fit(table, target="up", executor="stakced", **cheap)
    with pytest.raises(InputError, match=r"executor is 'vmapped', which does not do here.*decides by"):
        tutti.fit(table, target="up", executor="vmapped", model=Deciding, **cheap)
    with pytest.raises(InputError, match="stacked form of its own"):
        tutti.fit(table, target="up", executor="stacked", model=lambda i, o: nn.Linear(i, o), **cheap)


@pytest.mark.parametrize("executor", ["stacked", "vmapped", "looped"])
def test_the_executor_that_was_asked_for_trains(executor: str, table: pd.DataFrame, cheap: dict[str, Any]) -> None:
    model = tutti.fit(table, target="up", executor=executor, **{**cheap, "epochs": 1})
    assert any(executor in line for line in model.result["details"]["plan"])


def test_the_command_names_the_executor(command: Callable[..., tuple[int, str, str]]) -> None:
    code, _, err = command("fit", "iris", "--executor", "lopped")
    assert code == 2
    assert "Did you mean 'looped'?" in err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"noise": -1.0}, "noise is -1.0; expected a number of at least 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; expected a number above 0"),
        ({"learning_rate": float("inf")}, "learning_rate is inf; expected a finite number"),
        ({"weight_decay": float("nan")}, "weight_decay is nan"),
    ],
)
def test_a_hyper_parameter_of_the_wrong_sign_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Setting(**given)


@pytest.mark.parametrize("name", ["learning_rates", "weight_decays"])
def test_an_axis_without_values_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} is empty"):
        tutti.fit("iris", **{name: []})


def test_unknown_parts_get_the_nearest_name() -> None:
    with pytest.raises(InputError, match=r"Unknown activation 'geloo'\. Did you mean 'gelu'"):
        tnn.activation("geloo")
    with pytest.raises(InputError, match=r"Unknown normalisation 'bacth'\. Did you mean 'batch'"):
        tnn.normalisation("bacth", 4)
    with pytest.raises(InputError, match=r"Unknown activation 'rleu'\. Did you mean 'relu'"):
        tutti.fit("iris", model={"name": "mlp", "activation": "rleu"})
    with pytest.raises(InputError, match=r"Unknown schedule 'cosin'\. Did you mean 'cosine'"):
        tutti.fit("iris", schedule="cosin")
    with pytest.raises(InputError, match=r"Unknown optimizer 'adamm'\. Did you mean 'Adam"):
        tutti.fit("iris", optimizer="adamm")
