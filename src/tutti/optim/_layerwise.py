"""Rules that scale each layer's step by the norms of its weights and gradients: LARS, LAMB, Fromage, NovoGrad."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from tutti.optim._elementwise import unbias
from tutti.optim._layers import layer_norms, many, spread
from tutti.optim._rule import Again, ShapedRule, State, check_fraction, check_positive


def ratio(
    above: Float[Tensor, "member layer"], below: Float[Tensor, "member layer"]
) -> Float[Tensor, "member layer"]:
    """above/below, and 1 where either is 0."""
    return torch.where((above > 0) & (below > 0), above / below, 1.0)


@dataclass(frozen=True, kw_only=True)
class LARS(ShapedRule):
    """LARS (You, Gitman, Ginsburg 2017, arXiv 1708.03888): momentum with a rate of its own for each layer.

        λ = trust·‖w‖/(‖g‖ + weight_decay·‖w‖)     M ← γM + λ(g + weight_decay·w)     w ← w − ηM

    for each parameter with two axes or more; vectors take plain momentum without decay. As in pytorch-optimizer the
    rate multiplies the whole memory (the paper's stands inside, as `heavy_ball`'s). λ is 1 where ‖w‖ or the
    denominator is 0. `decay` is not used. One number per weight: "velocity" (M).
    """

    name: ClassVar[str] = "lars"
    rate_scale: ClassVar[float] = 100.0
    trust: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("trust", self.trust)

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
        layout, matrix = self.layout, many(self.layout, weights)
        size, slope = layer_norms(layout, weights), layer_norms(layout, gradient)
        if weight_decay is not None:
            slope = slope + weight_decay * size
            gradient.addcmul_(weights, spread(layout, matrix.expand_as(size)) * weight_decay)
        trust = torch.where((size > 0) & (slope > 0), self.trust * size / slope, 1.0)
        gradient.mul_(spread(layout, torch.where(matrix > 0, trust, 1.0)))
        velocity = state["velocity"].mul_(momentum).add_(gradient)
        weights.addcmul_(velocity, -rate)


@dataclass(frozen=True, kw_only=True)
class LAMB(ShapedRule):
    """LAMB (You et al. 2020, arXiv 1904.00962, algorithm 2): Adam's step at the size of each layer's weights.

        u = m̂/(√v̂ + ε) + weight_decay·w     w ← w − η φ(‖w‖)/‖u‖ · u,     φ(z) = min(z, limit)

    with Adam's bias-corrected means m̂ (β₁ is the member's momentum) and v̂; the factor is 1 where a norm is 0.
    `decay` is not used: the decay stands inside the step. Two numbers per weight: "mean", "square".
    """

    name: ClassVar[str] = "lamb"
    beta2: float = 0.999
    epsilon: float = 1e-6
    limit: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("beta2", self.beta2)
        check_positive("epsilon", self.epsilon)
        check_positive("limit", self.limit)

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
        mean = state["mean"].lerp_(gradient, 1 - momentum)
        square = state["square"].mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        size = (square / (1 - self.beta2**step)).sqrt_().add_(self.epsilon)
        update = (mean / unbias(momentum, step)).div_(size)
        if weight_decay is not None:
            update.addcmul_(weights, weight_decay)
        trust = ratio(layer_norms(self.layout, weights).clamp(max=self.limit), layer_norms(self.layout, update))
        weights.addcmul_(update.mul_(spread(self.layout, trust)), -rate)


@dataclass(frozen=True, kw_only=True)
class Fromage(ShapedRule):
    """Fromage (Bernstein et al. 2020, arXiv 2002.03432): each layer turns by an angle, its size does not creep up.

        w ← (w − η ‖w‖/‖g‖ · g) / √(1 + η²)

    for each parameter; the factor is 1 where a norm is 0. The member's momentum is not used. No memory.
    """

    name: ClassVar[str] = "fromage"

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
        if weight_decay is not None:
            gradient.addcmul_(weights, weight_decay)
        turn = ratio(layer_norms(self.layout, weights), layer_norms(self.layout, gradient))
        weights.addcmul_(gradient.mul_(spread(self.layout, turn)), -rate).div_((1 + rate * rate).sqrt())


@dataclass(frozen=True, kw_only=True)
class NovoGrad(ShapedRule):
    """NovoGrad (Ginsburg et al. 2019, arXiv 1905.11286, algorithm 1): one second moment for each layer.

        v ← β₂v + (1−β₂)‖g‖²     m ← β₁m + (g/(√v + ε) + weight_decay·w)     w ← w − ηm

    with v = ‖g‖² at the first step; β₁ is the member's momentum. `decay` is not used: the decay stands inside m.
    One number per weight, "mean" (m), and one per layer, "square" (v).
    """

    name: ClassVar[str] = "novograd"
    rate_scale: ClassVar[float] = 3.0
    beta2: float = 0.98
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("beta2", self.beta2)
        check_positive("epsilon", self.epsilon)

    @property
    def averages(self) -> tuple[str, ...]:
        return ("mean",)

    def init(self, weights: Float[Tensor, "member weights"]) -> State:
        square = weights.new_zeros(len(weights), len(self.layout.names))
        return {"mean": torch.zeros_like(weights), "square": square}

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
        now = layer_norms(self.layout, gradient).square_()
        square = state["square"].copy_(now) if step == 1 else state["square"].lerp_(now, 1 - self.beta2)
        gradient.div_(spread(self.layout, square.sqrt()).add_(self.epsilon))
        if weight_decay is not None:
            gradient.addcmul_(weights, weight_decay)
        mean = state["mean"].mul_(momentum).add_(gradient)
        weights.addcmul_(mean, -rate)
