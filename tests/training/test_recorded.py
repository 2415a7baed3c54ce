"""Passes that are recorded and replayed. Where there is no GPU a tape stands in for CUDA's graphs: it records every
operation on tensors below Python and autograd, reads the same memory again, and writes into the same."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tutti.core import Setting
from tutti.training import Plan, Population
from tutti.training import _population as populations
from tutti.training._recorded import TRIALS, Recorded, Recorder, recorder

from .conftest import Make
from .pairs import LAYERS, Subject, allowed

WAITING = {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::equal", "aten::is_nonzero"}


class Tape(TorchDispatchMode):
    """The operations that were called, with what they were given and gave."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name in WAITING:
            raise RuntimeError(f"{func} waits for the device.")
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result

    def replay(self) -> None:
        with torch._C._AutoDispatchBelowAutograd():
            for func, args, kwargs, result in self.calls:
                fresh = func(*args, **kwargs)
                for mine, new in zip(tree_leaves(result), tree_leaves(fresh), strict=True):
                    if isinstance(mine, Tensor) and mine.data_ptr() != new.data_ptr():
                        mine.copy_(new)


class Taped(Recorder):
    """A recorder for the CPU."""

    def __init__(self, device: torch.device) -> None:
        del device

    def record(self, work: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], object]]:
        work()
        with Tape() as tape:
            result = work()
        return result, tape.replay


class Failing(Taped):
    def record(self, work: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], object]]:
        work()
        raise RuntimeError("operation not permitted when stream is capturing")


def recorded_by(patch: pytest.MonkeyPatch, kind: type[Recorder]) -> None:
    patch.setattr(populations, "recorder", kind)


def trained(subject: Subject, executor: str, graphs: bool) -> Population:
    settings = [s for i, s in enumerate(subject.settings()) if i % 4 in (0, 3)]
    plan = Plan(executor=executor, horizon=8, segment=4, batch_size=5, threads=1, graphs=graphs)  # type: ignore[arg-type]
    like = subject.population("stacked", settings)
    population = Population(
        subject.program.problem, settings, plan, like.rules, like._schedule, program=subject.program
    )
    population.run(4)
    population.keep([1, 0])
    population.run(8)
    return population


@pytest.mark.parametrize(
    ("layer", "executor"),
    [*((layer, "stacked") for layer in LAYERS), ("dense", "looped"), ("gru", "looped"), ("conv2d", "vmapped")],
)
def test_every_layer_trains_the_same_from_a_recording(
    layer: str, executor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batch statistics, dropout, averages and dropped settings included. Nothing on the way waits for the device,
    which no graph could record, or comes from Python anew at each step."""
    norm = "batch" if allowed(layer, "batch") else "layer"
    subject = Subject.of((layer, norm, "dropout", ("adamw", "sam")), torch.float64)
    ordinary = trained(subject, executor, graphs=False)
    recorded_by(monkeypatch, Taped)
    replayed = trained(subject, executor, graphs=True)
    for group in replayed._groups:
        assert isinstance(group, Recorded)
        assert group._untried == 0
        assert not group._refused
    for i in range(len(ordinary.settings)):
        torch.testing.assert_close(replayed.member_rows(i), ordinary.member_rows(i), rtol=0, atol=1e-12)


class Counting(nn.Module):
    """A network whose numbers depend on how often Python has called it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.calls = nn.Linear(64, 10), 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.inner(x) * (1 + self.calls % 3)


@pytest.mark.parametrize("kind", [Taped, Failing])
def test_what_no_recording_knows_is_found_and_goes_on_as_it_is(
    make: Make, kind: type[Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded_by(monkeypatch, kind)
    population = make("looped", settings=[Setting()], folds=1, build=Counting, graphs=True)
    loss = population.run(10)
    (group,) = population._groups
    assert isinstance(group, Recorded)
    assert group._refused
    assert torch.isfinite(loss).all()


def test_the_trials_change_nothing(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    ordinary = make(settings=[Setting(), Setting(learning_rate=1e-2)])
    ordinary.run(TRIALS + 1)
    recorded_by(monkeypatch, Failing)
    other = make(settings=[Setting(), Setting(learning_rate=1e-2)], graphs=True)
    other.run(TRIALS + 1)
    assert torch.equal(other.weights, ordinary.weights)


def test_nothing_is_recorded_on_the_cpu(make: Make) -> None:
    assert recorder(torch.device("cpu")) is None
    assert not any(isinstance(group, Recorded) for group in make(graphs=True)._groups)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a CUDA device")
@pytest.mark.parametrize("layer", LAYERS)
def test_cuda_graphs_train_the_same(layer: str) -> None:
    norm = "batch" if allowed(layer, "batch") else "layer"
    subject = Subject.of((layer, norm, "dropout", ("adamw", "sam")), torch.float64, torch.device("cuda"))
    ordinary, replayed = (trained(subject, "stacked", graphs) for graphs in (False, True))
    assert all(isinstance(group, Recorded) and not group._refused for group in replayed._groups)
    for i in range(len(ordinary.settings)):
        torch.testing.assert_close(replayed.member_rows(i), ordinary.member_rows(i), rtol=1e-6, atol=1e-9)
