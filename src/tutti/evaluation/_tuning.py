"""Tuning of one baseline within an allowance of time."""

from dataclasses import dataclass, field
from itertools import count
from time import perf_counter

import numpy as np

from tutti.evaluation._learners import Fitted, Learner, Setting
from tutti.evaluation._problem import Clock, Problem

_FIRST_ROWS = 20_000  # how many training rows the first fit takes at most,
_FIRST_CELLS = 400_000  # and how many rows times classes
_PROGRESS = 0.99  # growing ends when two chunks have not brought the loss below this share of the least before
_USUAL = 100  # iterations that boosting needs at its start setting, more or less
_QUICK_COST = 0.5  # of the start setting's
_LEAST_ROWS = 2000  # training rows are cut no further to save time
_MARGIN = 1.25  # measured times repeat no better
_FINAL_SHARE = 0.6  # of the allowance: what the fits after tuning may claim at most


@dataclass
class Trial:
    """One setting on one fold: scores by iterations, the model, and what it took."""

    scores: dict[int, tuple[float, float]]
    model: Fitted
    seconds: float


@dataclass
class Tuned:
    """The setting chosen, by how many folds, and the trials of it."""

    setting: Setting
    iterations: int
    score: tuple[float, float]
    trials: list[Trial]
    rows: int | None  # the training rows of the trials were cut to so many
    tried: int
    notes: set[str] = field(default_factory=set)


Key = tuple[float | int, ...]


