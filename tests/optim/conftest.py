"""A training step as the contract of `Rule` words it, on a function whose gradient is known."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tutti.core import Layout
from tutti.optim import Rule, State

MEMBERS, WEIGHTS, STEPS = 5, 64, 24
DECAY = 0.03


def layout_of(weights: Tensor) -> Layout:
    """One vector and one matrix that fill a row."""
    half = weights.shape[-1] // 2
    return Layout(("a", "b"), (torch.Size([half]), torch.Size([half, 1])), (half, half))


def padded(side: int, rest: int) -> Layout:
    """A square matrix and a vector, behind which the row has padding."""
    return Layout(("a", "b"), (torch.Size([side, side]), torch.Size([rest])), (side * side, rest))


def peaks() -> Tensor:
    return torch.tensor([1e-3, 1e-2, 3e-2, 0.1, 0.3], dtype=torch.float64)[:, None]


def start(weights: int = WEIGHTS) -> Tensor:
    return torch.randn(MEMBERS, weights, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def gradient_at(weights: Tensor, step: int) -> Tensor:
    """Of a non-quadratic function that changes from step to step, so that order and memory matter."""
    phase = torch.linspace(0, 3, weights.shape[-1], dtype=weights.dtype)
    return torch.sin(2 * weights + phase + 0.7 * step) + 0.3 * weights


def cut(step: int) -> float:
    """A schedule: the rate falls to a tenth in the middle."""
    return 1.0 if step <= STEPS // 2 else 0.1


def constant(step: int) -> float:
    return 1.0


def go_on(
    rule: Rule,
    state: State,
    weights: Tensor,
    rates: Tensor,
    momentum: float | Tensor,
    *,
    decay: float,
    first: int,
    last: int,
    schedule: Callable[[int], float] = cut,
    gradient: Callable[[Tensor, int], Tensor] = gradient_at,
) -> Tensor:
    """Steps first … last of a bound rule, in place; the weights after each of them."""
    path = []
    for step in range(first, last + 1):
        slope = gradient(weights, step)

        def again(member: int | None = None, slope: Tensor = slope, step: int = step) -> Tensor:
            if member is None:
                slope.copy_(gradient(weights, step))
            else:
                slope[member] = gradient(weights[member : member + 1], step)[0]
            return weights.square().sum(1)

        rule.move(
            weights,
            slope,
            state,
            step=step,
            rate=rates * schedule(step),
            weight_decay=torch.full_like(rates, decay) if decay else None,
            momentum=momentum,
            loss=weights.square().sum(1),
            again=again,
        )
        path.append(weights.clone())
    return torch.stack(path)


def trace(
    rule: Rule,
    weights: Tensor,
    rates: Tensor,
    momentum: float | Tensor,
    *,
    decay: float = DECAY,
    steps: int = STEPS,
    schedule: Callable[[int], float] = cut,
    layout: Layout | None = None,
) -> Tensor:
    """The weights after each step: [step, member, weights]."""
    weights, layout = weights.clone(), layout or layout_of(weights)
    weights[:, layout.used :] = 0
    bound = rule.bind(layout)

    def slope(weights: Tensor, step: int) -> Tensor:
        gradient = gradient_at(weights, step)
        gradient[:, layout.used :] = 0
        return gradient

    state = bound.init(weights)
    return go_on(
        bound, state, weights, rates, momentum, decay=decay, first=1, last=steps, schedule=schedule, gradient=slope
    )


def train(rule: Rule, weights: Tensor, rates: Tensor, momentum: float | Tensor, **options: Any) -> Tensor:
    """The weights after the last step of `trace`."""
    return trace(rule, weights, rates, momentum, **options)[-1]
