"""The judgement: scores with intervals, beside the baselines, in words; as the object that `--json` prints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from tutti.core import Finding, Observer
from tutti.data import looked_at, one_group, record_look, repeated_looks
from tutti.evaluation import (
    Baseline,
    Curves,
    FitQuality,
    Optimism,
    fit_baselines,
    fit_quality,
    inputs_for,
    optimism,
    verdict,
)
from tutti.inspection import feature_places, permutation_importance
from tutti.learn._declare import Declared
from tutti.learn._examples import examples
from tutti.learn._options import Options
from tutti.learn._progress import Clock
from tutti.learn._train import Outcome
from tutti.metrics import (
    METRICS,
    Difference,
    Score,
    calibration_curve,
    conformal_band,
    confusion,
    corrected_cv_interval,
    coverage,
    metrics_for,
    paired_difference,
    residual_curve,
    score,
)
from tutti.runs import Run, environment
from tutti.tasks import Forecast


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """The result object, the predictions that it rests on (encoded targets and predictions, no features), and some
    samples to look at, where these are no rows of a table."""

    result: dict[str, Any]
    predictions: dict[str, np.ndarray]
    examples: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Rows that judge the model, with its predictions: the test rows, or all out-of-fold rows."""

    test: bool
    rows: Int[np.ndarray, " rows"]
    prediction: Float[np.ndarray, "rows ..."]


def run_baselines(
    declared: Declared, options: Options, seconds: float, observer: Observer, told: Mapping[str, Any] | None
) -> tuple[Baseline, ...]:
    """The baselines on the same folds; none where they were declined."""
    if not options.baselines:
        return ()
    inputs = inputs_for(declared.table, declared.splits)
    return fit_baselines(
        inputs.numbers,
        inputs.codes,
        declared.target,
        kind=declared.task.kind,
        outputs=max(declared.task.outputs, len(declared.task.classes)),
        splits=declared.splits,
        metric=declared.metric,
        weights=declared.weights,
        seconds=seconds,
        out_of_fold=not len(declared.splits.test),
        seed=options.seed,
        replay=told,
        learners=inputs.learners,
        on_done=observer.on_baseline,
    )


def assess(
    declared: Declared,
    options: Options,
    outcome: Outcome,
    baselines: Sequence[Baseline],
    clock: Clock,
    run: Run | None,
) -> Assessment:
    """Judges the predictor on rows that took no part in choosing it, or, without such rows, out of fold."""
    judged = _judged(declared, outcome)
    looks, looked = _looks(declared, run)
    findings = [*declared.findings, *outcome.notices, *_divergence(outcome), *_narrow(declared, outcome), *looked]
    quoted = _score(declared, judged, declared.metric)
    differences = [_difference(declared, judged, b) for b in baselines]
    searched = _optimism(declared, outcome)
    quality = _quality(declared, outcome, baselines)
    result = {
        "run": None if run is None else str(run.folder),
        "task": declared.task.kind,
        "data": {
            "kind": declared.table.kind,
            "source": declared.table.source,
            "rows": declared.table.rows,
            "columns": len(declared.schema.columns),
        },
        "members": _members(outcome),
        "best": {**outcome.best.setting.to_json(), "step": outcome.best.point.step, "cv": _cv(declared, outcome)},
        "test": quoted.to_json() if judged.test else None,
        "baselines": [_baseline_json(declared, judged, b, d) for b, d in zip(baselines, differences, strict=True)],
        "fit_quality": quality.quality,
        "findings": [f.to_json() for f in findings],
        "verdict": verdict({b.name: d for b, d in zip(baselines, differences, strict=True)} if judged.test else {}),
        "seconds": 0.0,
    }
    result["details"] = _details(declared, outcome, baselines, judged, searched, quality, clock, looks)
    result["seconds"] = round(clock.seconds, 2)
    shown = []
    if options.examples:
        predictor = outcome.predictor if judged.test else None  # without a test the networks have seen the rows
        shown = examples(declared, judged.rows, judged.prediction, predictor, 0.3 * clock.ending)
    return Assessment(result=result, predictions=_predictions(declared, outcome, judged), examples=shown)


def _judged(declared: Declared, outcome: Outcome) -> Judged:
    test = declared.splits.test
    if not len(test):
        return Judged(test=False, rows=outcome.rows, prediction=outcome.out_of_fold)
    prediction = outcome.predictor.on(declared.table.take(test))
    return Judged(test=True, rows=test, prediction=prediction)


def _units(declared: Declared, rows: np.ndarray) -> dict[str, Any]:
    """How an interval over these rows resamples."""
    weights = declared.table.weight
    return {
        "units": None if declared.splits.unit == "row" else declared.splits.units[rows],
        "unit": declared.splits.unit,
        "weights": None if weights is None else weights[rows],
    }


def _score(declared: Declared, judged: Judged, metric: str) -> Score:
    return score(metric, declared.target[judged.rows], judged.prediction, **_units(declared, judged.rows))