class Tuning:
    """Coordinate search on the first fold, then successive elimination over the further ones.

    From the learner's start every neighbour (one step along one axis) of the leader is tried until the leader
    has none untried. The better half then meets the second fold, the better half of those the third, and so
    on until one is left; ties of the mean metric are broken by the mean loss. Training rows are cut to
    20,000 (fewer with more than 20 classes) for the first fit; where that was quick for the allowance, as many
    more are taken as its time allows. Tuning stops when what is left of the allowance is needed for the fits
    that follow.
    """

    def __init__(self, problem: Problem, learner: Learner, clock: Clock, out_of_fold: bool) -> None:
        self.problem, self.learner, self.clock = problem, learner, clock
        self.folds = problem.splits.folds
        self.rows: int | None = None
        self.found: dict[Key, list[Trial]] = {}
        one = len(self.folds) == 1
        finals = [len(self.folds[0].train if one else problem.splits.train)] if len(problem.splits.test) else []
        finals += [len(fold.train) for fold in self.folds] * out_of_fold
        self.final_rows, self.fits = sum(finals), len(finals)

    def run(self) -> Tuned:
        longest = max(len(fold.train) for fold in self.folds)
        first = max(_LEAST_ROWS, min(_FIRST_ROWS, _FIRST_CELLS // max(1, self.problem.outputs)))
        self.rows = first if longest > first else None
        self._begin(self._start(), first, longest)
        while (untried := self._neighbours(self._leader())) and self._affords(untried[:1]):
            self.found[untried[0]] = [self.trial(self._named(untried[0]), 0)]
        for fold in range(1, len(self.folds)):
            ranked = sorted(self._complete(), key=lambda key: self._summary(key)[0], reverse=True)
            stay = ranked[: (len(ranked) + 1) // 2]
            if len(ranked) == 1 or not self._affords(stay):
                break
            for key in stay:
                self.found[key].append(self.trial(self._named(key), fold))
        leader = self._leader()
        score, iterations = self._summary(leader)
        trials = self.found[leader]
        notes = {note for trial in trials for note in trial.model.notes}
        return Tuned(self._named(leader), iterations, score, trials, self.rows, len(self.found), notes)

    def trial(self, setting: Setting, fold: int, iterations: int | None = None) -> Trial:
        """Grows a model on a fold until two chunks have brought its loss less than 1 % further down, time is
        short, or, where given, it has so many iterations."""
        began = perf_counter()
        rows = self.problem.cut(self.folds[fold].train, self.rows)
        judged = self.problem.cut(self.folds[fold].validation, self.rows)
        model = self.learner.begin(setting, rows)
        scores: dict[int, tuple[float, float]] = {}
        for chunk in count(1):
            size = min(chunk * self.learner.chunk, iterations or self.learner.most)
            model.grow(size)
            scores[size] = self.problem.judge(judged, model.predict(judged))
            losses = [-score[1] for score in scores.values()]
            if size == (iterations or self.learner.most):
                break
            settled = len(losses) > 2 and min(losses[-2:]) > _PROGRESS * min(losses[:-2])
            if iterations is None and (settled or self._short(perf_counter() - began, chunk, len(rows))):
                break
        return Trial(scores, model, perf_counter() - began)

    def _start(self) -> Key:
        """The learner's start; its quick setting where the start would not have its usual number of iterations
        in time, and fewer rows where that one would not either: a slow learner cut off early is a straw man."""
        setting = self.learner.start
        if self.learner.most > 1:
            rows = self.problem.cut(self.folds[0].train, self.rows)
            probe = max(1, self.learner.chunk // 5)
            began = perf_counter()
            self.learner.begin(setting, rows).grow(probe)
            needed = (perf_counter() - began) / probe * _USUAL * (1 + self.fits)
            if needed > _FINAL_SHARE * self.clock.left():
                setting = self.learner.quick
                share = max(self.clock.left(), 0.1) * _FINAL_SHARE / (needed * _QUICK_COST)
                if share < 1 and len(rows) > _LEAST_ROWS:
                    self.rows = max(_LEAST_ROWS, int(share * len(rows)))
        return tuple(setting[name] for name in self.learner.axes)

    def _begin(self, start: Key, first: int, longest: int) -> None:
        self.found[start] = [self.trial(self._named(start), 0)]
        more = int(first * 0.1 * self.clock.allowance / self.found[start][0].seconds)
        if self.rows == first and more >= 2 * first:
            self.rows = more if more < longest else None
            self.found[start] = [self.trial(self._named(start), 0)]

    def _named(self, key: Key) -> Setting:
        return dict(zip(self.learner.axes, key, strict=True))

    def _complete(self) -> list[Key]:
        most = max(len(trials) for trials in self.found.values())
        return [key for key, trials in self.found.items() if len(trials) == most]

    def _leader(self) -> Key:
        return max(self._complete(), key=lambda key: self._summary(key)[0])

    def _summary(self, key: Key) -> tuple[tuple[float, float], int]:
        """The mean score over the folds met at the common number of iterations with the least mean loss, and
        that number. (Chosen by accuracy, the number would be noise: a fold of 300 rows has few distinct values.)"""
        trials = self.found[key]
        common = set.intersection(*(set(trial.scores) for trial in trials))
        means = {}
        for size in sorted(common):
            metric, loss = np.mean([trial.scores[size] for trial in trials], axis=0)
            means[size] = (float(metric), float(loss))
        best = max(means, key=lambda size: means[size][1])
        return means[best], best

    def _neighbours(self, key: Key) -> list[Key]:
        near: list[Key] = []
        for axis, values in enumerate(self.learner.axes.values()):
            place = values.index(key[axis])
            near += [(*key[:axis], value, *key[axis + 1 :]) for value in values[max(0, place - 1) : place + 2]]
        untried = [other for other in near if other not in self.found]
        return sorted(untried, key=lambda other: self.learner.cost(self._named(other)))

    def _reserve(self) -> float:
        """What the fits after tuning will take, by the leader's time per row, at most a share of all."""
        leader = self._leader()
        trial, best = self.found[leader][0], self._summary(leader)[1]
        rows = len(self.problem.cut(self.folds[0].train, self.rows))
        each = trial.seconds * best / max(trial.scores) / rows
        return min(_MARGIN * each * self.final_rows, _FINAL_SHARE * self.clock.allowance)

    def _affords(self, keys: list[Key]) -> bool:
        """Whether these trials leave time for the fits after tuning, should the costliest of them lead then."""
        leader = self._leader()
        own = self.learner.cost(self._named(leader))
        costs = [self.learner.cost(self._named(key)) / own for key in keys]
        needed = self._reserve() * max(1.0, *costs) + sum(costs) * self.found[leader][0].seconds
        return self.clock.left() > needed

    def _short(self, elapsed: float, chunks: int, rows: int) -> bool:
        """Whether one chunk more would take what the fits after tuning need."""
        share = _FINAL_SHARE * self.clock.allowance
        first = max(elapsed * self.fits, min(elapsed * self.final_rows / rows, share))
        reserve = self._reserve() if self.found else first
        return self.clock.left() < reserve + elapsed / chunks
