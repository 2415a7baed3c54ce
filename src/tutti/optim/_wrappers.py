"""Rules around a rule: sharpness-aware steps, slow and averaged weights, centred gradients."""

from abc import abstractmethod
from copy import copy
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from tutti.core import InputError, Layout
from tutti.optim._adam import AdamW
from tutti.optim._rule import Again, Rule, ShapedRule, State, check_fraction, check_positive

_INNER = "rule."


@dataclass(frozen=True, kw_only=True)
class Wrapper(ShapedRule):
    """A rule that changes what happens around the steps of another, `rule` (AdamW unless given).

    `find_rule` takes the inner rule by name or as its JSON: {"name": "sam", "rule": "lion"}. The weight decay is the
    inner rule's business; `decay` is not used.
    """

    rule: Rule = field(default_factory=AdamW)

    def __post_init__(self) -> None:
        super().__post_init__()
        if type(self.rule).stepper is not Rule.stepper:  # it keeps objects of its own, not a state
            raise InputError(f"{self.name} cannot go around {self.rule.name}.", fix="Give a rule of tutti's own.")

    def to_json(self) -> dict[str, Any]:
        return super().to_json() | {"rule": self.rule.to_json()}

    def bind(self, layout: Layout) -> "Wrapper":
        bound = copy(self)
        bound.__dict__.update(_layout=layout, rule=self.rule.bind(layout))
        return bound

    @property
    def usual_rate(self) -> float:
        return self.rule.usual_rate

    @property
    def wants_constant_rate(self) -> bool:
        return self.rule.wants_constant_rate

    def own(self, weights: Float[Tensor, "member weights"]) -> State:
        """The wrapper's own state."""
        return {}

    def init(self, weights: Float[Tensor, "member weights"]) -> State:
        return self.own(weights) | {_INNER + k: v for k, v in self.rule.init(weights).items()}

    def move_inner(
        self,
        weights: Float[Tensor, "member weights"],
        gradient: Float[Tensor, "member weights"],
        state: State,
        **how: Any,
    ) -> None:
        """The inner rule's step on its part of the state."""
        inner = {k.removeprefix(_INNER): v for k, v in state.items() if k.startswith(_INNER)}
        self.rule.move(weights, gradient, inner, **how)
        state.update({_INNER + k: v for k, v in inner.items()})

    def evaluated(
        self,
        weights: Float[Tensor, "member weights"],
        state: State,
        *,
        momentum: float | Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member weights"] | None:
        inner = {k.removeprefix(_INNER): v for k, v in state.items() if k.startswith(_INNER)}
        return self.rule.evaluated(weights, inner, momentum=momentum)

    @abstractmethod
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
    ) -> None: ...


def by_member(x: Float[Tensor, "member weights"]) -> Float[Tensor, "member 1"]:
    """Each member's Euclidean norm."""
    norm: Tensor = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    return norm


@dataclass(frozen=True, kw_only=True)
class SAM(Wrapper):
    """Sharpness-aware minimisation (Foret et al. 2021, arXiv 2010.01412): the gradient of the highest loss near.

        e = ρ g/(‖g‖ + 1e-12)      step of the inner rule with the gradient at w + e, on the same batch

    with the member's whole gradient in the norm; radius ρ > 0. Two gradients a step. As in the authors' code weight
    decay stays out of e. No memory of its own.
    """

    name: ClassVar[str] = "sam"
    radius: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("radius", self.radius)

    def offset(
        self, weights: Float[Tensor, "member weights"], gradient: Float[Tensor, "member weights"]
    ) -> Float[Tensor, "member weights"]:
        """e."""
        return gradient * (self.radius / (by_member(gradient) + 1e-12))

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
        before = weights.clone()
        weights.add_(self.offset(weights, gradient))
        loss = again()
        weights.copy_(before)
        how = {"step": step, "rate": rate, "weight_decay": weight_decay, "momentum": momentum}
        self.move_inner(weights, gradient, state, **how, loss=loss, again=again)


@dataclass(frozen=True, kw_only=True)
class ASAM(SAM):
    """Adaptive SAM (Kwon et al. 2021, arXiv 2102.11600): a neighbourhood that scales with the weights.

        e = ρ T²g/(‖Tg‖ + 1e-12),    T = |w| + floor, weight by weight

    (the paper's floor, its η, is 0.01; pytorch-optimizer's 0). Else as SAM.
    """

    name: ClassVar[str] = "asam"
    radius: float = 0.5
    floor: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.floor >= 0:
            raise InputError(f"floor is {self.floor}; expected a number of at least 0.")

    def offset(
        self, weights: Float[Tensor, "member weights"], gradient: Float[Tensor, "member weights"]
    ) -> Float[Tensor, "member weights"]:
        size = weights.abs() + self.floor
        scaled = gradient * size
        return scaled * size * (self.radius / (by_member(scaled) + 1e-12))


