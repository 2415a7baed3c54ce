"""Rules whose rate is one number for each member, from the norms of its whole gradient."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from tutti.optim._clipping import norms
from tutti.optim._elementwise import Each, Elementwise, Moments, Weights, over_rate, unbias
from tutti.optim._rule import ShapedRule, State


@dataclass(frozen=True, kw_only=True)
class NormalisedSGD(Elementwise):
    """Normalised gradient descent (Hazan, Levy, Shalev-Shwartz 2015, arXiv 1507.02030): w ← w − η g/(‖g‖ + ε).

    ‖g‖ is the norm of the member's whole gradient. The momentum is not used. No memory.
    """

    name: ClassVar[str] = "normalised_sgd"
    rate_scale: ClassVar[float] = 50.0
    positive: ClassVar[tuple[str, ...]] = ("epsilon",)

    epsilon: float = 1e-12

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        return gradient.div_(norms(gradient).add_(self.epsilon)).neg_()


@dataclass(frozen=True, kw_only=True)
class SNGM(Elementwise):
    """SNGM (Zhao, Xie, Li 2020, arXiv 2007.13985): momentum of normalised gradients, for large batches.

        u ← γu + g/(‖g‖ + ε)     w ← w − ηu

    ‖g‖ is the norm of the member's whole gradient, γ its momentum. One number per weight: "velocity" (u).
    """

    name: ClassVar[str] = "sngm"
    rate_scale: ClassVar[float] = 5.0
    kept: ClassVar[tuple[str, ...]] = ("velocity",)
    positive: ClassVar[tuple[str, ...]] = ("epsilon",)

    epsilon: float = 1e-12

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        velocity = state["velocity"].mul_(momentum).add_(gradient / norms(gradient).add_(self.epsilon))
        return torch.neg(velocity, out=gradient)


@dataclass(frozen=True, kw_only=True)
class AdagradNorm(Elementwise):
    """AdaGrad-Norm (Ward, Wu, Bottou 2019, arXiv 1806.01811): b² ← b² + ‖g‖², w ← w − η g/b.

    start: b before the first step. The momentum is not used. One number per member: "sum" (b²).
    """

    name: ClassVar[str] = "adagrad_norm"
    rate_scale: ClassVar[float] = 100.0
    per_member: ClassVar[tuple[str, ...]] = ("sum",)
    positive: ClassVar[tuple[str, ...]] = ("start",)

    start: float = 0.1

    def init(self, weights: Weights) -> State:
        return {"sum": weights.new_full((len(weights), 1), self.start**2)}

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        return gradient.div_(state["sum"].add_(norms(gradient).square_()).sqrt()).neg_()


@dataclass(frozen=True, kw_only=True)
class WNGrad(Elementwise):
    """WNGrad (Wu, Ward, Bottou 2018, arXiv 1803.02865): b ← b + ‖g‖²/b, w ← w − η g/b.

    start: b before the first step. The momentum is not used. One number per member: "size" (b).
    """

    name: ClassVar[str] = "wngrad"
    rate_scale: ClassVar[float] = 300.0
    per_member: ClassVar[tuple[str, ...]] = ("size",)
    positive: ClassVar[tuple[str, ...]] = ("start",)

    start: float = 1.0

    def init(self, weights: Weights) -> State:
        return {"size": weights.new_full((len(weights), 1), self.start)}

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        size = state["size"]
        size.add_(norms(gradient).square_().div_(size))
        return gradient.div_(size).neg_()


@dataclass(frozen=True, kw_only=True)
class AcceleGrad(Elementwise):
    """AcceleGrad (Levy, Yurtsever, Cevher 2018, arXiv 1809.02864): Nesterov's coupling with an adaptive rate.

        a = 1 for t <= 3, t/4 after     S ← S + a²‖g‖²     η' = 2η/√(scale² + S)
        z ← z − aη'g     y ← w − η'g     w ← z/a₊ + (1 − 1/a₊)y     (a₊: the a of the next step)

    The rate η is the paper's D, the diameter; its projection is left out. scale is its G. y and z start at w. The
    momentum is not used. Two numbers per weight: "y", "z"; one per member: "sum" (S).
    """

    name: ClassVar[str] = "accelegrad"
    rate_scale: ClassVar[float] = 50.0
    kept: ClassVar[tuple[str, ...]] = ("y", "z")
    per_member: ClassVar[tuple[str, ...]] = ("sum",)
    positive: ClassVar[tuple[str, ...]] = ("scale",)

    scale: float = 1.0

    def init(self, weights: Weights) -> State:
        return super().init(weights) | {"y": weights.clone(), "z": weights.clone()}

    def direction(
        self, weights: Weights, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each
    ) -> Weights:
        weight, following = (1.0 if t <= 3 else t / 4 for t in (step, step + 1))
        total = state["sum"].add_(norms(gradient).square_().mul_(weight**2))
        gradient.mul_(2 * rate / (total + self.scale**2).sqrt_())
        z = state["z"].sub_(gradient, alpha=weight)
        y = torch.sub(weights, gradient, out=state["y"])
        return over_rate(torch.lerp(y, z, 1 / following).sub_(weights), rate)


@dataclass(frozen=True, kw_only=True)
class AdaSGD(Elementwise, ShapedRule):
    """AdaSGD (Wang and Wiens 2020, arXiv 2006.16541): Adam with one second moment for the whole network.

        m ← β₁m + (1−β₁)g     v ← β₂v + (1−β₂)‖g‖²/n     w ← w − η m̂/(√v̂ + ε)

    n is the number of the member's weights. One number per weight: "mean" (m); one per member: "square" (v).
    """

    name: ClassVar[str] = "adasgd"
    kept: ClassVar[tuple[str, ...]] = ("mean",)
    per_member: ClassVar[tuple[str, ...]] = ("square",)
    fractions: ClassVar[tuple[str, ...]] = ("beta2",)
    positive: ClassVar[tuple[str, ...]] = ("epsilon",)

    beta2: float = 0.999
    epsilon: float = 1e-8

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean = state["mean"].lerp_(gradient, 1 - momentum)
        square = state["square"].lerp_(norms(gradient).square_().div_(self.layout.used), 1 - self.beta2)
        size = (square / (1 - self.beta2**step)).sqrt_().add_(self.epsilon).mul_(unbias(momentum, step))
        return torch.div(mean, size, out=gradient).neg_()


@dataclass(frozen=True, kw_only=True)
class AvaGrad(Moments, ShapedRule):
    """AvaGrad (Savarese, McAllester, Babu, Maire 2021, arXiv 1912.01823): rates per weight from before, normalised.

        m ← β₁m + (1−β₁)g     a = 1/(√v + ε) with the v of before     w ← w − η a·m/rms(a)     v ← β₂v + (1−β₂)g²

    rms over the member's weights: ε and η can be tuned apart. No bias corrections, as in the paper (its code and
    pytorch_optimizer correct, and normalise by the step before). Memory as Adam: "mean" (m), "square" (v).
    """

    name: ClassVar[str] = "avagrad"
    rate_scale: ClassVar[float] = 50.0

    epsilon: float = 0.1

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        rates = 1 / state["square"].sqrt().add_(self.epsilon)
        mean, _ = self.follow(gradient, state, momentum)
        used = self.layout.used
        return rates.div_(norms(rates[:, :used]).div_(-(used**0.5))).mul_(mean)


@dataclass(frozen=True, kw_only=True)
class Adai(Elementwise, ShapedRule):
    """Adai (Xie, Wang, Zhang, Sato, Sugiyama 2022, arXiv 2006.15815): inertia, not the rate, adapts to each weight.

        v ← β₂v + (1−β₂)g²     β₁ = clip(1 − β₀v̂/mean(v̂), 0, 1 − ε)     m ← β₁m + (1−β₁)g     P ← Pβ₁
        w ← w − η m/(1 − P)

    mean over the member's weights. beta0 β₀; the member's momentum is not used. (pytorch_optimizer also keeps the
    mean at 1e-3 or more.) Three numbers per weight: "mean" (m), "square" (v), "product" (P).
    """

    name: ClassVar[str] = "adai"
    rate_scale: ClassVar[float] = 30.0
    kept: ClassVar[tuple[str, ...]] = ("mean", "square", "product")
    fractions: ClassVar[tuple[str, ...]] = ("beta2",)
    positive: ClassVar[tuple[str, ...]] = ("beta0", "epsilon")

    beta0: float = 0.1
    beta2: float = 0.99
    epsilon: float = 1e-3

    def init(self, weights: Weights) -> State:
        return super().init(weights) | {"product": torch.ones_like(weights)}

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        square = state["square"].mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        typical = square[:, : self.layout.used].mean(1, keepdim=True).clamp(min=torch.finfo(square.dtype).tiny)
        inertia = (square / typical).mul_(-self.beta0).add_(1).clamp_(0, 1 - self.epsilon)
        mean = state["mean"].lerp_(gradient, 1 - inertia)
        product = state["product"].mul_(inertia)
        return torch.div(mean, product - 1, out=gradient)


@dataclass(frozen=True, kw_only=True)
class SWATS(Moments):
    """SWATS (Keskar and Socher 2017, arXiv 1712.07628): Adam that turns into gradient descent with the rate it found.

        p = m̂/(√v̂ + ε)     k = (p·p)/(p·g)     λ ← β₂λ + (1−β₂)k     w ← w − ηp
        where t > 1, λ̂ = λ/(1−β₂ᵗ) > 0 and η|λ̂ − k| < tolerance:  from the next step on, with Λ = λ̂ of then,
        M ← β₁M + g     w ← w − (1−β₁)ηΛM

    A step with p·g = 0 has no k and changes nothing in λ. Each member turns by itself. The paper's tolerance is
    1e-9; larger ones turn earlier. Three numbers per weight: "mean" (m), "square" (v), "velocity" (M); two per
    member: "ratio" (λ), "found" (Λ; 0 before the turn).
    """

    name: ClassVar[str] = "swats"
    kept: ClassVar[tuple[str, ...]] = ("mean", "square", "velocity")
    per_member: ClassVar[tuple[str, ...]] = ("ratio", "found")
    positive: ClassVar[tuple[str, ...]] = ("epsilon", "tolerance")

    tolerance: float = 1e-9

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        ratio, found = state["ratio"], state["found"]
        turned = found > 0
        velocity = state["velocity"].mul_(momentum).add_(gradient).mul_(turned)
        descent = velocity * (found * (momentum - 1))
        adam = self.adam(*self.follow(gradient, state, momentum), momentum, step)
        along = -(adam * gradient).sum(1, keepdim=True)
        seen = along != 0
        quotient = (adam * adam).sum(1, keepdim=True).div_(torch.where(seen, along, 1.0))
        ratio.copy_(torch.where(seen, torch.lerp(ratio, quotient, 1 - self.beta2), ratio))
        found_now = ratio / (1 - self.beta2**step)
        near = ((found_now - quotient).abs_() * rate < self.tolerance) & seen & (found_now > 0)
        if step > 1:
            found.copy_(torch.where(turned, found, torch.where(near, found_now, 0.0)))
        return torch.where(turned, descent, adam)
