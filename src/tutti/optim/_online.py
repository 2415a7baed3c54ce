"""Rules of online learning: sums over all past gradients that are never forgotten."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from tutti.core import InputError
from tutti.optim._elementwise import Each, Elementwise, Weights, over_rate, powers
from tutti.optim._rule import State


@dataclass(frozen=True, kw_only=True)
class AdaSqrt(Elementwise):
    """AdaSqrt (Hu, Lin, Tang 2019, arXiv 1912.09926): Adagrad without the root, times √t.

        S ← S + g²     w ← w − η √t g/(S + ε)

    The member's momentum is not used. One number per weight: "sum" (S).
    """

    name: ClassVar[str] = "adasqrt"
    rate_scale: ClassVar[float] = 0.1
    kept: ClassVar[tuple[str, ...]] = ("sum",)
    positive: ClassVar[tuple[str, ...]] = ("epsilon",)

    epsilon: float = 1e-3

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        total = state["sum"].addcmul_(gradient, gradient)
        return gradient.div_(total + self.epsilon).mul_(-(step**0.5))


@dataclass(frozen=True, kw_only=True)
class AdaAlter(Elementwise):
    """AdaAlter (Xie, Koyejo, Gupta, Lin 2019, arXiv 1911.09030): Adagrad that adds g² after the step, not before.

        w ← w − η g/√(B + ε²)     B ← B + g²

    start: B before the first step. On one machine; between machines the paper averages late. The member's momentum
    is not used. One number per weight: "sum" (B).
    """

    name: ClassVar[str] = "adaalter"
    rate_scale: ClassVar[float] = 30.0
    kept: ClassVar[tuple[str, ...]] = ("sum",)
    positive: ClassVar[tuple[str, ...]] = ("epsilon",)
    not_negative: ClassVar[tuple[str, ...]] = ("start",)

    start: float = 1.0
    epsilon: float = 1.0

    def init(self, weights: Weights) -> State:
        return {"sum": torch.full_like(weights, self.start)}

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        direction = gradient / (state["sum"] + self.epsilon**2).sqrt_()
        state["sum"].addcmul_(gradient, gradient)
        return direction.neg_()


@dataclass(frozen=True, kw_only=True)
class SCAdagrad(Elementwise):
    """SC-Adagrad (Mukkamala and Hein 2017, arXiv 1706.05507): Adagrad for strongly convex functions.

        v ← v + g²     w ← w − η g/(v + ξ₂ exp(−ξ₁v))

    xi1 ξ₁, xi2 ξ₂: the damping that fades as v grows. The member's momentum is not used. One number per weight:
    "sum" (v).
    """

    name: ClassVar[str] = "sc_adagrad"
    rate_scale: ClassVar[float] = 5.0
    kept: ClassVar[tuple[str, ...]] = ("sum",)
    positive: ClassVar[tuple[str, ...]] = ("xi1", "xi2")

    xi1: float = 0.1
    xi2: float = 0.1

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        total = state["sum"].addcmul_(gradient, gradient)
        return gradient.div_((total * -self.xi1).exp_().mul_(self.xi2).add_(total)).neg_()


@dataclass(frozen=True, kw_only=True)
class SCRMSProp(Elementwise):
    """SC-RMSProp (Mukkamala and Hein 2017, arXiv 1706.05507): RMSProp for strongly convex functions.

        β = 1 − γ/t     v ← βv + (1−β)g²     w ← w − η g/(v + (ξ₂/t) exp(−ξ₁tv))

    The paper's rate falls as η/t: schedule `inverse_time` with b = 1. gamma γ, xi1 ξ₁, xi2 ξ₂. The member's momentum
    is not used. One number per weight: "square" (v).
    """

    name: ClassVar[str] = "sc_rmsprop"
    rate_scale: ClassVar[float] = 0.2
    kept: ClassVar[tuple[str, ...]] = ("square",)
    positive: ClassVar[tuple[str, ...]] = ("xi1", "xi2")
    fractions: ClassVar[tuple[str, ...]] = ("gamma",)

    gamma: float = 0.9
    xi1: float = 0.1
    xi2: float = 0.1

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        square = state["square"].lerp_(gradient * gradient, self.gamma / step)
        damping = (square * (-self.xi1 * step)).exp_().mul_(self.xi2 / step)
        return gradient.div_(damping.add_(square)).neg_()


@dataclass(frozen=True, kw_only=True)
class Kate(Elementwise):
    """KATE (Choudhury, Tupitsa, Loizou, Horváth, Takáč, Gorbunov 2024, arXiv 2403.02648): scale-free Adagrad.

        b² ← b² + g² + ε     m² ← m² + δg² + g²/b²     w ← w − η m g/b²

    delta δ (the paper's η). ε is added at every step, as in the authors' code. The first step is about 1/g: a weight
    that starts near its goal is thrown far away, so rates are small. The member's momentum is not used. Two numbers
    per weight: "sum" (b²), "ratio" (m²).
    """

    name: ClassVar[str] = "kate"
    rate_scale: ClassVar[float] = 0.01
    kept: ClassVar[tuple[str, ...]] = ("sum", "ratio")
    positive: ClassVar[tuple[str, ...]] = ("epsilon",)
    not_negative: ClassVar[tuple[str, ...]] = ("delta",)

    delta: float = 0.0
    epsilon: float = 1e-8

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        square = gradient * gradient
        total = state["sum"].add_(square).add_(self.epsilon)
        ratio = state["ratio"].add_(square, alpha=self.delta).addcdiv_(square, total)
        return gradient.div_(total).mul_(ratio.sqrt()).neg_()


@dataclass(frozen=True, kw_only=True)
class MADGRAD(Elementwise):
    """MADGRAD (Defazio and Jelassi 2022, arXiv 2101.11075): dual averaging with cube roots and momentum.

        λ = η√t     s ← s + λg     ν ← ν + λg²     z = w₀ − s/(∛ν + ε)     w ← γw + (1−γ)z

    w₀ is the start, γ the member's momentum. The code of the authors and pytorch_optimizer take λ = (η + ε)√t.
    Decoupled decay shrinks w, not z. A member whose rate is 0 stands still. Three numbers per weight: "origin" (w₀),
    "sum" (s), "square" (ν).
    """

    name: ClassVar[str] = "madgrad"
    rate_scale: ClassVar[float] = 3.0
    kept: ClassVar[tuple[str, ...]] = ("origin", "sum", "square")
    positive: ClassVar[tuple[str, ...]] = ("epsilon",)

    epsilon: float = 1e-6

    def init(self, weights: Weights) -> State:
        return super().init(weights) | {"origin": weights.clone()}

    def direction(
        self, weights: Weights, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each
    ) -> Weights:
        weight = rate * step**0.5
        state["square"].add_((gradient * gradient).mul_(weight))
        total = state["sum"].add_(gradient.mul_(weight))
        goal = state["origin"] - total / powers(state["square"], 1 / 3).add_(self.epsilon)
        return over_rate(goal.sub_(weights).mul_(1 - momentum), rate)


@dataclass(frozen=True, kw_only=True)
class FTRL(Elementwise):
    """FTRL-Proximal (McMahan et al. 2013, Ad click prediction): follow the regularised leader, with exact zeros.

        n ← n + g²     σ = √n/η − √n₋/η₋     z ← z + g − σw
        w ← 0 where |z| <= λ₁, else −(z − λ₁ sign(z))/((β + √n)/η + λ₂)

    n₋, η₋ are those of the step before: the paper's σ, whose sum is the inverse rate of a weight, for an η that may
    change. lambda1 λ₁, lambda2 λ₂, beta β. The method starts from w = 0; with β = λ₁ = λ₂ = 0 it can start anywhere.
    A weight that has not seen a gradient (n = 0) stays as it is. The member's momentum is not used. Two numbers per
    weight: "z", "sum" (n); one per member: "rate" (η₋).
    """

    name: ClassVar[str] = "ftrl"
    rate_scale: ClassVar[float] = 3.0
    kept: ClassVar[tuple[str, ...]] = ("z", "sum")
    per_member: ClassVar[tuple[str, ...]] = ("rate",)
    not_negative: ClassVar[tuple[str, ...]] = ("beta", "lambda1", "lambda2")

    beta: float = 0.0
    lambda1: float = 0.0
    lambda2: float = 0.0

    def direction(
        self, weights: Weights, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each
    ) -> Weights:
        z, total, last = state["z"], state["sum"], state["rate"]
        before = over_rate(total.sqrt(), last)
        root = total.addcmul_(gradient, gradient).sqrt()
        last.copy_(torch.where(torch.zeros_like(last).add_(rate) > 0, rate, last))
        z.add_(gradient).sub_(over_rate(root.clone(), last).sub_(before).mul_(weights))
        # Both sides of the paper's quotient times η.
        size = (root + self.beta).add_(self.lambda2 * rate)
        solution = z.sign().mul_(self.lambda1).sub_(z).mul_(rate).div_(size)
        solution = torch.where(z.abs() <= self.lambda1, 0.0, solution)
        return over_rate(torch.where(total > 0, solution - weights, 0.0), rate)


@dataclass(frozen=True, kw_only=True)
class SRMM(Elementwise):
    """SRMM (Lyu 2022, Stochastic regularized majorization-minimization, arXiv 2201.01652) with quadratic surrogates.

        a = (((t−1) mod L) + 1)^−β     ḡ ← (1−a)ḡ + ag     w̄ ← (1−a)w̄ + aw     w, w̄ ← w̄ − ηḡ

    window L, fading β. (pytorch_optimizer starts at a = 2^−β, which shrinks the first weights.) The member's
    momentum is not used. Two numbers per weight: "mean" (ḡ), "centre" (w̄).
    """

    name: ClassVar[str] = "srmm"
    rate_scale: ClassVar[float] = 30.0
    kept: ClassVar[tuple[str, ...]] = ("mean", "centre")
    not_negative: ClassVar[tuple[str, ...]] = ("fading",)

    window: int = 100
    fading: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window < 1:
            raise InputError(f"window is {self.window}; expected a whole number of at least 1.")

    def direction(
        self, weights: Weights, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each
    ) -> Weights:
        share = ((step - 1) % self.window + 1) ** -self.fading
        mean, centre = state["mean"].lerp_(gradient, share), state["centre"].lerp_(weights, share)
        centre.sub_(mean * rate)
        return over_rate(centre - weights, rate)


@dataclass(frozen=True, kw_only=True)
class RMSterov(Elementwise):
    """RMSterov (Choi et al. 2019, On empirical comparisons of optimizers, arXiv 1910.05446): RMSProp with Nesterov's
    momentum.

        v ← ρv + (1−ρ)g²     d = η g/√(v + ε)     M ← γM + d     w ← w − (γM + d)

    v starts at `start` (1 in the paper). γ is the member's momentum; M holds rates, as in `heavy_ball`.
    Two numbers per weight: "square" (v), "velocity" (M).
    """

    name: ClassVar[str] = "rmsterov"
    rate_scale: ClassVar[float] = 5.0
    kept: ClassVar[tuple[str, ...]] = ("square", "velocity")
    fractions: ClassVar[tuple[str, ...]] = ("rho",)
    positive: ClassVar[tuple[str, ...]] = ("epsilon",)
    not_negative: ClassVar[tuple[str, ...]] = ("start",)

    rho: float = 0.99
    epsilon: float = 1e-10
    start: float = 1.0

    def init(self, weights: Weights) -> State:
        return {"square": torch.full_like(weights, self.start), "velocity": torch.zeros_like(weights)}

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        square = state["square"].mul_(self.rho).addcmul_(gradient, gradient, value=1 - self.rho)
        gradient.div_((square + self.epsilon).sqrt_()).mul_(rate)
        velocity = state["velocity"].mul_(momentum).add_(gradient)
        return over_rate(gradient.add_(velocity * momentum).neg_(), rate)
