"""A small layout, a gradient on it, and two ways to train: a rule on the stack, an optimiser on each member."""

from collections.abc import Callable

import torch
from torch import Tensor

from tutti.core import Layout
from tutti.optim import Rule, Stepper

SHAPES = {
    "first.weight": (6, 4),
    "first.bias": (6,),
    "kernel": (5, 3, 2, 2),
    "gain": (),
    "middle.weight": (4, 6),
    "last.weight": (3, 5),
    "last.bias": (3,),
}
LAYOUT = Layout.of_tensors({name: torch.zeros(shape) for name, shape in SHAPES.items()})
STEPS = 30
Solo = Callable[[list[Tensor], float, float], torch.optim.Optimizer]


def start(members: int = 3, layout: Layout = LAYOUT, dtype: torch.dtype = torch.float64) -> Tensor:
    weights = torch.randn(members, layout.count, dtype=dtype, generator=torch.Generator().manual_seed(3))
    weights[:, layout.used :] = 0
    return weights


def rates(members: int = 3, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.logspace(-2.5, -1, members, dtype=dtype)[:, None]


def gradient_at(weights: Tensor, step: int, layout: Layout = LAYOUT) -> Tensor:
    """Of a non-quadratic function that changes from step to step; 0 on the padding."""
    phase = torch.linspace(0, 3, weights.shape[-1], dtype=weights.dtype)
    gradient = torch.sin(2 * weights + phase + 0.7 * step) + 0.3 * weights
    gradient[..., layout.used :] = 0
    return gradient


def cut(step: int) -> float:
    """A schedule: the rate falls to a tenth in the middle."""
    return 1.0 if step <= STEPS // 2 else 0.1


def run(
    rule: Rule,
    weights: Tensor,
    peaks: Tensor,
    *,
    momentum: float | Tensor = 0.9,
    decay: float = 0.0,
    steps: int = STEPS,
    layout: Layout = LAYOUT,
    gradient: Callable[[Tensor, int], Tensor] = gradient_at,
    schedule: Callable[[int], float] = cut,
) -> tuple[Tensor, Stepper]:
    """The engine's steps on a stack, without clipping."""
    weights = weights.clone()
    stepper = Stepper(rule.bind(layout), weights)
    for step in range(1, steps + 1):
        now = gradient(weights, step)

        def again(step: int = step, now: Tensor = now) -> Tensor:
            now.copy_(gradient(weights, step))
            return weights.sum(1)

        stepper.move(
            weights,
            now,
            step=step,
            rate=peaks * schedule(step),
            weight_decay=None if decay == 0 else torch.full_like(peaks, decay),
            momentum=momentum,
            loss=weights.sum(1),
            again=again,
        )
    return weights, stepper


def run_alone(
    solo: Solo,
    weights: Tensor,
    peaks: Tensor,
    *,
    momentum: float = 0.9,
    steps: int = STEPS,
    names: tuple[str, ...] | None = None,
    layout: Layout = LAYOUT,
) -> Tensor:
    """Each member on its own, by an optimiser on a list of parameters; those not in `names` stay."""
    finished = []
    for row, peak in zip(weights, peaks[:, 0].tolist(), strict=True):
        row = row.clone()
        parameters = {n: torch.nn.Parameter(v) for n, v in layout.views(row).items()}
        optimizer = solo([parameters[n] for n in names or layout.names], peak, momentum)
        for step in range(1, steps + 1):
            for group in optimizer.param_groups:
                group["lr"] = peak * cut(step)
            gradients = layout.views(gradient_at(row, step, layout))
            for name, parameter in parameters.items():
                parameter.grad = gradients[name].clone()
            optimizer.step()
        finished.append(row)
    return torch.stack(finished)
