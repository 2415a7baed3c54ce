"""The baselines that a network must beat, tuned and judged on the same folds within an allowance of time."""

# mypy: disable-error-code="no-untyped-call"

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from time import perf_counter
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num

from tutti.core import Splits
from tutti.evaluation._learners import Fitted, Learner, Linear, Trees
from tutti.evaluation._problem import Clock, Problem
from tutti.evaluation._tuning import Tuned, Tuning
from tutti.metrics import Kind, metric_of

_SLACK = 1.3  # of its time is what a fit under way may take
_NEARLY = 0.8  # fits that miss the allowance by less keep all their rows


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A tuned baseline. `settings` holds what was chosen, and what `replay` needs to repeat it.

    `cv_score` is the mean of the metric over the folds that judged it (all of them with out-of-fold
    predictions). `out_of_fold` are predictions for `splits.validated`, `test` those for `splits.test` after a
    refit on all training rows (with one hold-out: on those of its training part): [rows, classes], [rows, labels] or
    [rows, outputs]. `note` says in words what the allowance of time left out.
    """

    name: str
    settings: dict[str, Any]
    cv_score: float
    out_of_fold: Float[np.ndarray, "validated ..."] | None
    test: Float[np.ndarray, "test ..."] | None
    seconds: float
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """All but the predictions."""
        score = self.cv_score if isfinite(self.cv_score) else None
        return {
            "name": self.name, "settings": self.settings, "cv_score": score, "seconds": self.seconds,
            "note": self.note,
        }  # fmt: skip


def fit_baselines(
    numbers: Float[np.ndarray, "rows number"],
    codes: Int[np.ndarray, "rows category"],
    target: Num[np.ndarray, "rows ..."],
    *,
    kind: Kind,
    outputs: int,
    splits: Splits,
    metric: str,
    weights: Num[np.ndarray, " rows"] | None = None,
    seconds: float | int = 60.0,
    out_of_fold: bool = False,
    seed: int = 0,
    threads: int | None = None,
    replay: Mapping[str, Mapping[str, Any]] | None = None,
    learners: Sequence[Callable[[Problem], Learner]] = (Linear, Trees),
    on_done: Callable[[str, float], None] | None = None,
) -> tuple[Baseline, ...]:
    """The trivial, the tuned linear and the tuned boosted-tree baseline, in this order.

    All arrays are over all rows of the table, in the formats of networks (numbers with NaN for missing, codes)
    and tasks (encoded target). `outputs` is the number of classes (binary: 1 or 2), labels or values.
    - "trivial": the mean, or the class frequencies, of the training rows.
    - "linear": logistic regression over C, or ridge over alpha; see `Linear`.
    - "boosted trees": HistGradientBoosting over learning rate, leaves and iterations; see `Trees`.
    Linear and trees are absent where there is no feature. Other kinds of data bring `learners` of their own.

    `seconds` is wall time for all of them: of two, a third goes to the first at most. What is left out when it is
    short is said in `note`: settings, folds, rows (see `Tuning`). Each has at least one fit. `out_of_fold`
    asks for predictions on every validated row, at the cost of a fit per fold. `threads` bounds the threads
    of the numeric libraries meanwhile. `replay` ({name: settings} of earlier results) repeats those choices
    instead of tuning. `on_done(name, seconds)` is called after each.
    """
    clock = Clock(float(seconds))
    import sklearn.ensemble
    import sklearn.linear_model  # noqa: F401  here, so that no fit's time includes the loading
    from threadpoolctl import threadpool_limits

    problem = Problem(
        numbers=numbers, codes=codes, target=target, kind=kind, outputs=outputs, splits=splits,
        metric=metric_of(metric), weights=weights, seed=seed,
    )  # fmt: skip
    with threadpool_limits(threads):
        found = []
        for baseline in _each(problem, clock, out_of_fold, replay or {}, learners):
            if on_done is not None:
                on_done(baseline.name, baseline.seconds)
            found.append(baseline)
    return tuple(found)


def _each(
    problem: Problem,
    clock: Clock,
    out_of_fold: bool,
    replay: Mapping[str, Mapping[str, Any]],
    learners: Sequence[Callable[[Problem], Learner]],
) -> Iterator[Baseline]:
    yield _trivial(problem, out_of_fold)
    if tuple(learners) == (Linear, Trees) and problem.numbers.shape[1] + problem.codes.shape[1] == 0:
        return
    for place, make in enumerate(learners):
        after = len(learners) - 1 - place
        learner = make(problem)
        share = Clock(clock.left() / (after + 2 if after else 1))
        yield _tuned(problem, learner, share, out_of_fold, replay.get(learner.name))


def _final_rows(splits: Splits) -> np.ndarray:
    """What the model for the test is fitted on: all training rows; where there is one hold-out, those that the
    network trains on too, or a validation part that is several times as large would decide the comparison."""
    return splits.folds[0].train if len(splits.folds) == 1 else splits.train


def _trivial(problem: Problem, out_of_fold: bool) -> Baseline:
    began, splits = perf_counter(), problem.splits
    parts = [problem.constant(fold.train, fold.validation) for fold in splits.folds]
    test = problem.constant(_final_rows(splits), splits.test) if len(splits.test) else None
    return Baseline(
        name="trivial", settings={}, cv_score=_fold_mean(problem, parts),
        out_of_fold=_gather(splits, parts) if out_of_fold else None, test=test, seconds=perf_counter() - began,
    )  # fmt: skip


def _tuned(
    problem: Problem, learner: Learner, clock: Clock, out_of_fold: bool, earlier: Mapping[str, Any] | None
) -> Baseline:
    splits = problem.splits
    tuning = Tuning(problem, learner, clock, out_of_fold)
    tuned = tuning.run() if earlier is None else _repeat(tuning, earlier)
    judged = len(tuned.trials)
    # A model whose rows were cut for tuning is fitted anew; otherwise the trials' own are the fold models.
    ready = [] if tuned.rows or not out_of_fold else tuned.trials
    sizes = [len(fold.train) for fold in splits.folds[len(ready) :]] if out_of_fold else []
    sizes += [len(_final_rows(splits))] if len(splits.test) else []
    grown: list[int] = []  # iterations of each of these fits
    told = None if earlier is None else earlier.get("grown", [tuned.iterations] * len(sizes))
    most = _rows_within(tuning, tuned, sizes, clock) if earlier is None else earlier["fit_rows"]

    def final(rows: np.ndarray) -> Any:
        model = learner.begin(tuned.setting, problem.cut(rows, most))
        if told is None:
            grown.append(_grow(model, tuned.iterations, learner.chunk, clock.left() / (len(sizes) - len(grown))))
        else:
            grown.append(told[len(grown)])
            model.grow(grown[-1])
        if grown[-1] < tuned.iterations:
            tuned.notes.add(f"ended after {grown[-1]} of {tuned.iterations} iterations, as the time was up")
        tuned.notes |= model.notes
        return model

    parts = []
    for number, fold in enumerate(splits.folds if out_of_fold else ()):
        model = ready[number].model if number < len(ready) else final(fold.train)
        iterations = tuned.iterations if number < len(ready) else grown[-1]
        parts.append(model.predict(fold.validation, iterations))
    test = final(_final_rows(splits)).predict(splits.test) if len(splits.test) else None
    value = tuned.score[0] if problem.metric.higher_is_better else -tuned.score[0]
    amounts = {"iterations": tuned.iterations, "grown": grown} if learner.most > 1 else {}
    return Baseline(
        name=learner.name,
        settings={**tuned.setting, **amounts, "tune_rows": tuned.rows, "tune_folds": judged, "fit_rows": most},
        cv_score=_fold_mean(problem, parts) if out_of_fold else value,
        out_of_fold=_gather(splits, parts) if out_of_fold else None,
        test=test,
        seconds=clock.spent(),
        note=_note(tuned, most, len(_final_rows(splits)), len(splits.folds)),
    )


def _grow(model: Fitted, iterations: int, chunk: int, seconds: float) -> int:
    """Grows a model to so many iterations, or to as many as its first ones say that the time allows: one long fit
    cannot be interrupted. Gives the number reached."""
    began, first = perf_counter(), min(chunk, iterations)
    model.grow(first)
    spent = perf_counter() - began
    most = min(iterations, max(first, int(_SLACK * first * seconds / spent)))
    if most > first:
        model.grow(most)
    return most


def _repeat(tuning: Tuning, earlier: Mapping[str, Any]) -> Tuned:
    tuning.rows = earlier["tune_rows"]
    setting = {name: earlier[name] for name in tuning.learner.axes}
    iterations = earlier.get("iterations", 1)
    trials = [tuning.trial(setting, fold, iterations) for fold in range(earlier["tune_folds"])]
    metric, loss = np.mean([trial.scores[iterations] for trial in trials], axis=0)
    notes = {note for trial in trials for note in trial.model.notes}
    return Tuned(setting, iterations, (float(metric), float(loss)), trials, tuning.rows, 1, notes)


def _rows_within(tuning: Tuning, tuned: Tuned, sizes: list[int], clock: Clock) -> int | None:
    """How many rows each of the remaining fits may take, or None for all: cost grows with the rows."""
    if not sizes:
        return None
    trial = tuned.trials[0]
    used = len(tuning.problem.cut(tuning.folds[0].train, tuned.rows))
    each = trial.seconds * tuned.iterations / max(trial.scores) / used
    share = max(clock.left(), 0.1 * clock.allowance) * 0.9 / (each * sum(sizes))
    if share >= _NEARLY:
        return None
    most = max(used, int(max(sizes) * share))  # on fewer it would not be the model that was tuned
    return None if most >= max(sizes) else most


def _fold_mean(problem: Problem, parts: list[np.ndarray]) -> float:
    folds = problem.splits.folds
    scores = [
        problem.metric.function(problem.target[fold.validation], part, problem.mass(fold.validation))
        for fold, part in zip(folds, parts, strict=True)
    ]
    return float(np.mean(scores))


def _gather(splits: Splits, parts: list[np.ndarray]) -> np.ndarray:
    """Out-of-fold predictions in the order of `splits.validated`; a row judged twice gets the mean."""
    rows = splits.validated
    total, times = np.zeros((len(rows), *parts[0].shape[1:])), np.zeros(len(rows))
    for fold, part in zip(splits.folds, parts, strict=True):
        place = np.searchsorted(rows, fold.validation)
        total[place] += part
        times[place] += 1
    return np.asarray(total / times.reshape(-1, *(1,) * (total.ndim - 1)))


def _note(tuned: Tuned, most: int | None, rows: int, folds: int) -> str:
    words = [f"{tuned.tried} settings tried, chosen on {len(tuned.trials)} of {folds} folds"]
    if tuned.rows is not None:
        words.append(f"tuned on {tuned.rows:,} training rows a fold")
    if most is not None and most < rows:
        words.append(f"fitted on {most:,} of {rows:,} training rows")
    return "; ".join([*words, *sorted(tuned.notes)]) + "."
