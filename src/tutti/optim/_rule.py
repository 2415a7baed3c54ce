"""What an update rule is, and the rules that keep at most one average of past gradients."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from tutti.core import Config, InputError

State = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Rule(Config, ABC):
    """An update rule: how a gradient and a state become a step, for all members of a stack at once.

    The weights of a stack are one flat tensor [member, weights]; a Rule holds no numbers of its own, so one Rule
    serves any stack. A training step with the members' rates η [member, 1] is

        decoupled decay:   w ← w (1 − η·weight_decay)              coupled decay:   g ← g + weight_decay·w
        d = update(g, state, step=t, rate=η, momentum=γ)           t = 1, 2, …
        w ← w + η·d

    so d points downhill (−g for plain gradient descent).

    decay: how the weight decay enters. "coupled" is an L2 penalty ½·weight_decay·‖w‖² seen by the rule as part
    of the gradient, "decoupled" shrinks the weights past the rule (Loshchilov and Hutter 2019, AdamW). For plain
    gradient descent both are the same.
    """

    decay: str = "coupled"

    def __post_init__(self) -> None:
        if self.decay not in ("coupled", "decoupled"):
            raise InputError(f"decay is {self.decay!r}; expected 'coupled' or 'decoupled'.")

    def init(self, weights: Float[Tensor, "member weights"]) -> State:
        """The state before the first step: tensors of the shape of `weights`, by name."""
        return {name: torch.zeros_like(weights) for name in self.averages}

    @property
    def averages(self) -> tuple[str, ...]:
        """Names of the tensors in the state: each costs one number per weight."""
        return ()

    @abstractmethod
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


def check_fraction(name: str, value: float) -> None:
    """Raises unless 0 <= value < 1."""
    if not 0 <= value < 1:
        raise InputError(f"{name} is {value}; expected a number in [0, 1).")


def check_positive(name: str, value: float) -> None:
    """Raises unless value > 0."""
    if not value > 0:
        raise InputError(f"{name} is {value}; expected a number above 0.")


@dataclass(frozen=True, kw_only=True)
class SGD(Rule):
    """Gradient descent: w ← w − η g. The member's momentum is not used. No memory."""

    name: ClassVar[str] = "sgd"

    def update(
        self,
        gradient: Float[Tensor, "member weights"],
        state: State,
        *,
        step: int,
        rate: float | Float[Tensor, "member 1"],
        momentum: float | Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member weights"]:
        return gradient.neg_()


@dataclass(frozen=True, kw_only=True)
class Momentum(Rule):
    """Momentum as torch writes it (Polyak 1964; torch.optim.SGD, dampening 0): M ← γM + g, w ← w − ηM.

    The rate multiplies the whole memory: when the rate is cut, so are the steps that old gradients still drive.
    One number per weight: "velocity" (M).
    """

    name: ClassVar[str] = "momentum"

    @property
    def averages(self) -> tuple[str, ...]:
        return ("velocity",)

    def update(
        self,
        gradient: Float[Tensor, "member weights"],
        state: State,
        *,
        step: int,
        rate: float | Float[Tensor, "member 1"],
        momentum: float | Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member weights"]:
        velocity = state["velocity"].mul_(momentum).add_(gradient)
        return torch.neg(velocity, out=gradient)


@dataclass(frozen=True, kw_only=True)
class HeavyBall(Rule):
    """The heavy ball with the rate inside the memory: M ← γM + ηg, w ← w − M (Polyak 1964; Sutskever et al. 2013).

    Equal to `momentum` at a constant rate only. Under a schedule an old gradient keeps the rate at which it was
    seen: after a cut to η' = cη, M still moves the weights at the old speed and fades as γᵗ. Because the caller
    multiplies by the rate, d = −M/η; a member whose rate is 0 stands still while its M fades.
    One number per weight: "velocity" (M).
    """

    name: ClassVar[str] = "heavy_ball"

    @property
    def averages(self) -> tuple[str, ...]:
        return ("velocity",)

    def update(
        self,
        gradient: Float[Tensor, "member weights"],
        state: State,
        *,
        step: int,
        rate: float | Float[Tensor, "member 1"],
        momentum: float | Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member weights"]:
        velocity = state["velocity"].mul_(momentum).add_(gradient.mul_(rate))
        if isinstance(rate, Tensor):
            return torch.mul(velocity, torch.where(rate > 0, -1 / rate, torch.zeros_like(rate)), out=gradient)
        return torch.mul(velocity, -1 / rate if rate > 0 else 0.0, out=gradient)


@dataclass(frozen=True, kw_only=True)
class Nesterov(Rule):
    """Nesterov's momentum as torch writes it (Sutskever et al. 2013): M ← γM + g, w ← w − η(g + γM).

    One number per weight: "velocity" (M).
    """

    name: ClassVar[str] = "nesterov"

    @property
    def averages(self) -> tuple[str, ...]:
        return ("velocity",)

    def update(
        self,
        gradient: Float[Tensor, "member weights"],
        state: State,
        *,
        step: int,
        rate: float | Float[Tensor, "member 1"],
        momentum: float | Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member weights"]:
        velocity = state["velocity"].mul_(momentum).add_(gradient)
        return gradient.add_(velocity * momentum).neg_()
