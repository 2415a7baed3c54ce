"""A model on random rows, made ready for the engine: what every law is measured on."""

import copy
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tutti.core import InputError, Setting
from tutti.optim import AdamW, Constant
from tutti.training import ExecutorName, Plan, Population, Problem, Stream, check_parameters

BATCH = 16
SETTINGS = tuple(Setting(learning_rate=r, weight_decay=0.01, dropout=0.2) for r in (1e-4, 3e-4, 1e-3))
STEPS = 6


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model and the rows that it is tried on, in float64. `build` gives a fresh model; `inputs` are [rows, …]."""

    build: Callable[[], nn.Module]
    inputs: tuple[Tensor, ...]
    target: Tensor

    @classmethod
    def of(cls, model: nn.Module | Callable[[], nn.Module], inputs: Sequence[Tensor]) -> "Subject":
        """A subject from a module (copied) or a function that makes one. Floating-point inputs become float64."""

        def build() -> nn.Module:
            made = copy.deepcopy(model) if isinstance(model, nn.Module) else _made(model)
            if not isinstance(made, nn.Module):
                raise InputError(
                    f"The function returned a {type(made).__name__}; expected a torch.nn.Module.",
                    fix="Write it as: def model(): return nn.Sequential(…)",
                )
            return made.double()

        given = tuple(x.double() if x.is_floating_point() else x for x in inputs)
        first = build().eval()
        check_parameters(first)
        output = _answer(first, given)
        generator = torch.Generator().manual_seed(0)
        target = torch.randn(output.shape, generator=generator, dtype=torch.float64)
        return cls(build=build, inputs=given, target=target)

    @property
    def rows(self) -> int:
        return len(self.target)

    def population(
        self,
        executor: ExecutorName,
        *,
        settings: Sequence[Setting] = SETTINGS,
        micro: int = 1,
        draws: bool = False,
        dtype: torch.dtype = torch.float64,
    ) -> Population:
        """Members of this model on two streams of its rows."""
        rows = np.arange(self.rows)
        streams = tuple(
            Stream(seed=3, fold=f, train=rows[rows % 3 != f], validation=rows[rows % 3 == f]) for f in range(2)
        )
        target = self.target.to(dtype)
        axes = target.ndim - 1
        problem = Problem(
            inputs=tuple(x.to(dtype) if x.is_floating_point() else x for x in self.inputs),
            target=target,
            streams=streams,
            build=lambda: self.build().to(dtype),
            loss=lambda output, target, label_smoothing=None: _row_loss(output, target, axes),
        )
        plan = Plan(
            executor=executor, horizon=50, segment=10, batch_size=min(BATCH, self.rows // 2), micro=micro, draws=draws
        )
        return Population(problem, settings, plan, AdamW(), Constant())


def _made(model: Callable[[], nn.Module]) -> nn.Module:
    """What the user's own function or class makes; an error in it is the user's to mend, and is told as it is."""
    try:
        return model()
    except InputError:
        raise
    except Exception as error:
        name = getattr(model, "__name__", "")
        raise InputError(
            f"The model {name} cannot be built: {type(error).__name__}: {error}".replace("  ", " ")
        ) from error


def _row_loss(output: Tensor, target: Tensor, axes: int) -> Tensor:
    """Mean squared difference over a row's own axes, [*member, batch]."""
    difference = (output - target).square()
    return difference.flatten(-axes).mean(-1) if axes else difference


def _answer(model: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    """The model's output on all rows; clear errors where it has none that the laws could be measured on."""
    wanted = [p for p in inspect.signature(model.forward).parameters.values() if p.default is p.empty]
    required = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in wanted)
    if required > len(inputs):
        raise InputError(
            f"The model takes {required} inputs; {len(inputs)} were given.",
            fix="Describe each: tutti check net.py --input 3x32x32 --input int:10",
        )
    try:
        with torch.no_grad():
            output = model(*inputs)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        shapes = ", ".join("×".join(map(str, x.shape[1:])) or "a number" for x in inputs)
        raise InputError(
            f"The model fails on rows of shape {shapes}: {str(error).splitlines()[0]}",
            fix="Give the shape of one row: tutti check net.py --input 3x32x32",
        ) from error
    if not isinstance(output, Tensor) or not output.is_floating_point() or len(output) != len(inputs[0]):
        found = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise InputError(
            f"The model answers {found}; expected one tensor of numbers with {len(inputs[0])} rows.",
            fix="Let forward return the tensor that the loss is computed from.",
        )
    return output
