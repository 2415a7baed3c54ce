"""The rules that keep at most one average of past gradients: gradient descent and its momenta."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from tutti.optim._rule import Rule, State


@dataclass(frozen=True, kw_only=True)
class SGD(Rule):
    """Gradient descent (Robbins and Monro 1951): w ← w − η g. The member's momentum is not used. No memory."""

    name: ClassVar[str] = "sgd"
    rate_scale: ClassVar[float] = 100.0

    def update(
        self,
        gradient: Float[Tensor, "member weights"],
        state: State,
        *,
        step: int,
        rate: float | Float[Tensor, "member 1"],
        momentum: float | Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member weights"]:
        return gradient.neg_()


@dataclass(frozen=True, kw_only=True)
class Momentum(Rule):
    """Momentum as torch writes it (Polyak 1964; torch.optim.SGD, dampening 0): M ← γM + g, w ← w − ηM.

    The rate multiplies the whole memory: when the rate is cut, so are the steps that old gradients still drive.
    One number per weight: "velocity" (M).
    """

    name: ClassVar[str] = "momentum"
    rate_scale: ClassVar[float] = 10.0

    @property
    def averages(self) -> tuple[str, ...]:
        return ("velocity",)

    def update(
        self,
        gradient: Float[Tensor, "member weights"],
        state: State,
        *,
        step: int,
        rate: float | Float[Tensor, "member 1"],
        momentum: float | Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member weights"]:
        velocity = state["velocity"].mul_(momentum).add_(gradient)
        return torch.neg(velocity, out=gradient)


@dataclass(frozen=True, kw_only=True)
class HeavyBall(Rule):
    """The heavy ball, its rate inside the memory (Polyak 1964; Sutskever et al. 2013): M ← γM + ηg, w ← w − M.

    Equal to `momentum` at a constant rate only. Under a schedule an old gradient keeps the rate at which it was
    seen: after a cut to η' = cη, M still moves the weights at the old speed and fades as γᵗ. Because the caller
    multiplies by the rate, d = −M/η; a member whose rate is 0 stands still while its M fades.
    One number per weight: "velocity" (M).
    """

    name: ClassVar[str] = "heavy_ball"
    rate_scale: ClassVar[float] = 10.0

    @property
    def averages(self) -> tuple[str, ...]:
        return ("velocity",)

    def update(
        self,
        gradient: Float[Tensor, "member weights"],
        state: State,
        *,
        step: int,
        rate: float | Float[Tensor, "member 1"],
        momentum: float | Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member weights"]:
        velocity = state["velocity"].mul_(momentum).add_(gradient.mul_(rate))
        if isinstance(rate, Tensor):
            return torch.mul(velocity, torch.where(rate > 0, -1 / rate, torch.zeros_like(rate)), out=gradient)
        return torch.mul(velocity, -1 / rate if rate > 0 else 0.0, out=gradient)


@dataclass(frozen=True, kw_only=True)
class Nesterov(Rule):
    """Nesterov's momentum as torch writes it (Sutskever et al. 2013): M ← γM + g, w ← w − η(g + γM).

    One number per weight: "velocity" (M).
    """

    name: ClassVar[str] = "nesterov"
    rate_scale: ClassVar[float] = 10.0

    @property
    def averages(self) -> tuple[str, ...]:
        return ("velocity",)

    def update(
        self,
        gradient: Float[Tensor, "member weights"],
        state: State,
        *,
        step: int,
        rate: float | Float[Tensor, "member 1"],
        momentum: float | Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member weights"]:
        velocity = state["velocity"].mul_(momentum).add_(gradient)
        return gradient.add_(velocity * momentum).neg_()