def _baseline_prediction(declared: Declared, judged: Judged, baseline: Baseline) -> np.ndarray:
    """The baseline's predictions for the judged rows, in their order."""
    if judged.test:
        assert baseline.test is not None
        return baseline.test
    assert baseline.out_of_fold is not None
    return baseline.out_of_fold[np.searchsorted(declared.splits.validated, judged.rows)]


def _difference(declared: Declared, judged: Judged, baseline: Baseline) -> Difference:
    theirs = _baseline_prediction(declared, judged, baseline)
    target = declared.target[judged.rows]
    return paired_difference(declared.metric, target, judged.prediction, theirs, **_units(declared, judged.rows))


def _baseline_json(declared: Declared, judged: Judged, baseline: Baseline, difference: Difference) -> dict[str, Any]:
    theirs = Judged(test=judged.test, rows=judged.rows, prediction=_baseline_prediction(declared, judged, baseline))
    own = _score(declared, theirs, declared.metric)
    return {
        "name": baseline.name,
        "value": own.value,
        "low": own.low,
        "high": own.high,
        "difference": difference.value,
        "difference_low": difference.low,
        "difference_high": difference.high,
    }


def _cv(declared: Declared, outcome: Outcome) -> dict[str, Any]:
    """The selection score: mean over folds, with Nadeau and Bengio's interval, or that of the one hold-out."""
    folds = declared.splits.judging(outcome.folds)
    point = outcome.best.point
    if len(folds) == 1:
        held = Judged(test=False, rows=outcome.rows, prediction=outcome.out_of_fold)
        found = _score(declared, held, declared.metric)
        low, high = found.low, found.high
    else:
        sizes = [(len(f.train), len(f.validation)) for f in folds]
        train, held_out = (int(np.mean(x)) for x in zip(*sizes, strict=True))
        interval = corrected_cv_interval(list(point.fold_scores), train, held_out)
        low, high = interval.low, interval.high
    least, most = METRICS[declared.metric].bounds
    return {"metric": declared.metric, "mean": point.score, "low": max(low, least), "high": min(high, most)}


def _members(outcome: Outcome) -> dict[str, int]:
    tracks, folds = outcome.search.tracks.values(), outcome.folds
    return {
        "trained": len(tracks) * folds,
        "dropped": sum(folds - t.diverged for t in tracks if t.status == "dropped"),
        "diverged": sum(t.diverged for t in tracks),
    }


def _divergence(outcome: Outcome) -> list[Finding]:
    """One finding for all members that diverged."""
    gone = [t.setting for t in outcome.search.tracks.values() if t.diverged]
    if not gone:
        return []
    rates = sorted({s.learning_rate for s in gone})
    known = outcome.search.autopsies
    first = min(known, key=lambda a: a.setting.learning_rate, default=None)
    seen = "" if first is None else f" At step {first.step:,} of learning rate {first.setting.learning_rate:g}: "
    why = "Lower rates if you need them." if first is None else first.cause
    return [
        Finding(
            kind="diverged",
            where=", ".join(f"{r:g}" for r in rates),
            message=f"{len(gone)} settings diverged (learning rates {rates[0]:g} to {rates[-1]:g}): they were "
            f"frozen and their neighbours went on.{seen or ' '}{why}",
            severity="notice",
        )
    ]


def _narrow(declared: Declared, outcome: Outcome) -> list[Finding]:
    """A warning where one hold-out took the place of all folds, and all its rows are of one group."""
    splits = declared.splits
    if outcome.folds == len(splits.folds):
        return []
    return one_group(splits, "hold-out", splits.judging(outcome.folds)[0].validation) if outcome.folds == 1 else []


def _looks(declared: Declared, run: Run | None) -> tuple[int, list[Finding]]:
    """How often these test rows have been looked at before by runs in the same folder, and what to say of it."""
    if run is None or declared.test_fingerprint is None:
        return 0, []
    before = looked_at(run.folder.parent, declared.test_fingerprint)
    return before, [*repeated_looks(before), *record_look(run.folder.parent, declared.test_fingerprint, run.name)]


def _optimism(declared: Declared, outcome: Outcome) -> Optimism | None:
    """How much better the best setting looks than it is, where row scores were kept."""
    kept = [t for t in outcome.search.tracks.values() if t.row_scores is not None]
    if len(kept) < 2:
        return None
    scores = np.stack([t.row_scores for t in kept if t.row_scores is not None])
    each = [t.row_losses for t in kept if t.row_losses is not None]
    losses = np.stack(each) if len(each) == len(kept) else None
    rows = outcome.search.judged_rows
    units = None if declared.splits.unit == "row" else declared.splits.units[rows]
    weights = None if declared.weights is None else declared.weights[rows]
    return optimism(scores, declared.metric, losses=losses, units=units, weights=weights)


