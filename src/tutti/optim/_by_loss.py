"""Rules that look at the loss itself: AEGD, ALI-G, Eve and PAL."""

from dataclasses import dataclass
from math import inf
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from tutti.core import InputError
from tutti.optim._clipping import norms
from tutti.optim._elementwise import unbias
from tutti.optim._rule import Again, Rule, State, check_fraction, check_positive


def sum_of_squares(x: Float[Tensor, "member weights"]) -> Float[Tensor, "member 1"]:
    """Each member's ‖x‖²."""
    return x.square().sum(1, keepdim=True)


@dataclass(frozen=True, kw_only=True)
class AEGD(Rule):
    """AEGD (Liu and Tian 2020, arXiv 2010.05109, algorithm 1): descent with an energy that only falls.

        v = g/(2√(f + c))     r ← r/(1 + 2ηv²)     w ← w − 2ηrv,     r = √(f₁ + c) at the first step

    with the loss f on the batch; weight by weight. shift: c, with f + c > 0. A coupled decay is in g and not in f.
    The member's momentum is not used. One number per weight: "energy" (r).
    """

    name: ClassVar[str] = "aegd"
    rate_scale: ClassVar[float] = 100.0
    shift: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("shift", self.shift)

    @property
    def averages(self) -> tuple[str, ...]:
        return ("energy",)

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
        root = (loss[:, None].nan_to_num() + self.shift).clamp(min=0).sqrt()  # a frozen member's loss may be none
        energy = state["energy"].copy_(root.expand_as(weights)) if step == 1 else state["energy"]
        if weight_decay is not None and self.decay == "coupled":
            gradient.addcmul_(weights, weight_decay)
        slope = gradient.div_(2 * root)
        energy.div_(1 + 2 * rate * slope.square())
        if weight_decay is not None and self.decay == "decoupled":
            weights.mul_(1 - rate * weight_decay)
        weights.addcmul_(energy * slope, -2 * rate)


@dataclass(frozen=True, kw_only=True)
class ALIG(Rule):
    """ALI-G (Berrada, Zisserman, Kumar 2020, arXiv 1906.05661): Polyak's step, never longer than the rate.

        γ = min(η, f/(‖g‖² + δ))     v ← μv − γg     w ← w + μv − γg

    with the loss f on the batch, whose least value counts as 0, and Nesterov's momentum μ, the member's (the paper's
    equation with momentum). delta δ. One number per weight: "velocity" (v).
    """

    name: ClassVar[str] = "alig"
    rate_scale: ClassVar[float] = 30.0
    delta: float = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("delta", self.delta)

    @property
    def averages(self) -> tuple[str, ...]:
        return ("velocity",)

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
        if weight_decay is not None and self.decay == "coupled":
            gradient.addcmul_(weights, weight_decay)
        length = loss[:, None].nan_to_num() / (sum_of_squares(gradient) + self.delta)
        change = gradient.mul_(-torch.minimum(rate, length))
        velocity = state["velocity"].mul_(momentum).add_(change)
        if weight_decay is not None and self.decay == "decoupled":
            weights.mul_(1 - rate * weight_decay)
        weights.add_(torch.where(rate > 0, change + velocity * momentum, 0.0))


@dataclass(frozen=True, kw_only=True)
class Eve(Rule):
    """Eve (Hayashi, Koushik, Neubig 2018, arXiv 1611.01505): Adam, slower where the loss swings.

        s = |f − f₋|/min(f, f₋)     ŝ = s limited to [1/c, c]     d ← β₃d + (1−β₃)ŝ     w ← w − (η/d) m̂/(√v̂ + ε)

    with the losses f of this step and f₋ of the last one, whose least possible value counts as 0; d is 1 until the
    second step. β₁ is the member's momentum. beta3 β₃; limit c. Two numbers per weight: "mean", "square"; two per
    member: "swing" (d), "last" (f₋).
    """

    name: ClassVar[str] = "eve"
    beta2: float = 0.999
    beta3: float = 0.999
    epsilon: float = 1e-8
    limit: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("beta2", self.beta2)
        check_fraction("beta3", self.beta3)
        check_positive("epsilon", self.epsilon)
        if not self.limit > 1:
            raise InputError(f"limit is {self.limit}; expected a number above 1.")

    @property
    def averages(self) -> tuple[str, ...]:
        return ("mean", "square")

    def init(self, weights: Float[Tensor, "member weights"]) -> State:
        alone = weights.new_zeros(len(weights), 1)
        return super().init(weights) | {"swing": alone + 1, "last": alone}

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
        now, last, swing = loss[:, None].nan_to_num(), state["last"], state["swing"]
        if step > 1:
            change = (now - last).abs() / torch.minimum(now, last)
            swing.lerp_(change.nan_to_num(nan=1.0).clamp(1 / self.limit, self.limit), 1 - self.beta3)
        last.copy_(now)
        if weight_decay is not None and self.decay == "coupled":
            gradient.addcmul_(weights, weight_decay)
        mean = state["mean"].lerp_(gradient, 1 - momentum)
        square = state["square"].mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        size = (square / (1 - self.beta2**step)).sqrt_().add_(self.epsilon).mul_(unbias(momentum, step))
        if weight_decay is not None and self.decay == "decoupled":
            weights.mul_(1 - rate * weight_decay)
        weights.addcmul_(mean / size, -rate / swing)


@dataclass(frozen=True, kw_only=True)
class PAL(Rule):
    """PAL (Mutschler and Zell 2020, arXiv 1903.11991): the minimum of the parabola through two losses of one batch.

        v ← βv + g     d = −v/‖v‖     b = ⟨g, d⟩     a = (f(w + ηd) − f(w) − ηb)/η²
        s = −b/2a where a > 0 and b < 0;  η where b < 0 only;  else 0          w ← w + min(α·s, longest)·d

    so the rate η is how far the second loss is measured (the paper's μ, 0.1), and a step costs a second pass. beta β;
    stretch α; longest: the longest step. Gradients are those of the first pass. A coupled decay is in v and b but in
    neither loss; the member's momentum is not used. One number per weight: "velocity" (v).
    """

    name: ClassVar[str] = "pal"
    rate_scale: ClassVar[float] = 30.0
    beta: float = 0.4
    stretch: float = 1.66
    longest: float = 3.16

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.beta < 1:
            raise InputError(f"beta is {self.beta}; expected a number in [0, 1).")
        check_positive("stretch", self.stretch)
        check_positive("longest", self.longest)

    @property
    def averages(self) -> tuple[str, ...]:
        return ("velocity",)

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
        if weight_decay is not None and self.decay == "coupled":
            gradient.addcmul_(weights, weight_decay)
        velocity = state["velocity"].mul_(self.beta).add_(gradient)
        direction = velocity / -norms(velocity).clamp(min=1e-30)
        slope = (gradient * direction).sum(1, keepdim=True)
        before = weights.clone()
        weights.addcmul_(direction, rate)
        bend = (again()[:, None] - loss[:, None] - rate * slope) / rate.square().clamp(min=1e-30)
        weights.copy_(before)
        lowest = torch.where(bend > 0, -slope / (2 * bend), rate)
        length = (self.stretch * lowest).nan_to_num(posinf=inf).clamp(max=self.longest)
        if weight_decay is not None and self.decay == "decoupled":
            weights.mul_(1 - rate * weight_decay)
        weights.addcmul_(direction, torch.where((slope < 0) & (rate > 0), length, 0.0))
