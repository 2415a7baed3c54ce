"""Elementwise rules that are held in check by one number for each layer: its update's size, its largest gradient."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from tutti.core import InputError, Layout
from tutti.optim._elementwise import Each, Elementwise, Moments, Weights, unbias
from tutti.optim._layers import layer_norms, spread
from tutti.optim._rule import ShapedRule, State


@dataclass(frozen=True, kw_only=True)
class StableAdamW(Moments, ShapedRule):
    """StableAdamW (Wortsman et al. 2023, arXiv 2304.13013): AdamW whose layers slow down when g² outruns v.

        v ← β₂ₜv + (1−β₂ₜ)g²     m ← β₁ₜm + (1−β₁ₜ)g     with βₜ = β(1 − βᵗ⁻¹)/(1 − βᵗ), so that no correction is left
        R = √mean(g²/max(v, ε²)) over a parameter     w ← w − η/max(1, R)·m/(√v + ε)

    Decay is decoupled by the scheduled rate η (the authors' by η/max(1, R)). Memory as Adam: "mean", "square".
    """

    name: ClassVar[str] = "stable_adamw"
    decay: str = "decoupled"
    beta2: float = 0.99

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        share1 = (1 - momentum) / unbias(momentum, step)
        share2 = (1 - self.beta2) / (1 - self.beta2**step)
        mean = state["mean"].lerp_(gradient, share1)
        square = state["square"].mul_(1 - share2).addcmul_(gradient, gradient, value=share2)
        surprise = gradient.div_(square.clamp(min=self.epsilon**2).sqrt_())
        slower = layer_norms(self.layout, surprise).div_(_roots(self.layout.sizes, surprise)).clamp_(min=1.0)
        slower = spread(self.layout, slower.reciprocal_())
        return torch.div(mean, square.sqrt().add_(self.epsilon), out=gradient).mul_(slower).neg_()


def _roots(sizes: tuple[int, ...], like: Tensor) -> Tensor:
    """√n for each layer, [1, layer]."""
    return like.new_tensor([[size**0.5 for size in sizes]])


def _largest(layout: Layout, x: Weights) -> Float[Tensor, "member layer"]:
    """The largest |x| of each parameter."""
    return torch.stack([layer.flatten(1).abs().amax(1) for layer in layout.views(x).values()], dim=1)


@dataclass(frozen=True, kw_only=True)
class TAdam(Moments, ShapedRule):
    """TAdam (Ilboudo, Kobayashi, Sugimoto 2020, arXiv 2003.00179): the mean of a t-distribution, robust to outliers.

        x = (ν + n)/(ν + Σ (g − m)²/(v + ε)) over a parameter of n weights, with m and v of before
        m ← (Wm + xg)/(W + x)     W ← W(2β₁ − 1)/β₁ + x     v ← β₂v + (1−β₂)g²     w ← w − η m̂/(√v̂ + ε)

    W starts at β₁/(1−β₁), so that x = 1 is Adam. β₁ is the member's momentum; it must be at least 0.5, below that
    (2β₁ − 1)/β₁ counts as 0. freedom ν as a multiple of n. Memory as Adam: "mean" (m), "square" (v); one for each
    layer: "weight" (W).
    """

    name: ClassVar[str] = "tadam"
    positive: ClassVar[tuple[str, ...]] = ("epsilon", "freedom")

    freedom: float = 1.0

    def init(self, weights: Weights) -> State:
        return super().init(weights) | {"weight": weights.new_zeros(len(weights), len(self.layout.sizes))}

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean, square, weight = state["mean"], state["square"], state["weight"]
        if step == 1:
            weight.add_(momentum / (1 - momentum))
        away = (gradient - mean).div_((square + self.epsilon).sqrt_())
        sizes = weight.new_tensor([self.layout.sizes])
        distance = layer_norms(self.layout, away).square_()
        likely = (self.freedom + 1) * sizes / distance.add_(self.freedom * sizes)
        mean.lerp_(gradient, spread(self.layout, likely / (weight + likely)))
        weight.mul_(_kept_share(momentum)).add_(likely)
        square.mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        return self.adam(mean, square, momentum, step)


def _kept_share(beta1: Each) -> Each:
    """(2β₁ − 1)/β₁, at least 0."""
    if isinstance(beta1, Tensor):
        return (2 - 1 / beta1.clamp(min=0.5)).clamp_(min=0.0)
    return max(2 - 1 / max(beta1, 0.5), 0.0)


@dataclass(frozen=True, kw_only=True)
class Gravity(Elementwise, ShapedRule):
    """Gravity (Bahrami and Pourmahmood 2021, arXiv 2101.09192): large gradients of a layer are pulled back.

        ζ = g/(1 + (g·max|g|)²)     β̂ = (βt + 1)/(t + 2)     V ← β̂V + (1−β̂)ζ     w ← w − ηV

    max over a parameter; β is the member's momentum. V starts at 0 (the paper's at small random numbers).
    One number per weight: "velocity" (V).
    """

    name: ClassVar[str] = "gravity"
    rate_scale: ClassVar[float] = 50.0
    kept: ClassVar[tuple[str, ...]] = ("velocity",)

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        gradient.div_((gradient * spread(self.layout, _largest(self.layout, gradient))).square_().add_(1))
        velocity = state["velocity"].lerp_(gradient, 1 - (momentum * step + 1) / (step + 2))
        return torch.neg(velocity, out=gradient)


@dataclass(frozen=True, kw_only=True)
class AdaShift(Elementwise, ShapedRule):
    """AdaShift (Zhou, Zhang, Lu, Wang, Zhang, Yu 2019, arXiv 1810.00143): v from gradients that m no longer holds.

        v ← β₂v + (1−β₂)φ(gₜ₋ₙ²)     m = Σ_{i<n} β₁ⁱ gₜ₋ᵢ / Σ_{i<n} β₁ⁱ     w ← w − η m/(√(v/(1−β₂ᵗ⁻ⁿ)) + ε)

    so v and the numerator are independent. by_layer: φ is the largest over a parameter (max-AdaShift), else the
    identity, with which a weight whose gradients were 0 for a while leaps when the first one comes. window n; the
    first n steps only collect. β₁ is the member's momentum. n + 1 numbers per weight: "mean" (m), "past0" … (the
    last n gradients); "square" (v), one for each layer, or, by weight, one more for each weight.
    """

    name: ClassVar[str] = "adashift"
    fractions: ClassVar[tuple[str, ...]] = ("beta2",)
    positive: ClassVar[tuple[str, ...]] = ("epsilon",)

    by_layer: bool = True
    window: int = 10
    beta2: float = 0.999
    epsilon: float = 1e-10

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window < 1:
            raise InputError(f"window is {self.window}; expected a whole number of at least 1.")

    @property
    def averages(self) -> tuple[str, ...]:
        return ("mean", *(f"past{i}" for i in range(self.window)), *(() if self.by_layer else ("square",)))

    def init(self, weights: Weights) -> State:
        by_layer = {"square": weights.new_zeros(len(weights), len(self.layout.sizes))} if self.by_layer else {}
        return super().init(weights) | by_layer

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean, square, oldest = state["mean"], state["square"], state[f"past{(step - 1) % self.window}"]
        least: Each = 1.0
        total: Each = 1.0
        for _ in range(self.window - 1):
            least = least * momentum
            total = total + least
        mean.sub_(oldest * (least / total)).mul_(momentum).add_(gradient / total)
        if step > self.window:
            size = _largest(self.layout, oldest) if self.by_layer else oldest
            square.mul_(self.beta2).addcmul_(size, size, value=1 - self.beta2)
        oldest.copy_(gradient)
        if step <= self.window:
            return gradient.zero_()
        size = (square / (1 - self.beta2 ** (step - self.window))).sqrt_()
        size = spread(self.layout, size) if self.by_layer else size
        return torch.div(mean, size.add_(self.epsilon), out=gradient).neg_()
