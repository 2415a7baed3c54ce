"""The pace: how long the rest will take, and how much of it the time allows."""

import time

from tutti.training import AnyPopulation, Plan

FIXED_SHARE = 0.2  # of a step's time that does not depend on the number of settings


class Pace:
    """Seconds a step of the last segment, against a deadline (time.monotonic seconds) or none."""

    def __init__(self, began: float, deadline: float | None) -> None:
        self.began, self.deadline = began, deadline
        self.seconds_left: float | None = None
        self._step = 0.0

    def fitting(self, population: AnyPopulation, seconds: float, settings: int, keep: int) -> tuple[int, bool]:
        """How many of the `keep` settings can go on to the horizon in the time left, at the pace of the last segment
        with all `settings`; one at least. And whether not even the next segment of that one would fit."""
        plan, step = population.plan, population.step
        done = next(last - first for first, last in plan.segments if last == step)
        self._step = seconds / done
        self.seconds_left = self._remaining(plan, step, settings, keep)
        if self.deadline is None or step == plan.horizon:
            return keep, False
        left = self.deadline - time.monotonic()
        if self.seconds_left <= left:
            return keep, False
        share = left / (self._step * (plan.horizon - step))
        fits = int(settings * max(0.0, (share - FIXED_SHARE) / (1 - FIXED_SHARE)))
        next_steps = next(last - first for first, last in plan.segments if first == step)
        alone = self._step * next_steps * (FIXED_SHARE + (1 - FIXED_SHARE) / settings)
        return min(keep, max(1, fits)), left < alone

    def _remaining(self, plan: Plan, step: int, settings: int, keep: int) -> float:
        """Seconds to the horizon when `keep` of the settings go on, with the drops that the rungs will make."""
        total, at = 0.0, keep
        for first, last in plan.segments:
            if first >= step:
                total += self._step * (last - first) * (FIXED_SHARE + (1 - FIXED_SHARE) * at / settings)
                rung = plan.rung_at(last)
                at = min(at, rung.keep) if rung else at
        return total

    def allows(self, settings: int, plan: Plan, points: int) -> bool:
        """Whether the time left allows so many more settings, at the pace of the `points` evaluated so far."""
        if self.deadline is None:
            return True
        each = (time.monotonic() - self.began) / max(1, points)
        return 1.5 * each * settings * len(plan.segments) < self.deadline - time.monotonic()
