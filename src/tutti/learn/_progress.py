"""How the time of a command is shared out."""

import time
from dataclasses import dataclass, field, replace

from tutti.learn._options import MINIMUM_BUDGET

PATIENCE = 60.0  # seconds that a whole command aims at where no budget is given
BASELINES = 0.2  # share of what is left for the baselines, at most
BASELINES_AT_MOST = 8.0  # seconds, where no budget is given
ENDING = 0.08  # share of the whole kept for scores, report and writing
ENDING_AT_LEAST, ENDING_AT_MOST = 1.5, 16.0
LEAVING = 0.3  # seconds in which the process ends, after the last file is written
SLOWEST = 1.5  # a machine is not taken for busier than this


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Counts from the beginning of the command. `budget` is the user's limit in seconds, or None. `slowness`: how
    many seconds go by for one second of work, at least 1; more where others keep the processors busy."""

    budget: float | None
    began: float = field(default_factory=time.monotonic)
    slowness: float = 1.0

    @classmethod
    def start(cls, budget: float | None, began: float | None = None) -> "Clock":
        """A clock that runs since `began` (time.monotonic's seconds) where that is when the process began, or from
        now. What the process has done so far, importing by one thread, tells how busy the machine is."""
        if began is None:
            return cls(budget=budget)
        slowness = (time.monotonic() - began) / max(time.process_time(), 0.1)
        return cls(budget=budget, began=began, slowness=min(max(1.0, slowness), SLOWEST))

    def after(self, used: float) -> "Clock":
        """This clock of a resumed run, with the seconds before its stop counted in.

        Of a budget the command has what is left, and as much as the smallest budget at least.
        """
        budget = None if self.budget is None else max(self.budget, used + MINIMUM_BUDGET)
        return replace(self, began=self.began - used, budget=budget)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def total(self) -> float:
        return PATIENCE if self.budget is None else self.budget

    @property
    def ending(self) -> float:
        """Seconds kept for what comes after training and the predictions, the end of the process included."""
        return self.slowness * (min(max(ENDING_AT_LEAST, ENDING * self.total), ENDING_AT_MOST) + LEAVING)

    def for_baselines(self) -> float:
        """Seconds that the baselines may take."""
        left = max(1.0, self.total - self.seconds - self.ending)
        share = BASELINES * left
        return share if self.budget is not None else min(share, BASELINES_AT_MOST)

    def for_training(self) -> float:
        """Seconds that training may take: with a budget a little less than is left, for noise on the machine."""
        left = self.total - self.seconds - self.ending
        return max(0.5, 0.85 * left)

    @property
    def deadline(self) -> float | None:
        """When training must end, on time.monotonic's clock; None without a budget."""
        return None if self.budget is None else self.began + self.budget - self.ending