def _quality(declared: Declared, outcome: Outcome, baselines: Sequence[Baseline]) -> FitQuality:
    """Under, good or over, from the winner's curves; validation score against validation score."""
    points = outcome.search.tracks[outcome.best.setting].points
    held = Judged(test=False, rows=outcome.rows, prediction=outcome.out_of_fold)
    simple = [b.cv_score for b in baselines if b.name != "trivial"]
    best = max if METRICS[declared.metric].higher_is_better else min
    return fit_quality(
        Curves(
            step=[p.step for p in points],
            train_loss=[p.train_loss for p in points],
            train_score=[p.train_score for p in points],
            score=[p.score for p in points],
        ),
        declared.metric,
        _score(declared, held, declared.metric),
        baseline=best(simple) if simple else None,
        trivial=next((b.cv_score for b in baselines if b.name == "trivial"), None),
    )


def _predictions(declared: Declared, outcome: Outcome, judged: Judged) -> dict[str, np.ndarray]:
    found = {
        "out_of_fold.rows": outcome.rows,
        "out_of_fold.prediction": outcome.out_of_fold,
        "out_of_fold.target": declared.target[outcome.rows],
    }
    if judged.test:
        found |= {
            "test.rows": judged.rows,
            "test.prediction": judged.prediction,
            "test.target": declared.target[judged.rows],
        }
    return {k: np.ascontiguousarray(v) for k, v in found.items()}


def _details(
    declared: Declared,
    outcome: Outcome,
    baselines: Sequence[Baseline],
    judged: Judged,
    searched: Optimism | None,
    quality: FitQuality,
    clock: Clock,
    looks: int,
) -> dict[str, Any]:
    """What the report shows beside the result."""
    task, splits, target = declared.task, declared.splits, declared.target[judged.rows]
    tracks = outcome.search.tracks
    points = tracks[outcome.best.setting].points
    details: dict[str, Any] = {
        "metric": {"name": declared.metric, "higher_is_better": METRICS[declared.metric].higher_is_better},
        "metrics": [_score(declared, judged, m).to_json() for m in metrics_for(task.kind)],
        "classes": list(task.classes),
        "class_counts": task.counts(declared.target),
        "remedy": quality.remedy,
        "fit_reason": quality.reason,
        "splits": {
            "kind": splits.kind,
            "unit": splits.unit,
            "folds": outcome.folds,
            "rows_train": len(splits.train),
            "rows_judging": len(outcome.rows),
            "rows_test": len(splits.test),
            "test_looked_at": looks,
        },
        "curves": {
            "step": [p.step for p in points],
            "train_loss": [p.train_loss for p in points],
            "train_score": [p.train_score for p in points],
            "score": [p.score for p in points],
        },
        "settings": [
            {
                "setting": t.setting.to_json(),
                "score": None if t.best is None else t.best.score,
                "status": t.status,
                "steps": t.points[-1].step if t.points else 0,
            }
            for t in tracks.values()
        ],
        "fold_scores": list(outcome.best.point.fold_scores),
        "baseline_settings": {b.name: {**b.settings} for b in baselines},
        "baseline_notes": {b.name: b.note for b in baselines if b.note},
        "plan": list(outcome.lines),
        "environment": environment(),
    }
    if searched is not None:
        details["optimism"] = searched.to_json()
    if isinstance(task, Forecast) and judged.test:
        details["intervals"] = _bands(declared, outcome, judged)
    if task.kind == "regression":
        details["residuals"] = residual_curve(target, judged.prediction).to_json()
    elif task.kind != "language":
        details["calibration"] = calibration_curve(target, judged.prediction).to_json()
        if target.ndim == 1 or task.kind == "segmentation":
            details["confusion"] = confusion(target, judged.prediction).tolist()
    details["importance"] = _importance(declared, outcome, judged, clock)
    return details


def _bands(declared: Declared, outcome: Outcome, judged: Judged) -> dict[str, Any]:
    """The forecast's 90 % band, from rows that its networks did not train on, and how much of the test it held."""
    band = conformal_band(declared.target[outcome.rows], outcome.out_of_fold)
    target, units = declared.target[judged.rows], _units(declared, judged.rows)["units"]
    held = coverage(target, judged.prediction, band, units=units)
    each = (np.abs(target - judged.prediction) <= band.width).mean(axis=0)
    return {**band.to_json(), "held": held.to_json(), "held_each": [round(float(share), 4) for share in each]}


def _importance(declared: Declared, outcome: Outcome, judged: Judged, clock: Clock) -> list[dict[str, Any]]:
    """What each column is worth, on rows that the networks which answer did not train on."""
    if not judged.test or declared.table.sample is not None:
        return []
    units = _units(declared, judged.rows)
    found = permutation_importance(
        outcome.predictor.predict,
        declared.numbers[judged.rows],
        declared.codes[judged.rows],
        declared.target[judged.rows],
        declared.metric,
        columns=feature_places(declared.schema),
        units=units["units"],
        weights=units["weights"],
        seconds=max(0.3, 0.5 * clock.ending),
    )
    return found.to_json()
