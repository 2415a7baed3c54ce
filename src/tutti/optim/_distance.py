"""Rules that estimate how far the solution is, and set their rate by it: Prodigy and D-Adaptation."""

from dataclasses import dataclass
from math import inf
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from tutti.core import InputError
from tutti.optim._elementwise import unbias
from tutti.optim._rule import Again, Rule, State, check_fraction, check_positive


def dot(a: Float[Tensor, "member weights"], b: Float[Tensor, "member weights"]) -> Float[Tensor, "member 1"]:
    """Each member's inner product of its two rows."""
    return (a * b).sum(1, keepdim=True)


@dataclass(frozen=True, kw_only=True)
class ByDistance(Rule):
    """What the rules share: d, an estimate from below of ‖w₀ − w*‖, one for each member ("distance").

    The step is of size η·d; η multiplies the estimate and is 1 in the papers. start: d₀ > 0, small. growth: d grows
    at most by this factor a step. A member whose rate is 0 stands still and keeps its d.
    """

    rate_scale: ClassVar[float] = 100.0
    start: float = 1e-6
    growth: float = inf

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("start", self.start)
        if not self.growth > 1:
            raise InputError(f"growth is {self.growth}; expected a number above 1.")

    def scalars(self, weights: Float[Tensor, "member weights"], *zero: str) -> State:
        """The distance at its start, and zeros by name: one number for each member."""
        column = weights.new_zeros(len(weights), 1)
        return {"distance": column + self.start} | {name: column.clone() for name in zero}

    def grown(
        self,
        distance: Float[Tensor, "member 1"],
        estimate: Float[Tensor, "member 1"],
        rate: Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member 1"]:
        """max(d, min(estimate, d·growth)); d itself where the rate is 0 or the estimate is none (0/0)."""
        new = torch.maximum(distance, torch.minimum(estimate, distance * self.growth))
        return torch.where((rate > 0) & estimate.isfinite(), new, distance)


@dataclass(frozen=True, kw_only=True)
class Prodigy(ByDistance):
    """Prodigy (Mishchenko and Defazio 2024, arXiv 2306.06101, algorithm 4): AdamW with the distance in its rate.

        r ← β₃r + (d/d₀)·ηd·⟨g, w₀ − w⟩          s ← β₃s + (d/d₀)·ηd·g          β₃ = √β₂
        m ← β₁m + (1−β₁)d·g                      v ← β₂v + (1−β₂)d²g²
        w ← w(1 − ηd·weight_decay) − ηd·m/(√v + d′ε)          d′ = max(d, factor·r/‖s‖₁)          then d ← d′

    as the authors' code has it. d′ grows by `growth` at most. β₁ is the member's momentum. factor:
    multiplies the estimate (the authors' d_coef). bias_correction: ηd is multiplied by √(1−β₂ᵗ)/(1−β₁ᵗ). Four
    numbers per weight: "mean", "square", "sum" (s), "origin" (w₀); two per member: "distance", "product" (r).
    """

    name: ClassVar[str] = "prodigy"
    decay: str = "decoupled"
    beta2: float = 0.999
    epsilon: float = 1e-8
    factor: float = 1.0
    bias_correction: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("beta2", self.beta2)
        check_positive("epsilon", self.epsilon)
        check_positive("factor", self.factor)

    @property
    def averages(self) -> tuple[str, ...]:
        return ("mean", "square", "sum")

    def init(self, weights: Float[Tensor, "member weights"]) -> State:
        return super().init(weights) | {"origin": weights.clone()} | self.scalars(weights, "product")

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
        d, beta3 = state["distance"], self.beta2**0.5
        stride = rate * d
        if self.bias_correction:
            stride = stride * ((1 - self.beta2**step) ** 0.5 / unbias(momentum, step))
        weight = d / self.start * stride
        product = state["product"].mul_(beta3).add_(dot(gradient, state["origin"] - weights) * weight)
        mean = state["mean"].mul_(momentum).add_(gradient * (d * (1 - momentum)))
        square = state["square"].mul_(self.beta2).add_(gradient.square() * (d * d * (1 - self.beta2)))
        total = state["sum"].mul_(beta3).add_(gradient * weight)
        estimate = self.factor * product / total.abs().sum(1, keepdim=True)
        d = state["distance"].copy_(self.grown(d, estimate, rate))
        if weight_decay is not None and self.decay == "decoupled":
            weights.mul_(1 - stride * weight_decay)
        weights.addcmul_(mean / square.sqrt().add_(d * self.epsilon), -stride)


@dataclass(frozen=True, kw_only=True)
class DAdaptAdam(ByDistance):
    """Adam with D-Adaptation (Defazio and Mishchenko 2023, arXiv 2301.07733, algorithm 5).

        r ← √β₂·r + (1−√β₂)·ηd·⟨g, s/(√v + ε)⟩      m ← β₁m + (1−β₁)·ηd·g      v ← β₂v + (1−β₂)g²
        s ← √β₂·s + (1−√β₂)·ηd·g                     d ← max(d, r/((1−√β₂)‖s‖₁))
        w ← w − m/(√v + ε)

    with s and v of the step before in r. No bias correction, as in the paper. β₁ is the member's momentum. Decoupled
    decay is w ← w(1 − ηd·weight_decay). Three numbers per weight: "mean", "square", "sum" (s); two per member:
    "distance", "product" (r).
    """

    name: ClassVar[str] = "dadapt_adam"
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("beta2", self.beta2)
        check_positive("epsilon", self.epsilon)

    @property
    def averages(self) -> tuple[str, ...]:
        return ("mean", "square", "sum")

    def init(self, weights: Float[Tensor, "member weights"]) -> State:
        return super().init(weights) | self.scalars(weights, "product")

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
        stride, root = rate * state["distance"], self.beta2**0.5
        square = state["square"]
        now = dot(gradient, state["sum"] / square.sqrt().add_(self.epsilon)) * stride
        product = state["product"].mul_(root).add_(now * (1 - root))
        mean = state["mean"].mul_(momentum).add_(gradient * (stride * (1 - momentum)))
        square.mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        total = state["sum"].mul_(root).add_(gradient * (stride * (1 - root)))
        estimate = product / ((1 - root) * total.abs().sum(1, keepdim=True))
        state["distance"].copy_(self.grown(state["distance"], estimate, rate))
        if weight_decay is not None and self.decay == "decoupled":
            weights.mul_(1 - stride * weight_decay)
        moving = (rate > 0).to(weights.dtype)
        weights.addcmul_(mean / square.sqrt().add_(self.epsilon), -moving)


@dataclass(frozen=True, kw_only=True)
class DAdaptSGD(ByDistance):
    """Gradient descent with D-Adaptation (Defazio and Mishchenko 2023, arXiv 2301.07733, algorithm 4).

        λ = ηd/‖g₁‖      r ← r + λ⟨g, s⟩      s ← s + λg      d ← max(d, 2r/‖s‖₂)
        w ← γw + (1−γ)(w₀ − s)

    with the norm of the very first gradient g₁ and the member's momentum γ. Two numbers per weight: "sum" (s),
    "origin" (w₀); three per member: "distance", "product" (r), "slope" (‖g₁‖). A coupled decay is part of g (but
    not of ‖g₁‖); decoupled it is w ← w(1 − λ·weight_decay).
    """

    name: ClassVar[str] = "dadapt_sgd"

    @property
    def averages(self) -> tuple[str, ...]:
        return ("sum",)

    def init(self, weights: Float[Tensor, "member weights"]) -> State:
        return super().init(weights) | {"origin": weights.clone()} | self.scalars(weights, "product", "slope")

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
        slope = state["slope"]
        if step == 1:
            slope.copy_(torch.linalg.vector_norm(gradient, dim=1, keepdim=True))
        moving = (rate > 0) & (slope > 0)
        stride = torch.where(moving, rate * state["distance"] / slope, 0.0)
        if weight_decay is not None and self.decay == "coupled":
            gradient.addcmul_(weights, weight_decay)
        elif weight_decay is not None:
            weights.mul_(1 - stride * weight_decay)
        product = state["product"].add_(dot(gradient, state["sum"]) * stride)
        total = state["sum"].add_(gradient * stride)
        estimate = 2 * product / torch.linalg.vector_norm(total, dim=1, keepdim=True)
        state["distance"].copy_(self.grown(state["distance"], estimate, rate))
        weights.lerp_(state["origin"] - total, moving.to(weights.dtype) * (1 - momentum))
