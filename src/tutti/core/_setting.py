"""A setting: the hyper-parameters that may differ between members of one stack."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import isfinite
from numbers import Real
from typing import Any

from tutti.core._errors import InputError, InputTypeError, unknown


@dataclass(frozen=True, kw_only=True, order=True)
class Setting:
    """Hyper-parameters of one member that do not change the shape of its network.

    learning_rate: peak of the schedule, > 0. weight_decay: decoupled, per unit of learning rate, >= 0.
    dropout: probability in [0, 1) that a unit is zeroed. noise: standard deviation of Gaussian noise on the
    standardised inputs. label_smoothing: in [0, 1). l1: coefficient of Σ|w| added to the loss.
    activity_l1, activity_l2: coefficients of the mean |h| and h² of hidden activations. momentum: first-moment
    decay (SGD's momentum, Adam's β₁). augment: strength in [0, 1] of random shifts, turns and erasures of training
    samples. flip: probability in [0, 1] that a training image is mirrored, left to right. mixup: probability in
    [0, 1] that a training image is mixed with another. optimizer: which of a population's update rules moves the
    member, where there are several; "" is the only one.
    A layer that needs one of them registers a buffer of that name; the engine fills it, member by member.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    dropout: float = 0.0
    noise: float = 0.0
    label_smoothing: float = 0.0
    l1: float = 0.0
    activity_l1: float = 0.0
    activity_l2: float = 0.0
    momentum: float = 0.9
    augment: float = 0.0
    flip: float = 0.0
    mixup: float = 0.0
    optimizer: str = ""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name != "optimizer" and not isinstance(value, Real):
                raise InputTypeError(
                    f"{name} is {value!r:.60}; a setting holds one number.", fix="Make a setting for each value."
                )
            if name != "optimizer" and not isfinite(value):
                raise InputError(f"{name} is {value}; expected a finite number.")
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate is {self.learning_rate}; expected a number above 0.")
        for name in ("dropout", "label_smoothing", "momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected a number in [0, 1).")
        for name in ("augment", "flip", "mixup"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected a number from 0 to 1.")
        for name in ("weight_decay", "noise", "l1", "activity_l1", "activity_l2"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} is {getattr(self, name)}; expected a number of at least 0.")

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values; `augment`, `flip`, `mixup` and `optimizer` only where they say something."""
        values = dict(vars(self))
        return {k: v for k, v in values.items() if v or k not in ("augment", "flip", "mixup", "optimizer")}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Setting":
        known = [f.name for f in fields(cls)]
        for name in data:
            if name not in known:
                raise unknown("hyper-parameter", name, known)
        return cls(**data)
