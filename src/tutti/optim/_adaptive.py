"""Rules that divide each weight's gradient by a measure of its past size: Adagrad, Adadelta, RMSProp."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from tutti.core import InputError
from tutti.optim._rule import Rule, State, check_fraction, check_positive


def root(square: Float[Tensor, "*shape"], epsilon: float, inside: bool) -> Float[Tensor, "*shape"]:
    """√square + ε, or √(square + ε) where `inside`; a new tensor."""
    return (square + epsilon).sqrt_() if inside else square.sqrt().add_(epsilon)


@dataclass(frozen=True, kw_only=True)
class Adagrad(Rule):
    """Adagrad (Duchi, Hazan, Singer 2011): G ← G + g², w ← w − η g / (√G + ε).

    rate_decay λ: the rate falls as η / (1 + (t−1)λ). start: value of G before the first step. epsilon ε;
    epsilon_inside: divide by √(G + ε). Equal to torch.optim.Adagrad with ε outside.
    One number per weight: "square" (G).
    """

    name: ClassVar[str] = "adagrad"
    rate_scale: ClassVar[float] = 10.0
    rate_decay: float = 0.0
    start: float = 0.0
    epsilon: float = 1e-10
    epsilon_inside: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("epsilon", self.epsilon)
        for name in ("rate_decay", "start"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} is {getattr(self, name)}; expected a number of at least 0.")

    @property
    def averages(self) -> tuple[str, ...]:
        return ("square",)

    def init(self, weights: Float[Tensor, "member weights"]) -> State:
        return {"square": torch.full_like(weights, self.start)}

    def update(
        self,
        gradient: Float[Tensor, "member weights"],
        state: State,
        *,
        step: int,
        rate: float | Float[Tensor, "member 1"],
        momentum: float | Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member weights"]:
        square = state["square"].addcmul_(gradient, gradient)
        size = root(square, self.epsilon, self.epsilon_inside)
        return gradient.div_(size).mul_(-1 / (1 + (step - 1) * self.rate_decay))


@dataclass(frozen=True, kw_only=True)
class Adadelta(Rule):
    """Adadelta (Zeiler 2012): steps in the units of the weights, from running means of g² and of past steps squared.

        E ← ρE + (1−ρ)g²     δ = g √(D + ε)/√(E + ε)     D ← ρD + (1−ρ)δ²     w ← w − ηδ

    The paper has no rate (η = 1). Equal to torch.optim.Adadelta. Two numbers per weight: "square" (E), "change" (D).
    """

    name: ClassVar[str] = "adadelta"
    rate_scale: ClassVar[float] = 300.0
    rho: float = 0.9
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("rho", self.rho)
        check_positive("epsilon", self.epsilon)

    @property
    def averages(self) -> tuple[str, ...]:
        return ("square", "change")

    def update(
        self,
        gradient: Float[Tensor, "member weights"],
        state: State,
        *,
        step: int,
        rate: float | Float[Tensor, "member 1"],
        momentum: float | Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member weights"]:
        square, change = state["square"], state["change"]
        square.mul_(self.rho).addcmul_(gradient, gradient, value=1 - self.rho)
        gradient.mul_(root(change, self.epsilon, inside=True)).div_(root(square, self.epsilon, inside=True))
        change.mul_(self.rho).addcmul_(gradient, gradient, value=1 - self.rho)
        return gradient.neg_()


@dataclass(frozen=True, kw_only=True)
class RMSProp(Rule):
    """RMSProp (Tieleman and Hinton 2012, lecture 6.5): E ← αE + (1−α)g², w ← w − η g / (√E + ε).

    alpha α; epsilon ε, epsilon_inside: divide by √(E + ε). centred (Graves 2013): E is replaced by the running
    variance E − A² with A ← αA + (1−α)g; rounding below 0 counts as 0 (torch's becomes NaN there).
    with_momentum: B ← γB + g/(√E + ε), w ← w − ηB with the member's momentum γ; else γ is not used.
    Otherwise equal to torch.optim.RMSprop. One number per weight: "square" (E); one more for each option:
    "mean" (A), "velocity" (B).
    """

    name: ClassVar[str] = "rmsprop"
    alpha: float = 0.99
    epsilon: float = 1e-8
    epsilon_inside: bool = False
    centred: bool = False
    with_momentum: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("alpha", self.alpha)
        check_positive("epsilon", self.epsilon)

    @property
    def averages(self) -> tuple[str, ...]:
        return ("square", *(["mean"] if self.centred else []), *(["velocity"] if self.with_momentum else []))

    def update(
        self,
        gradient: Float[Tensor, "member weights"],
        state: State,
        *,
        step: int,
        rate: float | Float[Tensor, "member 1"],
        momentum: float | Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member weights"]:
        square = state["square"].mul_(self.alpha).addcmul_(gradient, gradient, value=1 - self.alpha)
        if self.centred:
            mean = state["mean"].lerp_(gradient, 1 - self.alpha)
            square = square.addcmul(mean, mean, value=-1).clamp_(min=0)
        gradient.div_(root(square, self.epsilon, self.epsilon_inside))
        if self.with_momentum:
            velocity = state["velocity"].mul_(momentum).add_(gradient)
            return torch.neg(velocity, out=gradient)
        return gradient.neg_()
