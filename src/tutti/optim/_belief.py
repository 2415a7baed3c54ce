"""Rules that divide by how far gradients stray from what was expected of them: variances and beliefs."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tutti.core import InputError
from tutti.optim._elementwise import Each, Elementwise, Moments, Weights, unbias
from tutti.optim._rule import State


@dataclass(frozen=True, kw_only=True)
class AdaBelief(Moments):
    """AdaBelief (Zhuang et al. 2020): Adam with the squared distance of g from its mean in place of g².

        s ← β₂s + (1−β₂)(g − m)² + ε     w ← w − η m̂/(√ŝ + ε)     with m after this step's update

    Decay is decoupled, as in the authors' code. Two numbers per weight: "mean" (m), "variance" (s).
    """

    name: ClassVar[str] = "adabelief"
    kept: ClassVar[tuple[str, ...]] = ("mean", "variance")

    decay: str = "decoupled"
    epsilon: float = 1e-16

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean = state["mean"].lerp_(gradient, 1 - momentum)
        gradient.sub_(mean)
        variance = state["variance"].mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        return self.adam(mean, variance.add_(self.epsilon), momentum, step)


@dataclass(frozen=True, kw_only=True)
class ACProp(Moments):
    """ACProp (Zhuang et al. 2021, Momentum centering and asynchronous update, arXiv 2110.05454).

        w ← w − η g/(√(s/(1−β₂ᵗ⁻¹)) + ε)   with the s of before;   then s ← β₂s + (1−β₂)(g − m)² + ε

    so the divisor and g are independent. m ← β₁m + (1−β₁)g serves s alone. The first step is −ηg, as in the
    authors' code, whose ε is 1e-16: there a weight whose gradients were 0 for a while, behind a dead unit, leaps by
    g·1e8 when the first one comes. Two numbers per weight: "mean" (m), "variance" (s).
    """

    name: ClassVar[str] = "acprop"
    kept: ClassVar[tuple[str, ...]] = ("mean", "variance")

    decay: str = "decoupled"

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean, variance = state["mean"].lerp_(gradient, 1 - momentum), state["variance"]
        direction = -gradient
        if step > 1:
            direction.div_((variance / (1 - self.beta2 ** (step - 1))).sqrt_().add_(self.epsilon))
        gradient.sub_(mean)
        variance.mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2).add_(self.epsilon)
        return direction


@dataclass(frozen=True, kw_only=True)
class FastAdaBelief(Elementwise):
    """FastAdaBelief (Zhou et al. 2021, arXiv 2104.13790): AdaBelief for strongly convex functions, without the root.

        β₂ₜ = 1 − γ/t     s ← β₂ₜs + (1−β₂ₜ)(g − m)²     ŝ ← max(ŝ, s)     w ← w − η m/(ŝ + δ/t)

    with m ← β₁m + (1−β₁)g. The paper's rate falls as η/t: schedule `inverse_time` with b = 1. gamma γ, delta δ.
    Three numbers per weight: "mean" (m), "variance" (s), "largest" (ŝ).
    """

    name: ClassVar[str] = "fast_adabelief"
    rate_scale: ClassVar[float] = 0.1
    kept: ClassVar[tuple[str, ...]] = ("mean", "variance", "largest")
    positive: ClassVar[tuple[str, ...]] = ("delta",)
    fractions: ClassVar[tuple[str, ...]] = ("gamma",)

    gamma: float = 0.9
    delta: float = 0.01

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean = state["mean"].lerp_(gradient, 1 - momentum)
        gradient.sub_(mean).square_()
        state["variance"].lerp_(gradient, self.gamma / step)
        largest = torch.maximum(state["largest"], state["variance"], out=state["largest"])
        return torch.div(mean, largest + self.delta / step, out=gradient).neg_()


@dataclass(frozen=True, kw_only=True)
class EAdam(Moments):
    """EAdam (Yuan and Gao 2020, arXiv 2011.02150): Adam with ε added to v at every step, where it gathers.

        v ← β₂v + (1−β₂)g² + ε     w ← w − η m̂/√v̂

    Memory as Adam: "mean" (m), "square" (v).
    """

    name: ClassVar[str] = "eadam"

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean, square = self.follow(gradient, state, momentum)
        scale = -((1 - self.beta2**step) ** 0.5) / unbias(momentum, step)
        return torch.div(mean, square.add_(self.epsilon).sqrt(), out=gradient).mul_(scale)


@dataclass(frozen=True, kw_only=True)
class SDProp(Elementwise):
    """SDProp (Ida, Fujiwara, Iwamura 2017): gradient descent over the gradient's running standard deviation.

        c ← γc + γ(1−γ)(g − m)²     m ← γm + (1−γ)g     w ← w − η √(1−γᵗ) g/(√c + ε)

    gamma γ; c uses the m of before. The member's momentum is not used. Two numbers per weight: "mean", "variance".
    """

    name: ClassVar[str] = "sdprop"
    kept: ClassVar[tuple[str, ...]] = ("mean", "variance")
    fractions: ClassVar[tuple[str, ...]] = ("gamma",)
    positive: ClassVar[tuple[str, ...]] = ("epsilon",)

    gamma: float = 0.99
    epsilon: float = 1e-8

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        gamma, away = self.gamma, gradient - state["mean"]
        variance = state["variance"].mul_(gamma).addcmul_(away, away, value=gamma * (1 - gamma))
        state["mean"].lerp_(gradient, 1 - gamma)
        return gradient.div_(variance.sqrt().add_(self.epsilon)).mul_(-((1 - gamma**step) ** 0.5))


@dataclass(frozen=True, kw_only=True)
class MSVAG(Elementwise):
    """M-SVAG (Balles and Hennig 2018, Dissecting Adam, arXiv 1705.07774): momentum times its signal-to-noise ratio.

        m̂, v̂ as Adam with one β = the member's momentum     s = (v̂ − m̂²)/(1 − ρ)     w ← w − η m̂ m̂²/(m̂² + ρs)
        ρ = (1−β)(1+βᵗ)/((1+β)(1−βᵗ)): the variance of m̂ over that of g

    At t = 1 one gradient says nothing of the variance: s counts as 0 and the step is −ηg. Two numbers per weight:
    "mean", "square". The momentum must be above 0.
    """

    name: ClassVar[str] = "msvag"
    rate_scale: ClassVar[float] = 50.0
    kept: ClassVar[tuple[str, ...]] = ("mean", "square")

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean = state["mean"].lerp_(gradient, 1 - momentum)
        square = state["square"].lerp_(gradient * gradient, 1 - momentum)
        if step == 1:
            return gradient.neg_()
        left = unbias(momentum, step)
        rho = (1 - momentum) * (2 - left) / ((1 + momentum) * left)
        mean, signal = mean / left, (mean / left).square_()
        noise = (square / left).sub_(signal).mul_(rho / (1 - rho))
        share = (signal / noise.add_(signal)).clamp_(0, 1).nan_to_num_(nan=0.0)
        return mean.mul_(share).neg_()


@dataclass(frozen=True, kw_only=True)
class CProp(Moments):
    """CProp on Adam (Preechakul and Kijsirikul 2019, arXiv 1912.11493): Adam's step times the trust in its sign.

        w ← w − η min(1, c·erf(|a|/(√2·e)))·m̂/(√v̂ + ε)     e = √((b − a²)/(n − 1 + ε)) + ε

    a, b are bias-corrected running means of g and g² by beta_trust, n = (1 − beta_trustᵗ)/(1 − beta_trust) their
    effective count: erf is |2Φ(a/e) − 1|, the probability that the true gradient has the sign of a, from 0 to 1.
    trust c. Four numbers per weight: "mean", "square", "signal", "spread".
    """

    name: ClassVar[str] = "cprop"
    kept: ClassVar[tuple[str, ...]] = ("mean", "square", "signal", "spread")
    fractions: ClassVar[tuple[str, ...]] = ("beta2", "beta_trust")
    positive: ClassVar[tuple[str, ...]] = ("epsilon", "trust")

    beta_trust: float = 0.999
    trust: float = 1.0

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        direction = self.adam(*self.follow(gradient, state, momentum), momentum, step)
        beta, left = self.beta_trust, 1 - self.beta_trust**step
        signal = state["signal"].lerp_(gradient, 1 - beta) / left
        spread = state["spread"].mul_(beta).addcmul_(gradient, gradient, value=1 - beta) / left
        count = left / (1 - beta)
        spread.addcmul_(signal, signal, value=-1).clamp_(min=0).div_(count - 1 + self.epsilon).sqrt_()
        sure = signal.abs_().div_(spread.add_(self.epsilon).mul_(2**0.5))
        return direction.mul_(torch.erf(sure).mul_(self.trust).clamp_(max=1.0))


@dataclass(frozen=True, kw_only=True)
class AngularGrad(Moments):
    """AngularGrad (Roy et al. 2021, arXiv 2105.10190): Adam damped by the angle between successive gradients.

        A = atan|(g − g₋)/(1 + g g₋)|     w ← w − η φ m̂/(√v̂ + ε)     φ = ½ tanh|cos min(A, A₋)| + ½

    angle "cos" or "tan" in place of cos; g₋, A₋ are those of the step before, 0 at first. The paper's rule, weight
    by weight; the authors' code replaces the smaller angle by a majority vote over each parameter.
    Four numbers per weight: "mean" (m), "square" (v), "last" (g₋), "angle" (A₋).
    """

    name: ClassVar[str] = "angulargrad"
    kept: ClassVar[tuple[str, ...]] = ("mean", "square", "last", "angle")

    angle: str = "cos"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.angle not in ("cos", "tan"):
            raise InputError(f"angle is {self.angle!r}; expected 'cos' or 'tan'.")

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        direction = self.adam(*self.follow(gradient, state, momentum), momentum, step)
        last = state["last"]
        angle = (gradient - last).div_((gradient * last).add_(1)).abs_().atan_()
        smaller = torch.minimum(angle, state["angle"])
        state["angle"].copy_(angle)
        last.copy_(gradient)
        size: Tensor = torch.cos(smaller) if self.angle == "cos" else torch.tan(smaller)
        return direction.mul_(size.abs_().tanh_().mul_(0.5).add_(0.5))