@dataclass(frozen=True, kw_only=True)
class Lookahead(Wrapper):
    """Lookahead (Zhang et al. 2019, arXiv 1907.08610): k steps forward, one step back.

        after every k-th step of the inner rule:    s ← s + α(w − s),   w ← s

    s starts at the first weights. alpha α in (0, 1]; every k. The inner rule's state goes on as it is. One number
    per weight: "slow" (s).
    """

    name: ClassVar[str] = "lookahead"
    alpha: float = 0.5
    every: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.alpha <= 1:
            raise InputError(f"alpha is {self.alpha}; expected a number in (0, 1].")
        if self.every < 1:
            raise InputError(f"every is {self.every}; expected a whole number of at least 1.")

    def own(self, weights: Float[Tensor, "member weights"]) -> State:
        return {"slow": weights.clone()}

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
        how = {"step": step, "rate": rate, "weight_decay": weight_decay, "momentum": momentum}
        self.move_inner(weights, gradient, state, **how, loss=loss, again=again)
        if step % self.every == 0:
            slow = state["slow"].lerp_(weights, self.alpha)
            torch.where(rate > 0, slow, weights, out=weights)


@dataclass(frozen=True, kw_only=True)
class Averaged(Wrapper):
    """A rule whose members are judged at an average of their weights: a ← a + share(t)·(w − a) after step t.

    It takes the place of the population's own average. One number per weight: "average" (a).
    """

    @abstractmethod
    def share(self, step: int) -> float:
        """How much of the weights after step `step` goes into the average."""

    def own(self, weights: Float[Tensor, "member weights"]) -> State:
        return {"average": weights.clone()}

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
        how = {"step": step, "rate": rate, "weight_decay": weight_decay, "momentum": momentum}
        self.move_inner(weights, gradient, state, **how, loss=loss, again=again)
        share = self.share(step)
        if share > 0:
            state["average"].lerp_(weights, share)

    def evaluated(
        self,
        weights: Float[Tensor, "member weights"],
        state: State,
        *,
        momentum: float | Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member weights"]:
        return state["average"]


@dataclass(frozen=True, kw_only=True)
class EMA(Averaged):
    """An exponential average of the weights (Tarvainen and Valpola 2017, arXiv 1703.01780).

        a ← b·a + (1−b)·w,    b = min(weight, (1 + t)/(10 + t))

    with the early b of TensorFlow, so that the first weights are soon forgotten. See `Averaged`.
    """

    name: ClassVar[str] = "ema"
    weight: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("weight", self.weight)

    def share(self, step: int) -> float:
        return 1 - min(self.weight, (1 + step) / (10 + step))


@dataclass(frozen=True, kw_only=True)
class SWA(Averaged):
    """Stochastic weight averaging (Izmailov et al. 2018, arXiv 1803.05407): the mean of the weights of some steps.

        a = mean of w after steps first, first + every, first + 2·every, …

    Before step `first` the average is the weights themselves. (The paper then measures the batch statistics again;
    the population averages them like its weights.) See `Averaged`.
    """

    name: ClassVar[str] = "swa"
    first: int = 1
    every: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("first", "every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected a whole number of at least 1.")

    def share(self, step: int) -> float:
        if step <= self.first:
            return 1.0
        done, left = divmod(step - self.first, self.every)
        return 0.0 if left else 1 / (done + 1)


@dataclass(frozen=True, kw_only=True)
class Centralised(Wrapper):
    """Gradient centralisation (Yong et al. 2020, arXiv 2004.01461): g loses its mean over each output's inputs.

        g ← g − mean(g over all axes but the first)

    for each parameter with two axes or more, before the inner rule sees it. No memory of its own.
    """

    name: ClassVar[str] = "centralised"

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
        for view in self.layout.views(gradient).values():
            if view.ndim > 2:
                view.sub_(view.flatten(2).mean(2).view(*view.shape[:2], *[1] * (view.ndim - 2)))
        how = {"step": step, "rate": rate, "weight_decay": weight_decay, "momentum": momentum}
        self.move_inner(weights, gradient, state, **how, loss=loss, again=again)
