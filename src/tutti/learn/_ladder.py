"""The cost ladder: how many folds and settings the time allows, found from a few timed steps."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil

from tutti.core import Finding, InputError
from tutti.learn._bench import EVALUATIONS, Bench, Trial
from tutti.search import Grid, halving
from tutti.training import Across, Plan, Rung, available, current_ranks, fit_memory, undividable

HOPELESS = 1.5  # times the allowance: folds whose hold-out foretells more are not timed
FEWEST_STEPS = 20
WORTH_A_RACE = 640  # steps, below which a race of settings at a thirty-second would be decided by its first batches
SMALL_BATCH = 256  # rows a step, where the time is too short for many of the recipe's
FEW_EVALUATIONS = 4  # where a single setting is trained, and judging is a large part of the time
QUICK = 0.4  # share of the time left above which predictions in all views of a row are not worth it
WORTH_SHARDING = 1e-2  # seconds of a step: what is sent in one takes about 2 ms between processes of one machine


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of the ladder. `folds` None means as many as were asked for; `race` picks one by a short race."""

    folds: int | None
    settings: int
    race: bool = False


LADDER = (
    Step(folds=None, settings=32),
    Step(folds=None, settings=8),
    Step(folds=None, settings=3),
    Step(folds=1, settings=8),
    Step(folds=1, settings=3),
    Step(folds=1, settings=8, race=True),
)

