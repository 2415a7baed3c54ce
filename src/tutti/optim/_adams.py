"""Adam's relatives that change the numerator: look ahead, mix averages, rectify, reduce variance."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tutti.core import InputError
from tutti.optim._clipping import norms
from tutti.optim._elementwise import Each, Moments, Weights, unbias
from tutti.optim._momenta import positive_negative
from tutti.optim._rule import State


@dataclass(frozen=True, kw_only=True)
class NAdam(Moments):
    """NAdam (Dozat 2016): Adam with Nesterov's look-ahead and a momentum that warms up.

        μₜ = β₁(1 − ½·0.96^(tψ))     w ← w − η (μₜ₊₁m/(1 − Πμ·μₜ₊₁) + (1−μₜ)g/(1 − Πμ))/(√v̂ + ε)

    with Πμ = μ₁…μₜ and m ← β₁m + (1−β₁)g. warming ψ. Equal to torch.optim.NAdam. Memory as Adam: "mean" (m),
    "square" (v); one per member: "product" (Πμ).
    """

    name: ClassVar[str] = "nadam"
    per_member: ClassVar[tuple[str, ...]] = ("product",)
    not_negative: ClassVar[tuple[str, ...]] = ("warming",)

    warming: float = 0.004

    def init(self, weights: Weights) -> State:
        return super().init(weights) | {"product": weights.new_ones(len(weights), 1)}

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        now, following = (momentum * (1 - 0.5 * 0.96 ** (t * self.warming)) for t in (step, step + 1))
        mean, square = self.follow(gradient, state, momentum)
        product = state["product"].mul_(now)
        size = square.sqrt().div_((1 - self.beta2**step) ** 0.5).add_(self.epsilon)
        gradient.mul_((1 - now) / (1 - product)).add_(mean * (following / (1 - product * following)))
        return gradient.div_(size).neg_()


@dataclass(frozen=True, kw_only=True)
class RAdam(Moments):
    """RAdam (Liu, Jiang, He, Chen, Liu, Gao, Han 2020, arXiv 1908.03265): Adam once v's variance is bounded.

        ρ∞ = 2/(1−β₂) − 1     ρ = ρ∞ − 2tβ₂ᵗ/(1−β₂ᵗ)
        ρ > 5:  w ← w − η r m̂ √(1−β₂ᵗ)/(√v + ε),   r = √((ρ−4)(ρ−2)ρ∞/((ρ∞−4)(ρ∞−2)ρ));     else:  w ← w − ηm̂

    The bound 5 as in the authors' code and torch (the paper: 4). Equal to torch.optim.RAdam. Memory as Adam.
    """

    name: ClassVar[str] = "radam"
    rate_scale: ClassVar[float] = 3.0

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean, square = self.follow(gradient, state, momentum)
        direction = torch.mul(mean, -1 / unbias(momentum, step), out=gradient)
        left = 1 - self.beta2**step
        longest = 2 / (1 - self.beta2) - 1
        length = longest - 2 * step * (1 - left) / left
        if length <= 5:
            return direction
        rectified = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
        return direction.div_(square.sqrt().add_(self.epsilon)).mul_((rectified * left) ** 0.5)


@dataclass(frozen=True, kw_only=True)
class QHAdam(Moments):
    """QHAdam (Ma and Yarats 2019, arXiv 1810.06801): Adam with both moments mixed with the present gradient.

        w ← w − η ((1−ν₁)g + ν₁m̂)/(√((1−ν₂)g² + ν₂v̂) + ε)

    nu1 ν₁, nu2 ν₂; 1 and 1 is Adam. Memory as Adam: "mean" (m), "square" (v).
    """

    name: ClassVar[str] = "qhadam"
    not_negative: ClassVar[tuple[str, ...]] = ("nu1",)

    nu1: float = 0.7
    nu2: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.nu2 <= 1:
            raise InputError(f"nu2 is {self.nu2}; expected a number in [0, 1].")

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean, square = self.follow(gradient, state, momentum)
        size = (square * (self.nu2 / (1 - self.beta2**step))).addcmul_(gradient, gradient, value=1 - self.nu2)
        gradient.lerp_(mean / unbias(momentum, step), self.nu1)
        return gradient.div_(size.sqrt_().add_(self.epsilon)).neg_()


@dataclass(frozen=True, kw_only=True)
class LaProp(Moments):
    """LaProp (Ziyin, Wang, Ueda 2020, arXiv 2002.04839): divides first, then averages.

        v ← β₂v + (1−β₂)g²     m ← β₁m + (1−β₁) g/(√v̂ + ε)     w ← w − η m/(1−β₁ᵗ)

    Decay is decoupled (pytorch_optimizer: behind the step, with the rate inside m). Memory as Adam.
    """

    name: ClassVar[str] = "laprop"
    decay: str = "decoupled"
    epsilon: float = 1e-15

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        square = state["square"].mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        gradient.div_(square.sqrt().div_((1 - self.beta2**step) ** 0.5).add_(self.epsilon))
        mean = state["mean"].lerp_(gradient, 1 - momentum)
        return torch.mul(mean, -1 / unbias(momentum, step), out=gradient)


@dataclass(frozen=True, kw_only=True)
class DiffGrad(Moments):
    """diffGrad (Dubey et al. 2020, arXiv 1909.11015): Adam damped where the gradient has changed little.

        w ← w − η ξ m̂/(√v̂ + ε),     ξ = 1/(1 + exp(−|g₋ − g|)) in [½, 1)

    g₋ is the gradient before, 0 at first. Three numbers per weight: "mean" (m), "square" (v), "last" (g₋).
    """

    name: ClassVar[str] = "diffgrad"
    kept: ClassVar[tuple[str, ...]] = ("mean", "square", "last")

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        direction = self.adam(*self.follow(gradient, state, momentum), momentum, step)
        friction = state["last"].sub_(gradient).abs_().neg_().exp_().add_(1)
        direction.div_(friction)
        state["last"].copy_(gradient)
        return direction


@dataclass(frozen=True, kw_only=True)
class Adan(Moments):
    """Adan (Xie, Zhou, Li, Lin, Yan 2022, arXiv 2208.06677): Nesterov's momentum from differences of gradients.

        m ← β₁m + (1−β₁)g     d ← β₂d + (1−β₂)(g − g₋)     n ← β₃n + (1−β₃)(g + β₂(g − g₋))²
        w ← w − η (m̂ + β₂d̂)/(√n̂ + ε)

    β₁ is the member's momentum (the paper: 0.98), in our sense of the share kept; beta_change β₂, beta2 β₃. No
    change at the first step. Decay is decoupled as everywhere here; the paper divides by 1 + η·weight_decay after
    the step. Four numbers per weight: "mean" (m), "change" (d), "square" (n), "last" (g₋).
    """

    name: ClassVar[str] = "adan"
    kept: ClassVar[tuple[str, ...]] = ("mean", "change", "square", "last")
    fractions: ClassVar[tuple[str, ...]] = ("beta2", "beta_change")

    decay: str = "decoupled"
    beta2: float = 0.99
    beta_change: float = 0.92

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        beta, last = self.beta_change, state["last"]
        difference = torch.sub(gradient, last) if step > 1 else torch.zeros_like(gradient)
        last.copy_(gradient)
        mean = state["mean"].lerp_(gradient, 1 - momentum)
        change = state["change"].lerp_(difference, 1 - beta)
        ahead = difference.mul_(beta).add_(gradient).square_()
        square = state["square"].lerp_(ahead, 1 - self.beta2)
        torch.mul(mean, 1 / unbias(momentum, step), out=gradient).add_(change, alpha=beta / (1 - beta**step))
        return gradient.div_((square / (1 - self.beta2**step)).sqrt_().add_(self.epsilon)).neg_()


@dataclass(frozen=True, kw_only=True)
class AdEMAMix(Moments):
    """AdEMAMix (Pagliardini, Ablin, Grangier 2024, arXiv 2409.03137): Adam plus a mean with a very long memory.

        m ← β₁m + (1−β₁)g     l ← β₃ₜl + (1−β₃ₜ)g     w ← w − η (m̂ + αₜl)/(√v̂ + ε)

    alpha α, beta3 β₃. warmup T > 0: until step T α grows as α·t/T, and β₃ₜ from β₁ to β₃ with
    ln β₃ₜ = ln β₁ ln β₃/((1−t/T) ln β₃ + (t/T) ln β₁). Decay is decoupled. Three numbers per weight: "mean" (m),
    "square" (v), "long" (l).
    """

    name: ClassVar[str] = "ademamix"
    kept: ClassVar[tuple[str, ...]] = ("mean", "square", "long")
    fractions: ClassVar[tuple[str, ...]] = ("beta2", "beta3")
    not_negative: ClassVar[tuple[str, ...]] = ("alpha", "warmup")

    decay: str = "decoupled"
    beta3: float = 0.9999
    alpha: float = 5.0
    warmup: int = 0

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean, square = self.follow(gradient, state, momentum)
        long = state["long"].lerp_(gradient, 1 - self._beta3(step, momentum))
        alpha = self.alpha * min(step / self.warmup, 1.0) if self.warmup else self.alpha
        torch.mul(mean, 1 / unbias(momentum, step), out=gradient).add_(long, alpha=alpha)
        return gradient.div_((square / (1 - self.beta2**step)).sqrt_().add_(self.epsilon)).neg_()

    def _beta3(self, step: int, beta1: Each) -> Each:
        if step >= self.warmup:
            return self.beta3
        done, slow = step / self.warmup, math.log(self.beta3)
        if isinstance(beta1, Tensor):
            fasts = torch.log(beta1.clamp(min=1e-12))
            return torch.exp(fasts * slow / ((1 - done) * slow + done * fasts)).clamp(max=self.beta3)
        fast = math.log(max(beta1, 1e-12))
        return min(math.exp(fast * slow / ((1 - done) * slow + done * fast)), self.beta3)


@dataclass(frozen=True, kw_only=True)
class EXAdam(Moments):
    """EXAdam (Adly 2024, arXiv 2412.20302): Adam with corrections that know of each other, and the gradient added.

        a = 1 + β₂ᵗ v/(v + ε)     b = 1 + β₁ᵗ m²/(m² + ε)
        w ← w − η (a·m̂ + a·g/(1−β₁ᵗ))/(√(b·v̂) + ε)

    Decay is decoupled. Memory as Adam: "mean" (m), "square" (v).
    """

    name: ClassVar[str] = "exadam"
    rate_scale: ClassVar[float] = 0.2
    decay: str = "decoupled"

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean, square = self.follow(gradient, state, momentum)
        left1, left2 = unbias(momentum, step), 1 - self.beta2**step
        above = (square / (square + self.epsilon)).mul_(1 - left2).add_(1)
        energy = mean * mean
        below = energy.div_(energy + self.epsilon).mul_(1 - left1).add_(1)
        size = below.mul_(square).div_(left2).sqrt_().add_(self.epsilon)
        return gradient.add_(mean).mul_(above).mul_(-1 / left1).div_(size)


@dataclass(frozen=True, kw_only=True)
class MAS(Moments):
    """MAS (Landro, Gallo, La Grassa 2020, Mixing Adam and SGD, arXiv 2011.08042): a weighted sum of both steps.

        M ← γM + g     w ← w − η(λM + (1−λ) m̂/(√v̂ + ε))

    descent λ: the share of gradient descent. One rate and one momentum γ = β₁ for both (the paper has two rates:
    its η_s/η_a is λ/(1−λ) here). Three numbers per weight: "mean" (m), "square" (v), "velocity" (M).
    """

    name: ClassVar[str] = "mas"
    kept: ClassVar[tuple[str, ...]] = ("mean", "square", "velocity")

    descent: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.descent <= 1:
            raise InputError(f"descent is {self.descent}; expected a number in [0, 1].")

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        direction = self.adam(*self.follow(gradient, state, momentum), momentum, step)
        velocity = state["velocity"].mul_(momentum).add_(gradient)
        return direction.mul_(1 - self.descent).sub_(velocity, alpha=self.descent)


@dataclass(frozen=True, kw_only=True)
class MARS(Moments):
    """MARS-AdamW, approximate form (Yuan, Liu, Wu, Zhou, Gu 2024, arXiv 2411.10438): AdamW on corrected gradients.

        c = g + γ β₁/(1−β₁)(g − g₋)     c ← c/max(1, ‖c‖)     then Adam's step with c in place of g

    g₋ is the gradient of the step before on its own batch, 0 at first, as in the authors' code. ‖c‖ is the norm over
    the member (there: over each parameter, and vectors take plain AdamW). gamma γ. Decay is decoupled. Three numbers
    per weight: "mean" (m), "square" (v), "last" (g₋).
    """

    name: ClassVar[str] = "mars"
    kept: ClassVar[tuple[str, ...]] = ("mean", "square", "last")
    not_negative: ClassVar[tuple[str, ...]] = ("gamma",)

    decay: str = "decoupled"
    beta2: float = 0.99
    gamma: float = 0.025

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        change = gradient - state["last"]
        state["last"].copy_(gradient)
        gradient.add_(change.mul_(momentum / (1 - momentum) * self.gamma))
        gradient.div_(norms(gradient).clamp_(min=1.0))
        return self.adam(*self.follow(gradient, state, momentum), momentum, step)


@dataclass(frozen=True, kw_only=True)
class AdaPNM(Moments):
    """AdaPNM (Xie, Yuan, Zhu, Sugiyama 2021, arXiv 2103.17182): `pnm` over the root of the largest v so far.

        w ← w − η ((1+β)m − βm')/√((1+β)² + β²)/((1−γᵗ)(√(v̂/(1−β₂ᵗ)) + ε))     v̂ ← max(v̂, v)

    Odd and even steps have a momentum each, m ← γ²m + (1−γ²)g for the one whose turn it is. beta β; γ is the member's
    momentum. Decay is decoupled. Four numbers per weight: "odd", "even", "square" (v), "largest" (v̂).
    """

    name: ClassVar[str] = "adapnm"
    kept: ClassVar[tuple[str, ...]] = ("odd", "even", "square", "largest")
    not_negative: ClassVar[tuple[str, ...]] = ("beta",)

    decay: str = "decoupled"
    beta: float = 1.0

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mine, other = (state["odd"], state["even"]) if step % 2 else (state["even"], state["odd"])
        square = state["square"].mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        largest = torch.maximum(state["largest"], square, out=state["largest"])
        mine.lerp_(gradient, 1 - momentum * momentum)
        size = largest.sqrt().div_((1 - self.beta2**step) ** 0.5).add_(self.epsilon).mul_(unbias(momentum, step))
        return positive_negative(mine, other, self.beta).div_(size)
