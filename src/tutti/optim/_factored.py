"""Rules that keep a second moment for each row and column instead of each weight: Adafactor and SM3."""

from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from tutti.core import InputError
from tutti.optim._layers import layer_norms, spread
from tutti.optim._rule import Again, ShapedRule, State, check_positive


def at_least_a_vector(view: Float[Tensor, "member ..."]) -> Float[Tensor, "member n ..."]:
    """The parameter itself; a scalar with an axis of length 1."""
    return view if view.ndim > 1 else view[:, None]


@dataclass(frozen=True, kw_only=True)
class Adafactor(ShapedRule):
    """Adafactor (Shazeer and Stern 2018, arXiv 1804.04235), as torch.optim.Adafactor has it.

    For each parameter, with b = t^beta2_decay: R ← (1−b)R + b·mean over columns of g², C likewise over rows,
    V = RC/mean(R) (vectors: V ← (1−b)V + b·g²); u = g/√V, and

        w ← w − max(ε₂, rms(w))·min(η, 1/√t)/max(1, rms(u)/limit) · u

    ε₁ (None: the dtype's) bounds mean(R) and √V from below. Matrices are the last two axes. Decoupled decay:
    w ← w(1 − η·weight_decay), after rms(w) is taken, as in torch. The member's momentum is not used. Memory for an
    m × n matrix: m + n; for a vector as many as it has.
    """

    name: ClassVar[str] = "adafactor"
    rate_scale: ClassVar[float] = 10.0
    decay: str = "decoupled"
    beta2_decay: float = -0.8
    epsilon1: float | None = None
    epsilon2: float = 1e-3
    limit: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("epsilon2", self.epsilon2)
        check_positive("limit", self.limit)
        if not self.beta2_decay <= 0:
            raise InputError(f"beta2_decay is {self.beta2_decay}; expected a number of at most 0.")

    def init(self, weights: Float[Tensor, "member weights"]) -> State:
        state: State = {}
        for name, view in self.layout.views(weights).items():
            if view.ndim > 2:
                state[f"row.{name}"] = torch.zeros_like(view[..., :1])
                state[f"column.{name}"] = torch.zeros_like(view[..., :1, :])
            else:
                state[f"square.{name}"] = torch.zeros_like(view)
        return state

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
        roots = weights.new_tensor([s**0.5 for s in self.layout.sizes])
        size = (layer_norms(self.layout, weights) / roots).clamp(min=self.epsilon2)
        for name, view in self.layout.views(gradient).items():
            view.mul_(self._inverse_root(name, view, state, step**self.beta2_decay))
        excess = (layer_norms(self.layout, gradient) / (roots * self.limit)).clamp(min=1.0)
        if weight_decay is not None and self.decay == "decoupled":
            weights.mul_(1 - rate * weight_decay)
        weights.addcmul_(gradient.mul_(spread(self.layout, size / excess)), -rate.clamp(max=step**-0.5))

    def _inverse_root(self, name: str, g: Tensor, state: State, weight: float) -> Tensor:
        """1/√V of one parameter, after its moments have taken up the gradient."""
        epsilon = torch.finfo(g.dtype).eps if self.epsilon1 is None else self.epsilon1
        if g.ndim > 2:
            row = state[f"row.{name}"].lerp_(g.square().mean(-1, keepdim=True), weight)
            column = state[f"column.{name}"].lerp_(g.square().mean(-2, keepdim=True), weight)
            square = row * column / row.mean(-2, keepdim=True).clamp(min=epsilon)
        else:
            square = state[f"square.{name}"].lerp_(g.square(), weight)
        return square.clamp(min=epsilon * epsilon).rsqrt_()


@dataclass(frozen=True, kw_only=True)
class SM3(ShapedRule):
    """SM3-II (Anil et al. 2019, arXiv 1901.11150, algorithm 2): Adagrad that remembers each axis, not each weight.

        ν = min over axes of their μ, at each weight, + g²      μ ← max of ν over the other axes
        M ← γM + (1−γ)·g/√(ν + ε)      w ← w − ηM

    with the member's momentum γ (the paper's β₁). Memory: one number for each index of each axis, "axis.i.NAME", and
    one per weight, "velocity".
    """

    name: ClassVar[str] = "sm3"
    rate_scale: ClassVar[float] = 30.0
    epsilon: float = 1e-30

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("epsilon", self.epsilon)

    @property
    def averages(self) -> tuple[str, ...]:
        return ("velocity",)

    def init(self, weights: Float[Tensor, "member weights"]) -> State:
        state = super().init(weights)
        for name, parameter in self.layout.views(weights).items():
            view = at_least_a_vector(parameter)
            for axis in range(1, view.ndim):
                shape = [n if i in (0, axis) else 1 for i, n in enumerate(view.shape)]
                state[f"axis.{axis}.{name}"] = view.new_zeros(shape)
        return state

    def update(
        self,
        gradient: Float[Tensor, "member weights"],
        state: State,
        *,
        step: int,
        rate: float | Float[Tensor, "member 1"],
        momentum: float | Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member weights"]:
        for name, parameter in self.layout.views(gradient).items():
            view = at_least_a_vector(parameter)
            covers = [state[f"axis.{axis}.{name}"] for axis in range(1, view.ndim)]
            square = reduce(torch.minimum, covers).expand_as(view).addcmul(view, view)
            for axis, cover in enumerate(covers, 1):
                others = [i for i in range(1, view.ndim) if i != axis]
                cover.copy_(square.amax(others, keepdim=True) if others else square)
            view.mul_(square.add_(self.epsilon).rsqrt_())
        velocity = state["velocity"].lerp_(gradient, 1 - momentum)
        return torch.neg(velocity, out=gradient)