SURE = (
    Step(folds=None, settings=8),
    Step(folds=None, settings=3),
    Step(folds=None, settings=1),
    Step(folds=1, settings=3),
    Step(folds=1, settings=1),
)
"""The ladder of a recipe with a sound learning rate: networks so dear that a race of settings would starve them."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is going to be trained, and how many seconds that should take, `after` of them after the search."""

    trial: Trial
    grid: Grid
    plan: Plan
    seconds: float
    after: float
    shortened: bool
    raced: bool = False
    quick: bool = False  # whether predictions take one view of a row
    notices: tuple[Finding, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Climbs down until a step fits. folds, rows: those of training, in all; tested: rows to predict at the end."""

    bench: Bench
    folds: int
    rows: int
    tested: int
    rungs: bool
    across: Across | None = None  # None: batches are divided where settings would leave processes idle
    refit: bool = False  # whether one network on all rows follows

    def choose(self, allowance: float) -> Choice:
        """The first step that fits in `allowance` seconds; else the last, with as many training steps as fit.

        Where these are too few for a race, it is a single setting with small batches. What the timing itself has
        taken is gone from the allowance. What had to give way is said.
        """
        choice = self._climbed(allowance)
        cut = self._cut(choice)
        return replace(choice, notices=(*choice.notices, cut)) if cut else choice

    def _cut(self, choice: Choice) -> Finding | None:
        """What the time did not allow: how much of it there is depends on how busy the machine is."""
        settings, most = len(choice.grid.settings()), len(self.bench.grid(self._steps[0].settings).settings())
        parts = [f"{settings} of {most} settings"] if settings < most else []
        if choice.trial.folds < self.folds:
            parts.append(f"one hold-out for {self.folds} folds")
        if choice.shortened:
            parts.append("fewer passes than the recipe's")
        if choice.quick:
            parts.append("predictions from one view of each row")
        if not parts:
            return None
        message = f"To end in time: {', '.join(parts)}. More time (--budget 20m) or a quieter machine trains more."
        return Finding(kind="little-time", where="search", message=message, severity="notice")

    @property
    def _steps(self) -> tuple[Step, ...]:
        return SURE if self.bench.recipe.rate is not None else LADDER

    def _climbed(self, allowance: float) -> Choice:
        """What `choose` finds."""
        began = time.perf_counter()
        trials: dict[int, Trial] = {}
        choice: Choice | None = None
        sure, steps = self.bench.recipe.rate is not None, self._steps
        if sure and self.folds > 1:
            trials[1] = self.bench.trial(1, allowance)
        for step in steps:
            folds = self.folds if step.folds is None else 1
            if folds > 1 and self._hopeless(trials, allowance):
                continue
            if folds not in trials:
                trials[folds] = self.bench.trial(folds, allowance)
            try:
                choice = self._priced(self.bench, trials[folds], step)
            except InputError:  # too many members for the memory
                if step is steps[-1]:
                    raise
                continue
            left = allowance - (time.perf_counter() - began if self.bench.timed else 0.0)
            if choice.seconds <= left:
                longer = self._stretched(choice, step, left)
                if folds > 1 and step.settings > 1 and longer.plan.horizon < self._most(choice):
                    continue  # more passes come before more settings
                return longer
            shorter = self._shortened(choice, step, left)
            if shorter is not None:
                return shorter
        assert choice is not None
        left = max(left, 0.1 * allowance)
        quick = self._costly_views(choice, left)
        if quick:
            choice = self._priced(self.bench, choice.trial, steps[-1], quick=True)
            if choice.seconds <= left:
                return choice
        horizon = self._steps_within(choice, left)
        if sure:
            return self._priced(self.bench, choice.trial, steps[-1], max(FEWEST_STEPS, horizon), quick=quick)
        if horizon >= WORTH_A_RACE:
            return self._priced(self.bench, choice.trial, LADDER[-1], horizon)
        return self._hurried(trials[1], left)

    def _stretched(self, choice: Choice, step: Step, left: float) -> Choice:
        """With as many passes more as there is time for, where the recipe's networks gain by more."""
        most = self._most(choice)
        if most == choice.plan.horizon:
            return choice
        longer = self._priced(self.bench, choice.trial, step, min(most, self._steps_within(choice, left)))
        return replace(longer, shortened=False)

    def _shortened(self, choice: Choice, step: Step, left: float) -> Choice | None:
        """One setting on all folds with as many steps as fit, where the recipe has these rather than a hold-out."""
        if step.folds is not None or step.settings > 1 or self._costly_views(choice, left):
            return None
        horizon = self._steps_within(choice, left)
        enough = horizon >= self.bench.recipe.least * choice.plan.horizon
        return self._priced(self.bench, choice.trial, step, horizon) if enough else None

    def _costly_views(self, choice: Choice, left: float) -> bool:
        """Whether predictions in all views of a row take more of the time than they are worth."""
        return choice.trial.views > 1 and choice.after > QUICK * left

    def _most(self, choice: Choice) -> int:
        """The most steps that its networks train for where there is time."""
        return int(self.bench.recipe.stretch * choice.plan.horizon) if self.bench.timed else choice.plan.horizon

    def _hurried(self, trial: Trial, left: float) -> Choice:
        """The middle setting alone, in small batches, judged a few times: as many steps as fit in `left` seconds.

        On 200,000 rows in 10 s this is hundreds of steps instead of twenty.
        """
        began = time.perf_counter()
        bench = replace(
            self.bench,
            recipe=replace(self.bench.recipe, batch_size=min(self.bench.recipe.batch_size, SMALL_BATCH)),
            grid=lambda settings: self.bench.grid(3).middle(),
            evaluations=FEW_EVALUATIONS,
        )
        alone = Step(folds=1, settings=1, race=True)
        choice = self._priced(bench, bench.again(trial, left), alone)
        left = max(0.1 * left, left - (time.perf_counter() - began if bench.timed else 0.0))
        if choice.seconds <= left:
            return choice
        return self._priced(bench, choice.trial, alone, max(FEWEST_STEPS, self._steps_within(choice, left)))

    def _steps_within(self, choice: Choice, left: float) -> int:
        """How many steps of a choice fit in `left` seconds."""
        share = max(left - choice.after, 0.1 * left) / (choice.seconds - choice.after)
        return int(choice.plan.horizon * share)

    def _hopeless(self, trials: Mapping[int, Trial], allowance: float) -> bool:
        """Whether all folds are so dear that timing them would be a waste."""
        if self.bench.dear(self.folds) > 4 * allowance:
            return True
        if 1 not in trials:
            return False
        one = self._priced(self.bench, trials[1], SURE[-1])
        return self.bench.recipe.least * one.seconds * self.folds > HOPELESS * allowance

    def _priced(
        self, bench: Bench, trial: Trial, step: Step, horizon: int | None = None, *, quick: bool = False
    ) -> Choice:
        grid = bench.grid(step.settings)
        settings = len(grid.settings())
        horizon, shortened = horizon or bench.horizon(trial.folds), horizon is not None
        segment = max(1, ceil(horizon / bench.evaluations))
        plan = Plan(
            executor=trial.executor if bench.executor or settings * trial.folds > 1 else "looped",
            horizon=horizon,
            segment=segment,
            batch_size=bench.recipe.batch_size,
            average_every=max(1, min(4, horizon // EVALUATIONS)),
            rungs=_rungs(settings, horizon, segment, race=step.race) if self.rungs else (),
            threads=trial.threads,
            draws=trial.carried.draws,
            across=self._across(trial, settings),
            precision=trial.lowered.precision,
            graphs=trial.graphs,
        )
        assert trial.need is not None
        free = available(trial.program.initial.device)
        plan, little = fit_memory(plan, trial.need, settings * trial.folds, trial.program, free)
        after = self._after(trial, plan, quick)
        return Choice(
            trial=trial,
            grid=grid,
            plan=plan,
            seconds=trial.cost(plan, settings) + after,
            after=after,
            shortened=shortened,
            raced=step.race,
            quick=quick,
            notices=tuple(n for n in (trial.carried.notice, trial.lowered.notice, little) if n is not None),
        )

    def _after(self, trial: Trial, plan: Plan, quick: bool) -> float:
        """Expected seconds of what follows the search: every fold's network predicts the rows that it validates on
        and those of the test; before that, one network is trained on all rows (whose steps grow with them)."""
        streams = trial.problem.streams
        validated = sum(len(s.validation) for s in streams)
        answer = trial.answer / (trial.views if quick else 1)
        if not self.refit:
            return answer * (validated + trial.folds * self.tested)
        scale = self.rows / max(len(s.train) for s in streams)
        refit = scale * plan.horizon * (trial.fixed + trial.each) / trial.folds
        return refit + answer * (validated + self.tested)

    def _across(self, trial: Trial, settings: int) -> Across:
        """How processes share a population: every batch, where settings are too few to keep all of them busy and a
        step is long beside what is sent; else whole settings."""
        if self.across is not None:
            return self.across
        processes = current_ranks().count
        short = settings < processes and trial.fixed + settings * trial.each >= WORTH_SHARDING
        whole = trial.carried.draws or undividable(trial.program, self.bench.recipe.batch_size, processes) is not None
        return "sharded" if short and not whole else "spread"


def _rungs(settings: int, horizon: int, segment: int, *, race: bool) -> tuple[Rung, ...]:
    """Halving; in a race all but one are dropped at a thirty-second."""
    if race:
        return (Rung(step=max(1, horizon // 32), keep=1),) if settings > 1 else ()
    return halving(settings, horizon, segment)
