"""Rules that step by signs: every weight moves by the rate, or by a step size of its own, whatever the gradient."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from tutti.core import InputError
from tutti.optim._elementwise import Each, Elementwise, Moments, Weights
from tutti.optim._rule import ShapedRule, State


@dataclass(frozen=True, kw_only=True)
class SignSGD(Elementwise):
    """signSGD (Bernstein, Wang, Azizzadenesheli, Anandkumar 2018): w ← w − η sign(g).

    The member's momentum is not used. No memory.
    """

    name: ClassVar[str] = "signsgd"

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        return gradient.sign_().neg_()


@dataclass(frozen=True, kw_only=True)
class Signum(Elementwise):
    """Signum (Bernstein et al. 2018): m ← βm + (1−β)g, w ← w − η sign(m). β is the member's momentum.

    One number per weight: "mean" (m).
    """

    name: ClassVar[str] = "signum"
    rate_scale: ClassVar[float] = 0.3
    kept: ClassVar[tuple[str, ...]] = ("mean",)

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean = state["mean"].lerp_(gradient, 1 - momentum)
        return torch.sign(mean, out=gradient).neg_()


@dataclass(frozen=True, kw_only=True)
class Tiger(Signum):
    """Tiger (Su 2023, a "tight-fisted" optimiser): Signum with decoupled weight decay, w ← w(1 − η·weight_decay).

    Its author's choices of rate by parameter, and his gradient accumulation inside m, are not part of the rule.
    One number per weight: "mean" (m).
    """

    name: ClassVar[str] = "tiger"
    decay: str = "decoupled"


@dataclass(frozen=True, kw_only=True)
class Lion(Elementwise):
    """Lion (Chen et al. 2023, Symbolic discovery of optimization algorithms): the sign of a mean that looks ahead.

        w ← w − η sign(β₁m + (1−β₁)g)     m ← β₂m + (1−β₂)g

    β₁ is the member's momentum; beta2 β₂. Decay is decoupled. The authors' rates are 3 to 10 times smaller than
    AdamW's. One number per weight: "mean" (m).
    """

    name: ClassVar[str] = "lion"
    rate_scale: ClassVar[float] = 0.3
    kept: ClassVar[tuple[str, ...]] = ("mean",)
    fractions: ClassVar[tuple[str, ...]] = ("beta2",)

    decay: str = "decoupled"
    beta2: float = 0.99

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        direction = state["mean"].lerp(gradient, 1 - momentum).sign_().neg_()
        state["mean"].lerp_(gradient, 1 - self.beta2)
        return direction


@dataclass(frozen=True, kw_only=True)
class Rprop(Elementwise):
    """Rprop (Riedmiller and Braun 1993; the variant iRprop− of Igel and Hüsken 2000): a step size for each weight.

        s ← min(s·grow, largest) where g agrees in sign with the last gradient, max(s·shrink, smallest) where it
        disagrees (and there g ← 0);     w ← w − η s sign(g);     last ← g

    s starts at 1: step sizes are in units of the rate, so that a schedule scales them all (torch.optim.Rprop's
    limits are absolute: largest·η and smallest·η there). Made for full batches. The momentum is not used.
    Two numbers per weight: "size" (s), "last".
    """

    name: ClassVar[str] = "rprop"
    rate_scale: ClassVar[float] = 0.3
    kept: ClassVar[tuple[str, ...]] = ("size", "last")
    positive: ClassVar[tuple[str, ...]] = ("shrink", "smallest")

    grow: float = 1.2
    shrink: float = 0.5
    smallest: float = 1e-6
    largest: float = 50.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.shrink < 1 < self.grow:
            raise InputError(f"shrink is {self.shrink} and grow {self.grow}; expected shrink < 1 < grow.")
        if not self.smallest <= 1 <= self.largest:
            raise InputError(f"The limits are {self.smallest} and {self.largest}; expected 1 to lie between them.")

    def init(self, weights: Weights) -> State:
        return {"size": torch.ones_like(weights), "last": torch.zeros_like(weights)}

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        size, agreement = state["size"], state["last"].mul_(gradient)
        factor = torch.ones_like(size).masked_fill_(agreement > 0, self.grow).masked_fill_(agreement < 0, self.shrink)
        size.mul_(factor).clamp_(self.smallest, self.largest)
        gradient.masked_fill_(agreement < 0, 0.0)
        state["last"].copy_(gradient)
        return gradient.sign_().mul_(size).neg_()


@dataclass(frozen=True, kw_only=True)
class Grams(Moments):
    """Grams (Cao, Li, Song 2024, arXiv 2412.17107): Adam's step size with the sign of the present gradient.

        w ← w − η sign(g) |m̂/(√v̂ + ε)|

    Decay is decoupled, before the step (in pytorch_optimizer behind it). Memory as Adam: "mean" (m), "square" (v).
    """

    name: ClassVar[str] = "grams"
    decay: str = "decoupled"
    epsilon: float = 1e-6

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        step_size = self.adam(*self.follow(gradient, state, momentum), momentum, step).abs_()
        return gradient.sign_().mul_(step_size).neg_()


def cautious(direction: Weights, gradient: Weights, used: int) -> Weights:
    """`direction` in place with the parts that point uphill set to 0, and the rest times used/(kept + 1).

    used: how many of a row's numbers are weights; kept: how many of them point downhill, −direction·gradient > 0.
    """
    kept = (direction * gradient).lt_(0)
    share = used / (kept.sum(1, keepdim=True) + 1)
    return direction.mul_(kept).mul_(share)


@dataclass(frozen=True, kw_only=True)
class CautiousLion(Lion, ShapedRule):
    """C-Lion (Liang, Chen, Liu, Liu 2024, Cautious optimizers, arXiv 2411.16085): Lion where it agrees with g.

        u = sign(β₁m + (1−β₁)g)     φ = [u·g > 0]     w ← w − η (n/(Σφ + 1)) φ·u     m as Lion

    n is the number of the member's weights, as the paper writes it; the authors' code and pytorch_optimizer count
    in each parameter. One number per weight: "mean" (m).
    """

    name: ClassVar[str] = "c_lion"

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        direction = super().update(gradient, state, step=step, rate=rate, momentum=momentum)
        return cautious(direction, gradient, self.layout.used)


@dataclass(frozen=True, kw_only=True)
class CautiousAdamW(Moments, ShapedRule):
    """C-AdamW (Liang et al. 2024, arXiv 2411.16085): AdamW's step where it agrees in sign with the gradient.

        u = m̂/(√v̂ + ε)     φ = [u·g > 0]     w ← w − η (n/(Σφ + 1)) φ·u

    n is the number of the member's weights, as the paper writes it; the authors' code counts in each parameter.
    Decay is decoupled. Memory as Adam: "mean" (m), "square" (v).
    """

    name: ClassVar[str] = "c_adamw"
    decay: str = "decoupled"

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        direction = self.adam(*self.follow(gradient, state, momentum), momentum, step)
        return cautious(direction, gradient, self.layout.used)
