"""The default recipes: which network, how long, over which settings; one for each kind of data."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Any

from tutti.core import Setting
from tutti.models import Model
from tutti.optim import Schedule
from tutti.tasks import Task


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network for one kind of data is trained where the user says nothing.

    epochs: passes over the training rows. base: the hyper-parameters that the grid does not vary. others: bases that
    are tried against it where the time allows (another strength of augmentation, for one). rate: a sound learning
    rate for AdamW, the middle of the grid; then a single setting is trained rather than a race shortened, and its
    weight decay is the base's. None: the grid of tables. stretch: times its epochs that networks train for, at most,
    where a budget leaves time; that comes before more settings than one. least: the share of its epochs at which
    all folds are still trained where a budget leaves too little time; below it the first fold's network has it all.
    """

    model: Model
    schedule: Schedule
    batch_size: int
    epochs: float
    base: Setting
    rate: float | None = None
    stretch: float = 1.0
    least: float = 1.0
    others: tuple[Setting, ...] = ()

    def horizon(self, rows: int) -> int:
        """Steps for this many training rows."""
        return max(20, ceil(self.epochs * rows / self.batch_size))


Choose = Callable[[Any, int, Task], Recipe]
"""(shape, training rows, task) -> the recipe."""
