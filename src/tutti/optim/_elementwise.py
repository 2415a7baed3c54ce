"""What elementwise rules share: options with limits, running means, and powers that do not depend on the slot."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from tutti.core import InputError
from tutti.optim._rule import Rule, State, check_fraction, check_positive

Weights = Float[Tensor, "member weights"]
"""One number for each weight of each member."""
Each = float | Float[Tensor, "member 1"]
"""One number for each member, or the same for all."""


@dataclass(frozen=True, kw_only=True)
class Elementwise(Rule):
    """A rule whose state and limits are plain data; what is left to write is `update`.

    kept: names of the state's tensors with one number per weight, which start at 0. per_member: names of those
    [member, 1], which start at 0. fractions, positive, not_negative: names of options that must lie in [0, 1),
    above 0, not below 0.
    """

    kept: ClassVar[tuple[str, ...]] = ()
    per_member: ClassVar[tuple[str, ...]] = ()
    fractions: ClassVar[tuple[str, ...]] = ()
    positive: ClassVar[tuple[str, ...]] = ()
    not_negative: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for option in self.fractions:
            check_fraction(option, getattr(self, option))
        for option in self.positive:
            check_positive(option, getattr(self, option))
        for option in self.not_negative:
            if not getattr(self, option) >= 0:
                raise InputError(f"{option} is {getattr(self, option)}; expected a number of at least 0.")

    @property
    def averages(self) -> tuple[str, ...]:
        return self.kept

    def init(self, weights: Weights) -> State:
        alone = weights.new_zeros(len(weights), 1)
        return super().init(weights) | {name: alone.clone() for name in self.per_member}


@dataclass(frozen=True, kw_only=True)
class Moments(Elementwise):
    """Base of the rules with Adam's two means: m of the gradient by β₁ (the member's momentum), v of its square.

    beta2 β₂; epsilon ε.
    """

    kept: ClassVar[tuple[str, ...]] = ("mean", "square")
    fractions: ClassVar[tuple[str, ...]] = ("beta2",)
    positive: ClassVar[tuple[str, ...]] = ("epsilon",)

    beta2: float = 0.999
    epsilon: float = 1e-8

    def follow(self, gradient: Weights, state: State, beta1: Each) -> tuple[Weights, Weights]:
        """m ← β₁m + (1−β₁)g and v ← β₂v + (1−β₂)g², in place."""
        mean = state["mean"].lerp_(gradient, 1 - beta1)
        square = state["square"].mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        return mean, square

    def adam(self, mean: Weights, square: Weights, beta1: Each, step: int) -> Weights:
        """Adam's downhill direction −m̂/(√v̂ + ε), a new tensor."""
        unbias1, unbias2 = unbias(beta1, step), 1 - self.beta2**step
        size = square.sqrt().mul_(-unbias1 / unbias2**0.5).sub_(unbias1 * self.epsilon)
        return torch.div(mean, size, out=size)


def power(base: Each, exponent: float) -> Each:
    """base^exponent for base >= 0, exponent > 0. Of tensors by exp and log: torch's pow rounds otherwise in the last
    few places of a tensor, and a member's numbers must not depend on its slot."""
    if isinstance(base, Tensor):
        return torch.exp(torch.log(base).mul_(exponent))
    return math.pow(base, exponent)


def powers(values: Float[Tensor, "*shape"], exponent: float) -> Float[Tensor, "*shape"]:
    """values^exponent for values >= 0, exponent > 0, elementwise; a new tensor, rounded alike in every slot."""
    if exponent == 0.5:
        return values.sqrt()
    return torch.exp(torch.log(values).mul_(exponent))


def unbias(beta: Each, step: int) -> Each:
    """1 − βᵗ: what a running mean that started at 0 has gathered of its weight after t steps."""
    return 1 - power(beta, float(step))


def over_rate(change: Weights, rate: Each) -> Weights:
    """change/rate in place, for a rule that keeps rates in its memory; 0 where the rate is 0: the member stands."""
    if isinstance(rate, Tensor):
        return change.mul_(torch.where(rate > 0, 1 / rate, torch.zeros_like(rate)))
    return change.mul_(1 / rate if rate > 0 else 0.0)
