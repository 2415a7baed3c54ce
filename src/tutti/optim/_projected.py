"""Rules whose steps do not lengthen weights that a normalisation makes scale-free: AdamP and SGDP."""

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cosine_similarity

from tutti.optim._elementwise import unbias
from tutti.optim._layers import spread
from tutti.optim._rule import Again, ShapedRule, State, check_fraction, check_positive


@dataclass(frozen=True, kw_only=True)
class Projected(ShapedRule):
    """What AdamP and SGDP (Heo et al. 2021, arXiv 2006.08217) share: the projection.

    A parameter with two axes or more counts as scale-free where its weights and gradient are nearly orthogonal:
    max |cos(w, g)| < delta/√n, first over the rows that feed each output (n weights each), else over the whole
    parameter. Its step u then loses the part along ŵ = w/(‖w‖ + ε), u ← u − ŵ(ŵ·u) row by row (or as a whole), and
    its weight decay is multiplied by decay_ratio.
    """

    delta: float = 0.1
    decay_ratio: float = 0.1
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("delta", self.delta)
        check_positive("epsilon", self.epsilon)

    def project(
        self,
        weights: Float[Tensor, "member weights"],
        gradient: Float[Tensor, "member weights"],
        update: Float[Tensor, "member weights"],
    ) -> Float[Tensor, "member layer"]:
        """Takes the radial part out of `update`, in place; the factor of each layer's weight decay."""
        views = [self.layout.views(x).values() for x in (weights, gradient, update)]
        factors = [self._one(w, g, u) for w, g, u in zip(*views, strict=True)]
        return torch.stack(factors, dim=1)

    def _one(self, w: Tensor, g: Tensor, u: Tensor) -> Float[Tensor, " member"]:
        """The projection of one parameter, [member, …]."""
        if w.ndim < 3:
            return w.new_ones(len(w))
        rows = self._free(w.flatten(2), g.flatten(2))
        whole = self._free(w.flatten(1)[:, None], g.flatten(1)[:, None])
        for free, axes in ((rows, 2), (whole & ~rows, 1)):
            flat = w.flatten(axes)
            unit = flat / torch.linalg.vector_norm(flat, dim=-1, keepdim=True).add_(self.epsilon)
            radial = unit * (unit * u.flatten(axes)).sum(-1, keepdim=True)
            u.sub_(torch.where(free.view(-1, *[1] * (w.ndim - 1)), radial.view_as(w), 0.0))
        return torch.where(rows | whole, self.decay_ratio, 1.0).to(w.dtype)

    def _free(self, w: Float[Tensor, "member row n"], g: Float[Tensor, "member row n"]) -> Tensor:
        cosine: Tensor = cosine_similarity(g, w, dim=2, eps=self.epsilon).abs().amax(1)
        return cosine.lt(self.delta / prod(w.shape[2:]) ** 0.5)

    def shrink(
        self,
        weights: Float[Tensor, "member weights"],
        factors: Float[Tensor, "member layer"],
        amount: Float[Tensor, "member 1"],
    ) -> None:
        """w ← w(1 − amount·factor of its layer)."""
        weights.mul_(1 - spread(self.layout, factors * amount))


@dataclass(frozen=True, kw_only=True)
class AdamP(Projected):
    """AdamP (Heo et al. 2021, arXiv 2006.08217): Adam's step, projected, with decoupled weight decay.

        u = m̂/(√v̂ + ε)     w ← w(1 − η·weight_decay·factor) − η project(u)     (see `Projected`)

    β₁ is the member's momentum. nesterov: the step is (β₁m + (1−β₁)g)/(√v̂ + ε). Memory as Adam.
    """

    name: ClassVar[str] = "adamp"
    decay: str = "decoupled"
    beta2: float = 0.999
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("beta2", self.beta2)

    @property
    def averages(self) -> tuple[str, ...]:
        return ("mean", "square")

    def move(
        self,
        weights: Float[Tensor, "member weights"],
        gradient: Float[Tensor, "member weights"],
        state: State,
        *,
        step: int,
        rate: Float[Tensor, "member 1"],
        weight_decay: Float[Tensor, "member 1"] | None,
        momentum: float | Float[Tensor, "member 1"],
        loss: Float[Tensor, " member"],
        again: Again,
    ) -> None:
        if weight_decay is not None and self.decay == "coupled":
            gradient.addcmul_(weights, weight_decay)
        mean = state["mean"].lerp_(gradient, 1 - momentum)
        square = state["square"].mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        size = (square / (1 - self.beta2**step)).sqrt_().add_(self.epsilon)
        update = (torch.lerp(mean, gradient, 1 - momentum) if self.nesterov else mean) / size
        factors = self.project(weights, gradient, update)
        if weight_decay is not None and self.decay == "decoupled":
            self.shrink(weights, factors, rate * weight_decay)
        weights.addcmul_(update, -rate / unbias(momentum, step))


@dataclass(frozen=True, kw_only=True)
class SGDP(Projected):
    """SGDP (Heo et al. 2021, arXiv 2006.08217): momentum's step, projected, with decoupled weight decay.

        M ← γM + g     w ← w(1 − η·weight_decay·factor/(1−γ)) − η project(M)     (see `Projected`)

    nesterov: the step is g + γM. The decay is w ← w(1 − η·weight_decay/(1−γ)), as the
    authors write it. One number per weight: "velocity" (M).
    """

    name: ClassVar[str] = "sgdp"
    rate_scale: ClassVar[float] = 10.0
    decay: str = "decoupled"
    nesterov: bool = False

    @property
    def averages(self) -> tuple[str, ...]:
        return ("velocity",)

    def move(
        self,
        weights: Float[Tensor, "member weights"],
        gradient: Float[Tensor, "member weights"],
        state: State,
        *,
        step: int,
        rate: Float[Tensor, "member 1"],
        weight_decay: Float[Tensor, "member 1"] | None,
        momentum: float | Float[Tensor, "member 1"],
        loss: Float[Tensor, " member"],
        again: Again,
    ) -> None:
        if weight_decay is not None and self.decay == "coupled":
            gradient.addcmul_(weights, weight_decay)
        velocity = state["velocity"].mul_(momentum).add_(gradient)
        update = gradient + velocity * momentum if self.nesterov else velocity.clone()
        factors = self.project(weights, gradient, update)
        if weight_decay is not None and self.decay == "decoupled":
            self.shrink(weights, factors, rate * weight_decay / (1 - momentum))
        weights.addcmul_(update, -rate)
