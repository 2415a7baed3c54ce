"""Rules that differ in how long the second moment remembers: decaying, growing, uniform or signed memories."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from tutti.core import InputError
from tutti.optim._elementwise import Each, Elementwise, Moments, Weights, unbias
from tutti.optim._rule import State


@dataclass(frozen=True, kw_only=True)
class Yogi(Moments):
    """Yogi (Zaheer, Reddi, Sachan, Kale, Kumar 2018): v moves by at most (1−β₂)g², whatever its own size.

        v ← v − (1−β₂) sign(v − g²) g²     w ← w − η m̂/(√v̂ + ε)

    start: v before the first step (the authors' code and pytorch_optimizer start m there too).
    Memory as Adam: "mean" (m), "square" (v).
    """

    name: ClassVar[str] = "yogi"
    not_negative: ClassVar[tuple[str, ...]] = ("start",)

    epsilon: float = 1e-3
    start: float = 1e-6

    def init(self, weights: Weights) -> State:
        return super().init(weights) | {"square": torch.full_like(weights, self.start)}

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean, square = state["mean"].lerp_(gradient, 1 - momentum), state["square"]
        gradient.square_()
        square.addcmul_((square - gradient).sign_(), gradient, value=self.beta2 - 1)
        return self.adam(mean, square, momentum, step)


@dataclass(frozen=True, kw_only=True)
class AdaX(Elementwise):
    """AdaX (Li, Zhang, Wang, Gong, Pan, Luo 2020, arXiv 2004.09740): the second moment's memory grows exponentially.

        m ← β₁m + (1−β₁)g     v ← (1+β₂)v + β₂g²     w ← w − η m/(√(v/((1+β₂)ᵗ − 1)) + ε)

    growth β₂. Two numbers per weight: "mean" (m), "square" (v; it grows as (1+β₂)ᵗ, float32 holds about 880,000
    steps at the default).
    """

    name: ClassVar[str] = "adax"
    kept: ClassVar[tuple[str, ...]] = ("mean", "square")
    positive: ClassVar[tuple[str, ...]] = ("growth", "epsilon")

    growth: float = 1e-4
    epsilon: float = 1e-12

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean = state["mean"].lerp_(gradient, 1 - momentum)
        square = state["square"].mul_(1 + self.growth).addcmul_(gradient, gradient, value=self.growth)
        size = (square / ((1 + self.growth) ** step - 1)).sqrt_().add_(self.epsilon)
        return torch.div(mean, size, out=gradient).neg_()


@dataclass(frozen=True, kw_only=True)
class AdaXW(AdaX):
    """AdaX-W (Li et al. 2020, arXiv 2004.09740): AdaX with decoupled weight decay. Memory as AdaX."""

    name: ClassVar[str] = "adaxw"
    decay: str = "decoupled"


@dataclass(frozen=True, kw_only=True)
class AdaFom(Elementwise):
    """AdaFom (Chen, Liu, Sun, Hong 2019, arXiv 1808.02941): AdaGrad's uniform mean of g² with first-order momentum.

        m ← β₁m + (1−β₁)g     v ← (1 − 1/t)v + g²/t     w ← w − η m/(√v + ε)

    The paper's rate falls as η/√t. β₁ is the member's momentum. Two numbers per weight: "mean" (m), "square" (v).
    """

    name: ClassVar[str] = "adafom"
    kept: ClassVar[tuple[str, ...]] = ("mean", "square")
    positive: ClassVar[tuple[str, ...]] = ("epsilon",)

    epsilon: float = 1e-8

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean = state["mean"].lerp_(gradient, 1 - momentum)
        square = state["square"].lerp_(gradient.square_(), 1 / step)
        return torch.div(mean, square.sqrt().add_(self.epsilon), out=gradient).neg_()


@dataclass(frozen=True, kw_only=True)
class AdamNC(AdaFom):
    """AdamNC (Reddi, Kale, Kumar 2018, corollary 2): AdaFom whose momentum fades, β₁ₜ = β₁λᵗ⁻¹.

    fading λ. The paper's rate falls as η/√t. Memory as AdaFom.
    """

    name: ClassVar[str] = "adamnc"

    fading: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.fading <= 1:
            raise InputError(f"fading is {self.fading}; expected a number in (0, 1].")

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        fallen = momentum * self.fading ** (step - 1)
        return super().update(gradient, state, step=step, rate=rate, momentum=fallen)


@dataclass(frozen=True, kw_only=True)
class NosAdam(Elementwise):
    """NosAdam (Huang, Wang, Dong 2019, Nostalgic Adam, arXiv 1805.07557): past squares weigh more than recent ones.

        Bₜ = Σₖ k^−γ     β₂ₜ = Bₜ₋₁/Bₜ     v ← β₂ₜv + (1−β₂ₜ)g²     w ← w − η m/(√v + ε)

    nostalgia γ > 0 (the paper's hyper-harmonic NosAdam-HH); 0 is AdaFom. m ← β₁m + (1−β₁)g. Two numbers per weight:
    "mean" (m), "square" (v); one per member, "total" (B).
    """

    name: ClassVar[str] = "nosadam"
    kept: ClassVar[tuple[str, ...]] = ("mean", "square")
    per_member: ClassVar[tuple[str, ...]] = ("total",)
    positive: ClassVar[tuple[str, ...]] = ("epsilon",)
    not_negative: ClassVar[tuple[str, ...]] = ("nostalgia",)

    nostalgia: float = 0.1
    epsilon: float = 1e-8

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean = state["mean"].lerp_(gradient, 1 - momentum)
        weight = step**-self.nostalgia
        share = weight / state["total"].add_(weight)
        square = state["square"].lerp_(gradient.square_(), share)
        return torch.div(mean, square.sqrt().add_(self.epsilon), out=gradient).neg_()


@dataclass(frozen=True, kw_only=True)
class Expectigrad(Elementwise):
    """Expectigrad (Daley and Amato 2020, arXiv 2010.01356): the plain mean of g² over the steps where g was not 0.

        s ← s + g²     n ← n + [g ≠ 0]     m ← βm + (1−β) g/(ε + √(s/n))     w ← w − η m/(1−βᵗ)

    Momentum is taken after the division. β is the member's momentum. Three numbers per weight: "mean" (m), "sum"
    (s), "count" (n).
    """

    name: ClassVar[str] = "expectigrad"
    kept: ClassVar[tuple[str, ...]] = ("mean", "sum", "count")
    positive: ClassVar[tuple[str, ...]] = ("epsilon",)

    epsilon: float = 1e-8

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        total, count = state["sum"].addcmul_(gradient, gradient), state["count"].add_(gradient != 0)
        gradient.div_((total / count.clamp(min=1)).sqrt_().add_(self.epsilon))
        mean = state["mean"].lerp_(gradient, 1 - momentum)
        return torch.mul(mean, -1 / unbias(momentum, step), out=gradient)


@dataclass(frozen=True, kw_only=True)
class SAdam(Elementwise):
    """SAdam (Wang, Lu, Cheng, Tu, Zhang 2020, arXiv 1905.02957): Adam without the root, for strong convexity.

        β₁ₜ = β₁νᵗ⁻¹     β₂ₜ = 1 − γ/t     v ← β₂ₜv + (1−β₂ₜ)g²     w ← w − η m/(v + δ/t)

    with m ← β₁ₜm + (1−β₁ₜ)g. The paper's rate falls as η/t: schedule `inverse_time` with b = 1. fading ν, gamma γ,
    delta δ. (Another Sadam is `softplus_adam`.) Two numbers per weight: "mean" (m), "square" (v).
    """

    name: ClassVar[str] = "sadam"
    rate_scale: ClassVar[float] = 0.1
    kept: ClassVar[tuple[str, ...]] = ("mean", "square")
    positive: ClassVar[tuple[str, ...]] = ("gamma", "delta")

    gamma: float = 0.9
    delta: float = 0.01
    fading: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.gamma <= 1:
            raise InputError(f"gamma is {self.gamma}; expected a number in (0, 1].")
        if not 0 < self.fading <= 1:
            raise InputError(f"fading is {self.fading}; expected a number in (0, 1].")

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean = state["mean"].lerp_(gradient, 1 - momentum * self.fading ** (step - 1))
        square = state["square"].lerp_(gradient.square_(), self.gamma / step)
        return torch.div(mean, square + self.delta / step, out=gradient).neg_()
