"""What is decided at the end of a segment: which settings go on, which are added, and when to stop."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np

from tutti.core import Setting
from tutti.search._grid import Grid
from tutti.search._history import History
from tutti.search._judge import Judge
from tutti.search._pace import Pace
from tutti.search._record import Decision
from tutti.training import AnyPopulation, Plan, Ranks

End = Literal["", "stage", "search"]
"""What a decision ends: nothing, this stage (the first, or one that tries beyond the grid's edge), or the search."""


class Decider:
    """Drops what diverged, what a rung drops and what the time left does not allow; grows the grid.

    What the clock says is agreed on by all processes. replay: decisions of an earlier run, which are then followed
    instead of made. Every decision is kept in the history and goes to `log`.
    """

    def __init__(
        self,
        plan: Plan,
        judge: Judge,
        pace: Pace,
        ranks: Ranks,
        log: Callable[[Mapping[str, Any]], None],
        replay: Sequence[Decision] | None,
    ) -> None:
        self.plan, self.judge, self.pace, self.ranks, self.log, self.replay = plan, judge, pace, ranks, log, replay

    def decide(self, history: History, population: AnyPopulation, stage: int, seconds: float) -> End:
        """At the end of a segment that took so many seconds: keeps the settings that go on."""
        if self.replay is not None:
            return self._follow(self.replay, history, population, stage)
        settings, step = population.settings, population.step
        order = self._ranking(history, population)
        diverged = [i for i in range(len(settings)) if i not in order]
        drop = partial(self._drop, history, population, stage)
        if diverged:
            drop("freeze", diverged, "its loss or gradient was no longer finite")
        if not order:
            return "stage" if stage else "search"
        rung = population.plan.rung_at(step)
        keep = min(len(order), rung.keep) if rung else len(order)
        if stage and self.plan.rung_at(step):
            keep = self._pacing(history, population, order)
            if not keep:
                drop("drop", order, "behind the best setting at the same step")
                return "stage"
        fits, time_is_up = self.ranks.agree(self.pace.fitting(population, seconds, len(settings), keep))
        if fits < keep:
            drop("drop", order[fits:keep], "the time left does not allow more settings")
        if keep < len(order):
            drop("drop", order[keep:], f"not among the best {keep} by its mean over all folds")
        if time_is_up:
            self._record(history, stage, step, "stop", [], "the time is up")
        kept = order[: min(keep, fits)]
        if len(kept) < len(settings):
            population.keep(sorted(kept))
        return "search" if time_is_up else ""

    def grow(self, history: History, grid: Grid | None, stage: int, step: int) -> list[Setting]:
        """New settings beyond the edge of the grid, if the best lies on it and the time allows."""
        if self.replay is not None:
            told = [d for d in self.replay if d.kind == "grow" and d.stage == stage]
            new = [s for d in told for s in d.settings]
        elif grid is None or history.best is None:
            return []
        else:
            new = grid.grow(history.best.setting, list(history.tracks))
            points = sum(len(t.points) for t in history.tracks.values())
            new = new if new and self.ranks.agree(self.pace.allows(len(new), self.plan, points)) else []
        if new:
            self._record(history, stage, step, "grow", new, "the best value lay on the edge of the grid")
        return new

    def _ranking(self, history: History, population: AnyPopulation) -> list[int]:
        """Places of the population's settings, best latest point first; diverged ones are left out."""
        latest = [history.tracks[s].points[-1] for s in population.settings]
        sound = [i for i, point in enumerate(latest) if not np.isnan(point.score)]
        return sorted(sound, key=lambda i: self.judge.of(latest[i]))

    def _pacing(self, history: History, population: AnyPopulation, order: Sequence[int]) -> int:
        """How many of the grown settings are not behind the best setting of the stages before, at this step."""
        step, settings, of = population.step, population.settings, self.judge.of
        others = [p for t in history.tracks.values() if t.setting not in settings for p in t.points if p.step == step]
        leader = min(others, key=of, default=None)
        own = [history.tracks[settings[i]].points[-1] for i in order]
        return len(own) if leader is None else sum(of(p) <= of(leader) for p in own)

    def _follow(self, replay: Sequence[Decision], history: History, population: AnyPopulation, stage: int) -> End:
        """Repeats the decisions that an earlier run made at this step."""
        gone: set[Setting] = set()
        stopped = False
        for told in replay:
            if (told.stage, told.step) != (stage, population.step) or told.kind == "grow":
                continue
            gone.update(told.settings)
            places = [population.settings.index(s) for s in told.settings if s in population.settings]
            self._drop(history, population, stage, told.kind, places, told.why)
            stopped = stopped or told.kind == "stop"
        kept = [i for i, s in enumerate(population.settings) if s not in gone]
        if kept and len(kept) < len(population.settings):
            population.keep(kept)
        if stopped or not (kept or stage):
            return "search"
        return "" if kept else "stage"

    def _drop(
        self,
        history: History,
        population: AnyPopulation,
        stage: int,
        kind: Literal["drop", "freeze", "grow", "stop"],
        places: Sequence[int],
        why: str,
    ) -> None:
        settings = [population.settings[i] for i in places]
        for setting in settings:
            history.tracks[setting].status = "diverged" if kind == "freeze" else "dropped"
        self._record(history, stage, population.step, kind, settings, why)

    def _record(
        self,
        history: History,
        stage: int,
        step: int,
        kind: Literal["drop", "freeze", "grow", "stop"],
        settings: Sequence[Setting],
        why: str,
    ) -> None:
        made = Decision(stage=stage, step=step, kind=kind, settings=tuple(settings), why=why)
        history.decisions.append(made)
        self.log({"event": "decision", **made.to_json()})
