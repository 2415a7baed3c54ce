"""The cost ladder: how many folds and settings the time allows, found from a few timed steps."""

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from math import ceil

from tutti.core import Finding, InputError
from tutti.learn._recipe import Recipe
from tutti.optim import Rule, Schedule
from tutti.search import JUDGING_ROWS, Grid, Judge, halving, torch_threads
from tutti.training import (
    Across,
    Carried,
    ExecutorName,
    Lowered,
    Need,
    Plan,
    Population,
    Precision,
    Problem,
    Program,
    Rung,
    WantedPrecision,
    available,
    carry,
    choose_precision,
    current_ranks,
    fit_memory,
    measure,
    undividable,
)

EVALUATIONS = 16  # how often a population is judged on its way
TIMED_STEPS = 3
TIMING = 0.04  # share of the allowance after which no other way of training is timed
FLOPS = 2e10  # multiply-adds a second, a cautious guess: it only spares timing what is far too dear
FEWEST_STEPS = 20
WORTH_A_RACE = 640  # steps, below which a race of settings at a thirty-second would be decided by its first batches
SMALL_BATCH = 256  # rows a step, where the time is too short for many of the recipe's
FEW_EVALUATIONS = 4  # where a single setting is trained, and judging is a large part of the time
WORTH_SHARDING = 1e-2  # seconds of a step: what is sent in one takes about 2 ms between processes of one machine
STEP_SECONDS = 2e-3  # what a step costs beside its arithmetic, where steps are counted and not timed


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
class Trial:
    """A problem made ready for some number of folds, and how fast it trains."""

    folds: int
    problem: Problem
    judge: Judge
    program: Program
    carried: Carried
    need: Need | None
    executor: ExecutorName
    threads: int
    fixed: float  # seconds of a step that do not depend on the number of settings
    each: float  # seconds of a step for each setting, its share of the evaluations included
    lowered: Lowered = field(default_factory=lambda: Lowered(precision="float32"))

    def cost(self, plan: Plan, settings: int) -> float:
        """Expected seconds of the whole plan."""
        total, at = 0.0, settings
        for first, last in plan.segments:
            total += (last - first) * (self.fixed + self.each * at)
            rung = plan.rung_at(last)
            at = min(at, rung.keep) if rung else at
        return total


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is going to be trained, and how many seconds that should take."""

    trial: Trial
    grid: Grid
    plan: Plan
    seconds: float
    shortened: bool
    raced: bool = False
    notices: tuple[Finding, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Climbs down until a step fits.

    make(folds) → (problem, judge); grid(settings) → the grid of about that many. rows: training
    rows in all. weights: of one member. timed: False counts multiply-adds instead of timing steps, so that
    the choice does not depend on how busy the machine is.
    """

    make: Callable[[int], tuple[Problem, Judge]]
    grid: Callable[[int], Grid]
    recipe: Recipe
    rules: Mapping[str, Rule]
    schedule: Schedule
    folds: int
    rows: int
    weights: int
    threads: int
    rungs: bool
    timed: bool = True
    executor: ExecutorName | None = None  # None: what the timing finds the fastest
    precision: WantedPrecision = "float32"
    across: Across | None = None  # None: batches are divided where settings would leave processes idle
    evaluations: int = EVALUATIONS
    refit: bool = False  # whether one network on all rows follows

    def choose(self, allowance: float) -> Choice:
        """The first step that fits in `allowance` seconds; else the last, with as many training steps as fit.

        Where these are too few for a race, it is a single setting with small batches. What the timing itself has
        taken is gone from the allowance.
        """
        began = time.perf_counter()
        patience = TIMING * allowance
        trials: dict[int, Trial] = {}
        choice: Choice | None = None
        steps = LADDER if self.recipe.rate is None else SURE
        for step in steps:
            folds = self.folds if step.folds is None else 1
            if folds > 1 and self._hopeless(allowance):
                continue
            if folds not in trials:
                trials[folds] = self._try(folds, patience)
            try:
                choice = self._priced(trials[folds], step)
            except InputError:  # too many members for the memory
                if step is steps[-1]:
                    raise
                continue
            left = allowance - (time.perf_counter() - began if self.timed else 0.0)
            if choice.seconds <= left:
                return choice
        assert choice is not None
        share = max(left, 0.1 * allowance) / choice.seconds
        horizon = int(choice.plan.horizon * share)
        if self.recipe.rate is not None:
            return self._priced(choice.trial, steps[-1], max(FEWEST_STEPS, horizon))
        if horizon >= WORTH_A_RACE:
            return self._priced(choice.trial, LADDER[-1], horizon)
        return self._hurried(trials[1], max(left, 0.1 * allowance))

    def _hurried(self, trial: Trial, left: float) -> Choice:
        """The middle setting alone, in small batches, judged a few times: as many steps as fit in `left` seconds.

        On 200,000 rows in 10 s this is hundreds of steps instead of twenty.
        """
        began = time.perf_counter()
        light = replace(
            self,
            recipe=replace(self.recipe, batch_size=min(self.recipe.batch_size, SMALL_BATCH)),
            grid=lambda settings: self.grid(3).middle(),
            evaluations=FEW_EVALUATIONS,
        )
        alone = Step(folds=1, settings=1, race=True)
        program = copy.copy(trial.program)  # its rows have gone through the network's front already
        program.batch_size = light.recipe.batch_size
        choice = light._priced(light._timed(1, TIMING * left, trial.problem, trial.judge, program), alone)
        left = max(0.1 * left, left - (time.perf_counter() - began if self.timed else 0.0))
        if choice.seconds <= left:
            return choice
        horizon = max(FEWEST_STEPS, int(choice.plan.horizon * left / choice.seconds))
        return light._priced(choice.trial, alone, horizon)

    def _hopeless(self, allowance: float) -> bool:
        """Whether all folds are so dear that timing them would be a waste."""
        work = 3.0 * self.weights * self.recipe.batch_size * self.horizon(self.folds) * self.folds
        return work / FLOPS > 4 * allowance

    def horizon(self, folds: int) -> int:
        """Steps until the schedule ends, from the rows of one fold."""
        share = (folds - 1) / folds if folds > 1 else 0.8
        return self.recipe.horizon(max(1, int(self.rows * share)))

    def _priced(self, trial: Trial, step: Step, horizon: int | None = None) -> Choice:
        grid = self.grid(step.settings)
        settings = len(grid.settings())
        horizon, shortened = horizon or self.horizon(trial.folds), horizon is not None
        segment = max(1, ceil(horizon / self.evaluations))
        plan = Plan(
            executor=trial.executor if self.executor or settings * trial.folds > 1 else "looped",
            horizon=horizon,
            segment=segment,
            batch_size=self.recipe.batch_size,
            average_every=max(1, min(4, horizon // EVALUATIONS)),
            rungs=_rungs(settings, horizon, segment, race=step.race) if self.rungs else (),
            threads=trial.threads,
            draws=trial.carried.draws,
            across=self._across(trial, settings),
            precision=trial.lowered.precision,
        )
        assert trial.need is not None
        free = available(trial.program.initial.device)
        plan, little = fit_memory(plan, trial.need, settings * trial.folds, trial.program, free)
        return Choice(
            trial=trial,
            grid=grid,
            plan=plan,
            seconds=trial.cost(plan, settings) + (self._refit_cost(trial, plan) if self.refit else 0.0),
            shortened=shortened,
            raced=step.race,
            notices=tuple(n for n in (trial.carried.notice, trial.lowered.notice, little) if n is not None),
        )

    def _refit_cost(self, trial: Trial, plan: Plan) -> float:
        """Expected seconds of one network on all rows, whose steps grow with them."""
        scale = self.rows / max(len(s.train) for s in trial.problem.streams)
        return scale * plan.horizon * (trial.fixed + trial.each) / trial.folds

    def _across(self, trial: Trial, settings: int) -> Across:
        """How processes share a population: every batch, where settings are too few to keep all of them busy and a
        step is long beside what is sent; else whole settings."""
        if self.across is not None:
            return self.across
        processes = current_ranks().count
        short = settings < processes and trial.fixed + settings * trial.each >= WORTH_SHARDING
        whole = trial.carried.draws or undividable(trial.program, self.recipe.batch_size, processes) is not None
        return "sharded" if short and not whole else "spread"

    def _try(self, folds: int, patience: float) -> Trial:
        """Makes the problem for so many folds and times it."""
        problem, judge = self.make(folds)
        return self._timed(folds, patience, problem, judge, Program(problem, self.recipe.batch_size))

    def _timed(self, folds: int, patience: float, problem: Problem, judge: Judge, program: Program) -> Trial:
        """Times steps by each executor and number of threads; after `patience` seconds what is timed has to do."""
        carried = self._carried(program)
        need = measure(program, self.rules.values())
        alone = carried.executor == "looped" or any(rule.looped for rule in self.rules.values())
        executors: list[ExecutorName] = ["looped"] if alone else [carried.executor, "looped"]
        if self.executor:
            executors = [self.executor]
        lowered = choose_precision(program, carried.executor, self.precision, draws=carried.draws, timed=self.timed)
        if not self.timed:
            return replace(self._counted(folds, problem, judge, program, carried, need), lowered=lowered)
        trials: list[Trial] = []
        began = time.perf_counter()
        for executor, threads in product(executors, sorted({1, self.threads})):
            if trials and time.perf_counter() - began > patience:
                break
            with torch_threads(threads):
                fixed, each = self._time(problem, program, executor, lowered.precision, patience)
            trials.append(
                Trial(
                    folds=folds,
                    problem=problem,
                    judge=judge,
                    program=program,
                    carried=carried,
                    need=need,
                    executor=executor,
                    threads=threads,
                    fixed=fixed,
                    each=each,
                    lowered=lowered,
                )
            )
        return min(trials, key=lambda t: t.fixed + 8 * t.each)

    def _carried(self, program: Program) -> Carried:
        """What can train the network; InputError where it is not the executor that was asked for."""
        carried = carry(program, self.executor)
        if self.executor not in (None, carried.executor):
            why = "" if carried.notice is None else carried.notice.message
            raise InputError(f"executor is {self.executor!r}, which does not do here: {why}", fix="Leave it out.")
        return carried

    def _counted(
        self, folds: int, problem: Problem, judge: Judge, program: Program, carried: Carried, need: Need
    ) -> Trial:
        """A trial priced by its multiply-adds: three passes a batch, and the evaluation that ends a segment."""
        segment = max(1, ceil(self.horizon(folds) / self.evaluations))
        judged = _judged(problem) / segment
        work = self.weights * (3.0 * self.recipe.batch_size * folds + judged)
        return Trial(
            folds=folds,
            problem=problem,
            judge=judge,
            program=program,
            carried=carried,
            need=need,
            executor="looped"
            if self.executor is None and any(r.looped for r in self.rules.values())
            else carried.executor,
            threads=1,  # two on a busy machine wait for each other ten times longer than one works
            fixed=STEP_SECONDS,
            each=work / FLOPS,
        )

    def _time(
        self, problem: Problem, program: Program, executor: ExecutorName, precision: Precision, patience: float
    ) -> tuple[float, float]:
        """Seconds of a step that do not depend on the number of settings, and seconds for each setting."""
        settings = self.grid(32).settings()
        horizon = self.horizon(program.streams)
        plan = Plan(
            executor=executor,
            horizon=max(horizon, 2 * TIMED_STEPS + 2),
            segment=max(1, ceil(horizon / self.evaluations)),
            batch_size=self.recipe.batch_size,
            precision=precision,
        )
        single = Population(problem, settings[:1], plan, self.rules, self.schedule, program=program)
        one = self._seconds(single, patience)
        if len(settings) == 1 or one > patience:  # so dear a step has no fixed share to speak of
            return 0.0, one
        count = min(len(settings), max(2, plan.stack // program.streams), max(2, int(patience / one)))
        if executor == "looped":
            count = 2
        spaced = [settings[i * len(settings) // count] for i in range(count)]  # of every update rule
        several = Population(problem, spaced, plan, self.rules, self.schedule, program=program)
        many = self._seconds(several, patience)
        each = max((many - one) / (count - 1), 0.02 * one)
        return max(one - each, 0.0), each

    def _seconds(self, population: Population, patience: float) -> float:
        """Seconds of a training step, with its share of the evaluation that ends a segment.

        The first step warms up. Where the second is slow already, it is the measurement.
        """
        population.run(1)
        began = time.perf_counter()
        population.run(2)
        step = time.perf_counter() - began
        for _ in range(2 if step < patience / (2 * TIMED_STEPS) else 0):
            began = time.perf_counter()
            population.run(population.step + TIMED_STEPS)
            step = min(step, (time.perf_counter() - began) / TIMED_STEPS)
        streams = population.program.problem.streams
        rows = streams[0].validation[:1024]
        began = time.perf_counter()
        population.outputs(0, rows)
        judging = (time.perf_counter() - began) / len(rows) * _judged(population.program.problem)
        return step + 2 * judging / population.plan.segment


def _judged(problem: Problem) -> int:
    """Validation rows on which a setting is judged at each evaluation."""
    return min(JUDGING_ROWS, sum(len(s.validation) for s in problem.streams))


def _rungs(settings: int, horizon: int, segment: int, *, race: bool) -> tuple[Rung, ...]:
    """Halving; in a race all but one are dropped at a thirty-second."""
    if race:
        return (Rung(step=max(1, horizon // 32), keep=1),) if settings > 1 else ()
    return halving(settings, horizon, segment)
