"""Rules in which a weight's rate may only fall: they divide by the largest second moment so far, or by its like."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from tutti.core import InputError
from tutti.optim._adam import Adam
from tutti.optim._elementwise import Each, Elementwise, Moments, Weights, powers, unbias
from tutti.optim._rule import State


@dataclass(frozen=True, kw_only=True)
class AMSGrad(Adam):
    """AMSGrad (Reddi, Kale, Kumar 2018): Adam with the largest v so far in place of v.

        v̂ ← max(v̂, v)     w ← w − η m̂/(√(v̂/(1−β₂ᵗ)) + ε)

    As in torch.optim.Adam with amsgrad; the paper has no bias corrections. Three numbers per weight.
    """

    name: ClassVar[str] = "amsgrad"
    amsgrad: bool = True


@dataclass(frozen=True, kw_only=True)
class AdaMax(Elementwise):
    """AdaMax (Kingma and Ba 2015, section 7.1): Adam with the infinity norm.

        m ← β₁m + (1−β₁)g     u ← max(β₂u, |g| + ε)     w ← w − η m/((1−β₁ᵗ)u)

    ε inside the maximum as in torch.optim.Adamax, to which this is equal. β₁ is the member's momentum.
    Two numbers per weight: "mean" (m), "largest" (u).
    """

    name: ClassVar[str] = "adamax"
    kept: ClassVar[tuple[str, ...]] = ("mean", "largest")
    fractions: ClassVar[tuple[str, ...]] = ("beta2",)
    positive: ClassVar[tuple[str, ...]] = ("epsilon",)

    beta2: float = 0.999
    epsilon: float = 1e-8

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean = state["mean"].lerp_(gradient, 1 - momentum)
        largest = torch.maximum(state["largest"].mul_(self.beta2), gradient.abs_().add_(self.epsilon))
        state["largest"].copy_(largest)
        return torch.div(mean, largest.mul_(-unbias(momentum, step)), out=gradient)


@dataclass(frozen=True, kw_only=True)
class AdamX(Moments):
    """AdamX (Tran and Phong 2019, On the convergence proof of AMSGrad and a new version, arXiv 1904.03590).

        v̂ ← max(v̂ (1−β₁ₜ)²/(1−β₁ₜ₋₁)², v)     w ← w − η m/(√v̂ + ε)     with β₁ₜ = β₁ λᵗ⁻¹

    m ← β₁ₜm + (1−β₁ₜ)g, no bias corrections; β₁ is the member's momentum, fading λ. At the first step v̂ = v.
    Three numbers per weight: "mean" (m), "square" (v), "largest" (v̂).
    """

    name: ClassVar[str] = "adamx"
    rate_scale: ClassVar[float] = 0.2
    kept: ClassVar[tuple[str, ...]] = ("mean", "square", "largest")

    fading: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.fading <= 1:
            raise InputError(f"fading is {self.fading}; expected a number in (0, 1].")

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        beta1 = momentum * self.fading ** (step - 1)
        mean, square = self.follow(gradient, state, beta1)
        largest = state["largest"]
        if step > 1:
            largest.mul_(((1 - beta1) / (1 - momentum * self.fading ** (step - 2))) ** 2)
        torch.maximum(largest, square, out=largest)
        return torch.div(mean, largest.sqrt().add_(self.epsilon), out=gradient).neg_()


@dataclass(frozen=True, kw_only=True)
class Padam(Moments):
    """Padam (Chen, Zhou, Tang, Yang, Cao, Gu 2020, arXiv 1806.06763): AMSGrad with a power p between SGD and Adam.

        v̂ ← max(v̂, v)     w ← w − η m/(v̂ + ε)ᵖ

    No bias corrections, as in the paper (pytorch_optimizer corrects, and leaves the maximum out). exponent p in
    (0, 0.5]; 0.5 is AMSGrad, small p is near to momentum: the smaller p, the larger a sensible rate.
    Three numbers per weight: "mean" (m), "square" (v), "largest" (v̂).
    """

    name: ClassVar[str] = "padam"
    rate_scale: ClassVar[float] = 10.0
    kept: ClassVar[tuple[str, ...]] = ("mean", "square", "largest")

    exponent: float = 0.125

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.exponent <= 0.5:
            raise InputError(f"exponent is {self.exponent}; expected a number in (0, 0.5].")

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean, square = self.follow(gradient, state, momentum)
        largest = torch.maximum(state["largest"], square, out=state["largest"])
        return torch.div(mean, powers(largest + self.epsilon, self.exponent), out=gradient).neg_()


@dataclass(frozen=True, kw_only=True)
class SoftplusAdam(Moments):
    """Sadam (Tong, Liang, Bi 2019, Calibrating the adaptive learning rate, arXiv 1908.00700): √v through a softplus.

        w ← w − η m/softplus(√v),   softplus(x) = log(1 + exp(sharpness·x))/sharpness

    so that no divisor is below log(2)/sharpness. No bias corrections. epsilon is not used. (Another SAdam, for
    strongly convex functions, is `sadam`.) Memory as Adam: "mean" (m), "square" (v).
    """

    name: ClassVar[str] = "softplus_adam"
    positive: ClassVar[tuple[str, ...]] = ("sharpness",)

    sharpness: float = 50.0

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean, square = self.follow(gradient, state, momentum)
        return torch.div(mean, self._size(square, state), out=gradient).neg_()

    def _size(self, square: Weights, state: State) -> Weights:
        root = square.sqrt()
        return root.add_(root.mul(-self.sharpness).exp_().log1p_().div_(self.sharpness))


@dataclass(frozen=True, kw_only=True)
class SAMSGrad(SoftplusAdam):
    """SAMSGrad (Tong, Liang, Bi 2019, arXiv 1908.00700): `softplus_adam` with the largest v so far in place of v.

    Three numbers per weight: "mean" (m), "square" (v), "largest".
    """

    name: ClassVar[str] = "samsgrad"
    kept: ClassVar[tuple[str, ...]] = ("mean", "square", "largest")

    def _size(self, square: Weights, state: State) -> Weights:
        return super()._size(torch.maximum(state["largest"], square, out=state["largest"]), state)
