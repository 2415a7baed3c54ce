"""What a step of training costs: timed by each executor, or counted."""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from math import ceil
from statistics import median

import torch

from tutti.core import InputError, Setting
from tutti.learn._recipe import Recipe
from tutti.optim import Rule, Schedule
from tutti.search import JUDGING_ROWS, Grid, Judge, torch_threads
from tutti.training import (
    Carried,
    ExecutorName,
    Lowered,
    Need,
    Plan,
    Population,
    Precision,
    Problem,
    Program,
    WantedPrecision,
    carry,
    choose_precision,
    current_ranks,
    measure,
    measure_divided,
)

EVALUATIONS = 16  # how often a population is judged on its way
TIMING = 0.04  # share of the allowance after which no other way of training is timed
TIMED_STEPS, TIMED_RUNS = 3, 30
PATIENCE = 0.5  # share of that which one of them may take for more than two runs of steps
GAIN, SETTLED = 0.95, 12
COMPARED = 8  # settings for which ways of training are compared, where more than one is likely to be trained
CLOSE = 0.5  # share of the second's time above which the fastest is not yet sure to be: a busy machine doubles any
ROUNDS, FEWEST_ROUNDS = 16, 4  # of turns that the two then take
TIMED_ROWS = 1024  # validation rows, at most, on which judging is timed
FLOPS = 2e10  # multiply-adds a second, a cautious guess: it only spares timing what is far too dear
STEP_SECONDS = 2e-3  # what a step costs beside its arithmetic, where steps are counted and not timed


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
    answer: float = 0.0  # seconds of one network's prediction for a row, in all the views that it takes
    views: int = 1  # of a row, whose mean a prediction is
    lowered: Lowered = field(default_factory=lambda: Lowered(precision="float32"))
    graphs: bool = False  # whether its passes are recorded and replayed

    def step(self, settings: int) -> float:
        """Expected seconds of a step of so many settings."""
        return self.fixed + settings * self.each

    def cost(self, plan: Plan, settings: int) -> float:
        """Expected seconds of the whole plan."""
        total, at = 0.0, settings
        for first, last in plan.segments:
            total += (last - first) * self.step(at)
            rung = plan.rung_at(last)
            at = min(at, rung.keep) if rung else at
        return total


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Makes problems and finds what a step of them costs.

    make(folds) → (problem, judge); grid(settings) → the grid of about that many. seen(folds) → training rows of a
    member. weights: of one member. timed: False counts multiply-adds instead of timing steps, so that the choice
    does not depend on how busy the machine is. executor: None for what the timing finds the fastest. whole: False
    where a member's weights are divided over the processes: nothing is tried or timed, which would take them whole.
    """

    make: Callable[[int], tuple[Problem, Judge]]
    grid: Callable[[int], Grid]
    seen: Callable[[int], int]
    recipe: Recipe
    rules: Mapping[str, Rule]
    schedule: Schedule
    weights: int
    threads: int
    timed: bool = True
    executor: ExecutorName | None = None
    precision: WantedPrecision = "float32"
    whole: bool = True
    evaluations: int = EVALUATIONS

    def horizon(self, folds: int) -> int:
        """Steps until the schedule ends, from the rows that a member trains on."""
        return self.recipe.horizon(max(1, self.seen(folds)))

    def dear(self, folds: int) -> float:
        """A cautious guess at the seconds that one setting takes, without having made the problem."""
        return 3.0 * self.weights * self.recipe.batch_size * self.horizon(folds) * folds / FLOPS

    def trial(self, folds: int, allowance: float) -> Trial:
        """Makes the problem for so many folds and times it, for a training that may take `allowance` seconds."""
        problem, judge = self.make(folds)
        return self._timed(folds, allowance, problem, judge, Program(problem, self.recipe.batch_size))

    def again(self, trial: Trial, allowance: float) -> Trial:
        """The same problem timed by this recipe, of another batch size."""
        program = copy.copy(trial.program)  # its rows have gone through the network's front already
        program.batch_size = self.recipe.batch_size
        return self._timed(trial.folds, allowance, trial.problem, trial.judge, program)

    def _timed(self, folds: int, allowance: float, problem: Problem, judge: Judge, program: Program) -> Trial:
        """Times steps by each executor and number of threads, the likelier ones first; after a small share of the
        allowance what is timed has to do, and so it has where not even three members would fit into it."""
        if not self.whole:
            return self._untried(folds, problem, judge, program)
        carried = self._carried(program)
        need = measure(program, self.rules.values())
        lowered = choose_precision(program, carried.executor, self.precision, draws=carried.draws, timed=self.timed)
        made = partial(
            Trial,
            folds=folds,
            problem=problem,
            judge=judge,
            program=program,
            carried=carried,
            need=need,
            lowered=lowered,
            views=_views(program),
        )
        if not self.timed:
            executor, each = self._counted(folds, problem, carried)
            # One thread: two on a busy machine wait for each other ten times longer than one works.
            return made(executor=executor, threads=1, fixed=STEP_SECONDS, each=each)
        trials: list[Trial] = []
        began, patience = time.perf_counter(), TIMING * allowance
        for executor, threads in product(self._executors(carried), self._threads):
            if trials and time.perf_counter() - began > patience:
                break
            with torch_threads(threads):
                fixed, each, answer = self._time(problem, program, executor, lowered.precision, patience)
            trials.append(made(executor=executor, threads=threads, fixed=fixed, each=each, answer=answer))
            if self._sure and 3 * (fixed + each) * self.horizon(folds) > allowance:
                break
        return self._recorded(self._fastest(trials, began + patience))

    def _recorded(self, trial: Trial) -> Trial:
        """The same with its passes recorded as CUDA graphs, where there is a GPU and that is the faster."""
        if trial.program.initial.device.type != "cuda" or trial.carried.draws or current_ranks().count > 1:
            return trial
        settings = _spaced(self.grid(32).settings(), 1 if self._sure else COMPARED)
        return self._rematch(trial, replace(trial, graphs=True), settings, ROUNDS, TIMED_STEPS)

    def _fastest(self, trials: list[Trial], until: float) -> Trial:
        """The fastest trial; two that are close are timed again, where there is time for that."""
        settings = _spaced(self.grid(32).settings(), 1 if self._sure else COMPARED)
        cost = partial(Trial.step, settings=len(settings))
        first, *others = sorted(trials, key=cost)
        if not others or cost(first) < CLOSE * cost(others[0]):
            return first
        both = cost(first) + cost(others[0])
        affordable = int((until - time.perf_counter()) / both)
        steps = TIMED_STEPS if affordable >= TIMED_STEPS * ROUNDS else 1  # more turns tell more than longer ones
        rounds = min(ROUNDS, affordable // steps)
        return first if rounds < FEWEST_ROUNDS else self._rematch(first, others[0], settings, rounds, steps)

    def _rematch(self, first: Trial, second: Trial, settings: Sequence[Setting], rounds: int, steps: int) -> Trial:
        """The faster of two trials, timed in turns: one after the other, a busy minute would have hit one of them.

        The first of the rounds warms up; of the others the median counts: a turn that finds the caches as no other
        does is no proof. Where both work on one thread of the processor, it is its time that is counted, not the
        wall's: other programs show less in it.
        """
        alone = first.threads == second.threads == 1 and first.program.initial.device.type == "cpu"
        clock = time.process_time if alone else time.perf_counter
        plans = [
            self._plan(t.program, t.executor, t.lowered.precision).replace(graphs=t.graphs) for t in (first, second)
        ]
        populations = [
            Population(first.problem, settings, plan, self.rules, self.schedule, program=first.program)
            for plan in plans
        ]
        taken: tuple[list[float], list[float]] = [], []
        for _ in range(rounds):
            for trial, population, seconds in zip((first, second), populations, taken, strict=True):
                with torch_threads(trial.threads):
                    seconds.append(_steps_taken(population, steps, clock))
        return first if median(taken[0][1:]) <= median(taken[1][1:]) else second

    def _untried(self, folds: int, problem: Problem, judge: Judge, program: Program) -> Trial:
        """The problem of members that no process carries whole; their draws from torch's generator are seeded."""
        processes = current_ranks().count
        carried = Carried(executor="looped", draws=True)
        each = self._counted(folds, problem, carried)[1] / processes
        return Trial(
            folds=folds,
            problem=problem,
            judge=judge,
            program=program,
            carried=carried,
            need=measure_divided(program, self.rules.values(), processes),
            executor="looped",
            threads=self.threads,
            fixed=STEP_SECONDS,
            each=each,
        )

    @property
    def _sure(self) -> bool:
        """Whether the recipe has a sound learning rate: its networks are dear, and often trained one by one."""
        return self.recipe.rate is not None

    @property
    def _threads(self) -> list[int]:
        return sorted({1, self.threads}, reverse=self._sure)

    def _executors(self, carried: Carried) -> list[ExecutorName]:
        """What is timed, in this order."""
        if self.executor:
            return [self.executor]
        if carried.executor == "looped" or any(rule.looped for rule in self.rules.values()):
            return ["looped"]
        return ["looped", carried.executor] if self._sure else [carried.executor, "looped"]

    def _carried(self, program: Program) -> Carried:
        """What can train the network; InputError where it is not the executor that was asked for."""
        carried = carry(program, self.executor)
        if self.executor not in (None, carried.executor):
            why = "" if carried.notice is None else carried.notice.message
            raise InputError(f"executor is {self.executor!r}, which does not do here: {why}", fix="Leave it out.")
        return carried

    def _counted(self, folds: int, problem: Problem, carried: Carried) -> tuple[ExecutorName, float]:
        """The executor, and the seconds of a setting's step by its multiply-adds: three passes a batch, and its share
        of the evaluation that ends a segment."""
        segment = max(1, ceil(self.horizon(folds) / self.evaluations))
        work = self.weights * (3.0 * self.recipe.batch_size * folds + _judged(problem) / segment)
        alone = self.executor is None and any(rule.looped for rule in self.rules.values())
        return "looped" if alone else carried.executor, work / FLOPS

    def _time(
        self, problem: Problem, program: Program, executor: ExecutorName, precision: Precision, patience: float
    ) -> tuple[float, float, float]:
        """Seconds of a step that do not depend on the number of settings, seconds for each setting, and seconds of
        one network's prediction for a row."""
        settings = self.grid(32).settings()
        plan = self._plan(program, executor, precision)
        single = Population(problem, settings[:1], plan, self.rules, self.schedule, program=program)
        answer = _views(program) * _answering(single)
        one = self._seconds(single, patience)
        if len(settings) == 1 or one > patience:  # so dear a step has no fixed share to speak of
            return 0.0, one, answer
        affordable = int(PATIENCE * patience / (4 * one * TIMED_STEPS))
        count = min(len(settings), max(2, plan.stack // program.streams), max(2, affordable))
        if executor == "looped":  # more tell no more: the time grows evenly
            count = min(count, COMPARED)
        spaced = _spaced(settings, count)
        several = Population(problem, spaced, plan, self.rules, self.schedule, program=program)
        many = self._seconds(several, patience)
        each = max((many - one) / (count - 1), 0.02 * one)
        return max(one - each, 0.0), each, answer

    def _plan(self, program: Program, executor: ExecutorName, precision: Precision) -> Plan:
        """The plan of a population that is timed."""
        horizon = self.horizon(program.streams)
        return Plan(
            executor=executor,
            horizon=max(horizon, TIMED_RUNS * TIMED_STEPS + 2),  # not to run past its end
            segment=max(1, ceil(horizon / self.evaluations)),
            batch_size=self.recipe.batch_size,
            precision=precision,
        )

    def _seconds(self, population: Population, patience: float) -> float:
        """Seconds of a training step, with its share of what begins and ends a segment: the state that is kept to
        replay it, and the evaluation. The first step warms up."""
        population.run(1)
        began = time.perf_counter()
        population.run(2)
        segment = time.perf_counter() - began
        step = _settled(population, segment, patience)
        judging = _answering(population) * _judged(population.program.problem)
        return step + (max(0.0, segment - step) + 2 * judging) / population.plan.segment


def _settled(population: Population, segment: float, patience: float) -> float:
    """Seconds of a step, from short runs: fresh memory makes the first dozen slow, and other programs never make one
    fast, so the fastest run counts.

    A run is one step while these are dear (`segment` is what the last took), then a few. Two runs at least; no more
    where a share of `patience` is over, or where after SETTLED steps two runs in a row gain nothing.
    """
    began, first, fastest, idle = time.perf_counter(), population.step, float("inf"), 0
    took = segment
    for run in range(TIMED_RUNS):
        settled = idle >= 2 and population.step - first >= SETTLED
        if settled or (run > 1 and time.perf_counter() - began > PATIENCE * patience):
            break
        steps = TIMED_STEPS if took < patience / (2 * TIMED_STEPS) else 1
        took = _steps_taken(population, steps)
        idle = 0 if took < GAIN * fastest else idle + 1
        fastest = min(fastest, took)
    return fastest


def _steps_taken(population: Population, steps: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of each of the next steps."""
    began = clock()
    for _ in population.steps(population.step + steps):
        pass
    _wait(population)
    return (clock() - began) / steps


def _wait(population: Population) -> None:
    """Until the device has done what it was told: without it the launching alone would be timed."""
    if population.weights.device.type != "cpu":
        torch.accelerator.synchronize(population.weights.device)


def _spaced(settings: Sequence[Setting], count: int) -> list[Setting]:
    """So many of the settings, or all where they are fewer; of every update rule."""
    count = min(count, len(settings))
    return [settings[i * len(settings) // count] for i in range(count)]


def _views(program: Program) -> int:
    """Views of a row whose mean a finished model's prediction is, at most."""
    return max(int(getattr(type(part), "views", 1)) for part in program.template.modules())


def _answering(population: Population) -> float:
    """Seconds that the networks of one stream take to predict a row; the first one warms up."""
    rows = population.program.problem.streams[0].validation[:TIMED_ROWS]
    population.outputs(0, rows[:1])
    began = time.perf_counter()
    population.outputs(0, rows)
    _wait(population)
    return (time.perf_counter() - began) / len(rows)


def _judged(problem: Problem) -> int:
    """Validation rows on which a setting is judged at each evaluation."""
    return min(JUDGING_ROWS, sum(len(s.validation) for s in problem.streams))
