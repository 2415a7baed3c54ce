"""What an update rule is, and a rule at work on a stack of members."""

from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tutti.core import Config, InputError, Layout, Setting

State = dict[str, Tensor]
Again = Callable[..., Float[Tensor, " member"]]


@dataclass(frozen=True, kw_only=True)
class Rule(Config, ABC):
    """An update rule: how a gradient and a state become a step, for all members of a stack at once.

    The weights of a stack are one flat tensor [member, weights]; a Rule holds no numbers of its own, so one Rule
    serves any stack. A training step with the members' rates η [member, 1] is `move`:

        coupled decay:     g ← g + weight_decay·w              decoupled decay:   w ← w (1 − η·weight_decay)
        d = update(g, state, step=t, rate=η, momentum=γ)       t = 1, 2, …
        w ← w + η·d

    so d points downhill (−g for plain gradient descent). Each rule defines one of three methods, the first that
    serves it:

    update      the direction follows from the gradient and the state
    direction   it follows from the weights too (LAMB, AdamP, Prodigy): before decoupled decay, as `move` says
    move        the step is no direction times the rate (Schedule-Free, SAM, optimisers of others)

    Shapes. A rule that looks at matrices or layers is a ShapedRule: `bind(layout)` gives the rule that knows where
    each parameter lies in a row; the engine binds every rule before `init`, and to most rules that means nothing.

    decay: how the weight decay enters. "coupled" is an L2 penalty ½·weight_decay·‖w‖² seen by the rule as part
    of the gradient, "decoupled" shrinks the weights past the rule (Loshchilov and Hutter 2019, AdamW). For plain
    gradient descent both are the same. Under a schedule of rates ηₜ a decoupled step shrinks the weights by
    μₜ = ηₜ·weight_decay: μₜ ∝ ηₜ, the decay falls with the rate.

    rate_scale: a sensible rate for this rule over a sensible one for Adam; default grids multiply their learning
    rates by it and divide their weight decays, so that rate·decay stays what it was.
    """

    rate_scale: ClassVar[float] = 1.0
    steady: ClassVar[bool] = False
    """Whether the rule is meant for a constant rate after the warm-up."""

    decay: str = "coupled"

    def __post_init__(self) -> None:
        if self.decay not in ("coupled", "decoupled"):
            raise InputError(f"decay is {self.decay!r}; expected 'coupled' or 'decoupled'.")

    def bind(self, layout: Layout) -> "Rule":
        """This rule for rows that are laid out so."""
        return self

    def stepper(
        self, weights: Float[Tensor, "member weights"], layout: Layout, settings: Sequence[Setting]
    ) -> "Stepper":
        """This rule at work on a stack; settings: the one of each member."""
        return Stepper(self.bind(layout), weights)

    def init(self, weights: Float[Tensor, "member weights"]) -> State:
        """The state before the first step, by name: tensors with the leading member axis (or, the same for all
        members, 0-d). Here one of the shape of `weights` for each of `averages`."""
        return {name: torch.zeros_like(weights) for name in self.averages}

    @property
    def averages(self) -> tuple[str, ...]:
        """Names of the tensors in the state that cost one number per weight."""
        return ()

    def update(
        self,
        gradient: Float[Tensor, "member weights"],
        state: State,
        *,
        step: int,
        rate: float | Float[Tensor, "member 1"],
        momentum: float | Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member weights"]:
        """The direction d of step `step` (the first is 1).

        `gradient` and the tensors of `state` are given away: they may be overwritten, the state's are. No member's
        numbers depend on its neighbours or on its place. `rate` and `momentum` are floats where all members share
        them (no tensor is read back to find out), else one number for each member.
        """
        raise NotImplementedError(f"{self.name} has no direction without the weights")

    def direction(
        self,
        weights: Float[Tensor, "member weights"],
        gradient: Float[Tensor, "member weights"],
        state: State,
        *,
        step: int,
        rate: float | Float[Tensor, "member 1"],
        momentum: float | Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member weights"]:
        """`update` for a rule that reads the weights (and leaves them as they are)."""
        return self.update(gradient, state, step=step, rate=rate, momentum=momentum)

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
        """The whole step, in place. A member whose rate is 0 stands still, whatever its state.

        loss: the members' losses on the batch of this step. again() evaluates the same batch (and the same random
        masks) at the weights as they now are: it writes into `gradient` and gives back the losses; a member whose
        loss is not finite there gets rate 0. again(i) is asked for member i of the stack alone.
        """
        if weight_decay is not None and self.decay == "coupled":
            gradient.addcmul_(weights, weight_decay)
        direction = self.direction(weights, gradient, state, step=step, rate=rate, momentum=momentum)
        if weight_decay is not None and self.decay == "decoupled":
            weights.mul_(1 - rate * weight_decay)
        weights.addcmul_(direction, rate)

    def evaluated(
        self,
        weights: Float[Tensor, "member weights"],
        state: State,
        *,
        momentum: float | Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member weights"] | None:
        """The weights at which members are judged, where the rule keeps such; None: the population's average."""
        return None

    def step_alone(
        self,
        weights: Float[Tensor, "one weights"],
        gradient: Float[Tensor, "one weights"],
        state: State,
        *,
        step: int,
        rate: float,
        weight_decay: float,
        momentum: float | Float[Tensor, "member 1"],
        scale: Float[Tensor, ""],
        skip: Float[Tensor, ""],
    ) -> bool:
        """The whole step of a stack of one member in a single kernel, where the rule has one; else does nothing
        and answers False.

        The gradient is divided by `scale`; nothing at all is changed where `skip` is 1.
        """
        return False

    @property
    def usual_rate(self) -> float:
        """`rate_scale`, of the rule within where this one is a wrapper."""
        return self.rate_scale

    @property
    def wants_constant_rate(self) -> bool:
        """`steady`, of the rule within where this one is a wrapper."""
        return self.steady

    @property
    def looped(self) -> bool:
        """Whether `again` is asked for one member at a time: the looped executor then spares the others."""
        return False

    @property
    def single_kernel(self) -> bool:
        """Whether `step_alone` may do anything."""
        return type(self).step_alone is not Rule.step_alone


@dataclass(frozen=True, kw_only=True)
class ShapedRule(Rule):
    """A rule that knows the parameters' shapes; of use only once it is bound to a layout."""

    def bind(self, layout: Layout) -> "ShapedRule":
        bound = copy(self)
        bound.__dict__["_layout"] = layout  # no field: a Config is plain values
        return bound

    @property
    def layout(self) -> Layout:
        layout: Layout | None = self.__dict__.get("_layout")
        if layout is None:
            raise InputError(
                f"The rule {self.name!r} needs the shapes of the parameters.", fix="Use rule.bind(layout)."
            )
        return layout


class Stepper:
    """A rule at work on one stack: the state, and what happens to it beside the steps."""

    def __init__(self, rule: Rule, weights: Float[Tensor, "member weights"]) -> None:
        self.rule = rule
        self.state = rule.init(weights)

    def move(
        self,
        weights: Float[Tensor, "member weights"],
        gradient: Float[Tensor, "member weights"],
        *,
        step: int,
        rate: Float[Tensor, "member 1"],
        weight_decay: Float[Tensor, "member 1"] | None,
        momentum: float | Float[Tensor, "member 1"],
        loss: Float[Tensor, " member"],
        again: Again,
    ) -> None:
        """`Rule.move` on this state."""
        self.rule.move(
            weights,
            gradient,
            self.state,
            step=step,
            rate=rate,
            weight_decay=weight_decay,
            momentum=momentum,
            loss=loss,
            again=again,
        )

    def evaluated(
        self, weights: Float[Tensor, "member weights"], *, momentum: float | Float[Tensor, "member 1"]
    ) -> Float[Tensor, "member weights"] | None:
        """`Rule.evaluated` on this state."""
        return self.rule.evaluated(weights, self.state, momentum=momentum)

    def keep(self, rows: Int[Tensor, " kept"]) -> None:
        """Goes on with these members only, in this order."""
        self.state = {k: v[rows] if v.ndim else v for k, v in self.state.items()}

    def save(self) -> tuple[State, dict[str, Any]]:
        """All that later steps depend on: tensors, and plain values for JSON."""
        return {k: v.clone() for k, v in self.state.items()}, {}

    def load(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Goes back to what was saved, for a stack of as many members."""
        self.state = dict(tensors)


def check_fraction(name: str, value: float | int) -> None:
    """Raises unless 0 <= value < 1."""
    if not 0 <= value < 1:
        raise InputError(f"{name} is {value}; expected a number in [0, 1).")


def check_positive(name: str, value: float | int) -> None:
    """Raises unless value > 0."""
    if not value > 0:
        raise InputError(f"{name} is {value}; expected a number above 0.")
