"""Rules that keep Adam's steps within bounds: of the rate of each weight, or of the gradient's heavy tails."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tutti.core import InputError
from tutti.optim._elementwise import Each, Elementwise, Moments, Weights, powers, unbias
from tutti.optim._rule import State


@dataclass(frozen=True, kw_only=True)
class AdaBound(Moments):
    """AdaBound (Luo, Xiong, Liu, Sun 2019): Adam whose rates are squeezed towards that of gradient descent.

        w ← w − clip(η√(1−β₂ᵗ)/((1−β₁ᵗ)(√v + ε)), low, high)·m
        low = η·final·(1 − 1/(γt + 1))     high = η·final·(1 + 1/(γt))

    final is the last rate over η (the paper's 0.1 over 0.001); speed γ. Bias corrections as in the authors' code.
    Memory as Adam: "mean" (m), "square" (v).
    """

    name: ClassVar[str] = "adabound"
    positive: ClassVar[tuple[str, ...]] = ("epsilon", "final", "speed")

    final: float = 100.0
    speed: float = 1e-3

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean, square = self.follow(gradient, state, momentum)
        scale = (1 - self.beta2**step) ** 0.5 / unbias(momentum, step)
        rates = (1 / self._largest(square, state).sqrt().add_(self.epsilon)).mul_(scale)
        low, high = 1 - 1 / (self.speed * step + 1), 1 + 1 / (self.speed * step)
        return rates.clamp_(self.final * low, self.final * high).mul_(mean).neg_()

    def _largest(self, square: Weights, state: State) -> Weights:
        return square


@dataclass(frozen=True, kw_only=True)
class AMSBound(AdaBound):
    """AMSBound (Luo et al. 2019): AdaBound with the largest v so far in place of v.

    Three numbers per weight: "mean" (m), "square" (v), "largest".
    """

    name: ClassVar[str] = "amsbound"
    kept: ClassVar[tuple[str, ...]] = ("mean", "square", "largest")

    def _largest(self, square: Weights, state: State) -> Weights:
        return torch.maximum(state["largest"], square, out=state["largest"])


@dataclass(frozen=True, kw_only=True)
class AdaMod(Moments):
    """AdaMod (Ding, Ren, Luo, Sun 2019, arXiv 1910.12249): no weight's rate may exceed the mean of its past rates.

        a = η√(1−β₂ᵗ)/((1−β₁ᵗ)(√v + ε))     s ← β₃s + (1−β₃)a     w ← w − min(a, s)·m

    beta3 β₃. s holds rates: a change of η is followed with delay. Three numbers per weight: "mean" (m), "square"
    (v), "rate" (s).
    """

    name: ClassVar[str] = "adamod"
    rate_scale: ClassVar[float] = 3.0
    kept: ClassVar[tuple[str, ...]] = ("mean", "square", "rate")
    fractions: ClassVar[tuple[str, ...]] = ("beta2", "beta3")

    beta3: float = 0.999

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean, square = self.follow(gradient, state, momentum)
        scale = (1 - self.beta2**step) ** 0.5 / unbias(momentum, step)
        rates = (1 / square.sqrt().add_(self.epsilon)).mul_(scale)
        state["rate"].lerp_(rates * rate, 1 - self.beta3)
        return torch.minimum(rates, _over(state["rate"], rate)).mul_(mean).neg_()


def _over(rates: Weights, rate: Each) -> Weights:
    """rates/rate; 0 where the rate is 0."""
    if isinstance(rate, Tensor):
        return torch.where(rate > 0, rates / rate, 0.0)
    return rates / rate if rate > 0 else torch.zeros_like(rates)


@dataclass(frozen=True, kw_only=True)
class ACClip(Elementwise):
    """ACClip (Zhang et al. 2020, Why are adaptive methods good for attention models?, arXiv 1912.03194, algorithm 2).

        m ← β₁m + (1−β₁)g     T ← β₂T + (1−β₂)|g|ᵃ     w ← w − η min(T^(1/a)/(|m| + ε), 1)·m

    Each weight's momentum is clipped at a running mean of its gradient's size: for noise with heavy tails. alpha a
    in [1, 2]; beta2 β₂; β₁ is the member's momentum. Two numbers per weight: "mean" (m), "threshold" (T).
    """

    name: ClassVar[str] = "acclip"
    rate_scale: ClassVar[float] = 100.0
    kept: ClassVar[tuple[str, ...]] = ("mean", "threshold")
    fractions: ClassVar[tuple[str, ...]] = ("beta2",)
    positive: ClassVar[tuple[str, ...]] = ("epsilon",)

    alpha: float = 1.0
    beta2: float = 0.99
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.alpha <= 2:
            raise InputError(f"alpha is {self.alpha}; expected a number in [1, 2].")

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean = state["mean"].lerp_(gradient, 1 - momentum)
        threshold = state["threshold"].lerp_(powers(gradient.abs_(), self.alpha), 1 - self.beta2)
        limit = powers(threshold, 1 / self.alpha).div_(mean.abs().add_(self.epsilon)).clamp_(max=1.0)
        return limit.mul_(mean).neg_()


@dataclass(frozen=True, kw_only=True)
class ADOPT(Moments):
    """ADOPT (Taniguchi et al. 2024, arXiv 2411.02853): divides by the v of before, then averages; any β₂ converges.

        c = clip(g/max(√v, ε), ±(t−1)^¼)     m ← β₁m + (1−β₁)c     w ← w − ηm     v ← β₂v + (1−β₂)g²

    The first step only sets v = g². The paper and its code count the clipping from the first real step, t − 1 here
    (pytorch_optimizer: t). clip: whether to clip. Decay is coupled, as there. Memory as Adam: "mean", "square".
    """

    name: ClassVar[str] = "adopt"
    beta2: float = 0.9999
    epsilon: float = 1e-6
    clip: bool = True

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean, square = state["mean"], state["square"]
        if step == 1:
            square.addcmul_(gradient, gradient)
            return gradient.zero_()
        scaled = gradient / square.sqrt().clamp_(min=self.epsilon)
        if self.clip:
            limit = (step - 1) ** 0.25
            scaled.clamp_(-limit, limit)
        mean.lerp_(scaled, 1 - momentum)
        square.mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        return torch.neg(mean, out=scaled)


@dataclass(frozen=True, kw_only=True)
class SMORMS3(Elementwise):
    """SMORMS3 (Funk 2015, "RMSprop loses to SMORMS3"): the memory grows while gradients agree, and is cut after.

        r = 1/(a + 1)     m ← (1−r)m + rg     v ← (1−r)v + rg²     x = m²/(v + ε)     a ← 1 + a(1 − x)
        w ← w − min(η, x)·g/(√v + ε)

    Published on a web page only. The member's momentum is not used; a starts at 1. Three numbers per weight:
    "mean" (m), "square" (v), "age" (a).
    """

    name: ClassVar[str] = "smorms3"
    rate_scale: ClassVar[float] = 3.0
    kept: ClassVar[tuple[str, ...]] = ("mean", "square", "age")
    positive: ClassVar[tuple[str, ...]] = ("epsilon",)

    epsilon: float = 1e-16

    def init(self, weights: Weights) -> State:
        return super().init(weights) | {"age": torch.ones_like(weights)}

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean, square, age = state["mean"], state["square"], state["age"]
        share = 1 / (age + 1)
        mean.lerp_(gradient, share)
        square.lerp_(gradient * gradient, share)
        agreement = (mean * mean).div_(square + self.epsilon)
        age.mul_(1 - agreement).add_(1)
        limited = _over(agreement, rate).clamp_(max=1.0)
        return gradient.mul_(limited).div_(square.sqrt().add_(self.epsilon)).neg_()
