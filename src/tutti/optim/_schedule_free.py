"""Schedule-Free learning: training at one point, judging at a running average, and no schedule."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from tutti.optim._rule import Again, Rule, State, check_fraction, check_positive


@dataclass(frozen=True, kw_only=True)
class ScheduleFree(Rule):
    """What both Schedule-Free rules (Defazio et al. 2024, arXiv 2405.15682) share.

        y = (1−β)z + βx: the weights; gradients are taken here        d = base(g)
        z ← z − ηd          x ← (1−c)x + cz          c = ω_t/Σω,  ω = max(η so far)²

    x is judged (`evaluated`); it is not stored: x = z + (y − z)/β, as in the authors' code, whose step on y this is:
    y ← (1−c)y + cz + η(β(1−c) − 1)d. β, the member's momentum, must be above 0. Weight decay is taken at y and added
    to d, as in the authors' code, whatever `decay` says. A member whose rate is 0 stands still. Meant for a constant
    rate after a warm-up. One number per weight, "base" (z), beside the base rule's; two per member, "total" (Σω)
    and "peak".
    """

    steady: ClassVar[bool] = True

    @abstractmethod
    def base(
        self, gradient: Float[Tensor, "member weights"], state: State, step: int
    ) -> Float[Tensor, "member weights"]:
        """The direction d, uphill; may overwrite the gradient."""

    def init(self, weights: Float[Tensor, "member weights"]) -> State:
        own = {name: weights.new_zeros(len(weights), 1) for name in ("total", "peak")}
        return super().init(weights) | {"base": weights.clone()} | own

    def move(
        self,
        weights: Float[Tensor, "member weights"],
        gradient: Float[Tensor, "member weights"],
        state: State,
        *,
        step: int,
        rate: Float[Tensor, "member 1"],
        weight_decay: Float[Tensor, "member 1"] | None,
        momentum: float | Float[Tensor, "member 1"],
        loss: Float[Tensor, " member"],
        again: Again,
    ) -> None:
        direction = self.base(gradient, state, step)
        if weight_decay is not None:
            direction = direction.addcmul_(weights, weight_decay)
        peak = torch.maximum(state["peak"], rate, out=state["peak"])
        total = state["total"].addcmul_(peak, peak)
        share = torch.where(rate > 0, peak * peak / total, 0.0)
        weights.lerp_(state["base"], share)
        weights.addcmul_(direction, rate * (momentum * (1 - share) - 1))
        state["base"].addcmul_(direction, -rate)

    def evaluated(
        self,
        weights: Float[Tensor, "member weights"],
        state: State,
        *,
        momentum: float | Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member weights"]:
        return torch.lerp(weights, state["base"], 1 - 1 / momentum)


@dataclass(frozen=True, kw_only=True)
class ScheduleFreeSGD(ScheduleFree):
    """Schedule-Free gradient descent (Defazio et al. 2024, arXiv 2405.15682): d = g + weight_decay·y.

    See `ScheduleFree`. One number per weight: "base" (z).
    """

    name: ClassVar[str] = "schedulefree_sgd"
    rate_scale: ClassVar[float] = 100.0

    def base(
        self, gradient: Float[Tensor, "member weights"], state: State, step: int
    ) -> Float[Tensor, "member weights"]:
        return gradient


@dataclass(frozen=True, kw_only=True)
class ScheduleFreeAdamW(ScheduleFree):
    """Schedule-Free AdamW (Defazio et al. 2024, arXiv 2405.15682).

        y = (1−β)z + βx: the weights; gradients are taken here        v ← β₂v + (1−β₂)g²,   v̂ = v/(1−β₂ᵗ)
        d = g/(√v̂ + ε) + weight_decay·y          z ← z − ηd          x ← (1−c)x + cz          c as in `ScheduleFree`

    See `ScheduleFree`. One number per weight beside z: "square" (v).
    """

    name: ClassVar[str] = "schedulefree_adamw"
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("beta2", self.beta2)
        check_positive("epsilon", self.epsilon)

    @property
    def averages(self) -> tuple[str, ...]:
        return ("square",)

    def base(
        self, gradient: Float[Tensor, "member weights"], state: State, step: int
    ) -> Float[Tensor, "member weights"]:
        square = state["square"].mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        return gradient.div_((square / (1 - self.beta2**step)).sqrt_().add_(self.epsilon))
