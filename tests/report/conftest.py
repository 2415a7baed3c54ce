"""Run folders of every sort, written as a fit writes them, with made-up but plausible numbers."""

from collections.abc import Callable
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tutti.runs import Run

HOSTILE = '<script>alert("x")</script>&\'"\u202e\x1b[31m\udc80'
STEPS = range(40, 1241, 40)
ENVIRONMENT = {
    "tutti": "0.1.0",
    "python": "3.11.9",
    "torch": "2.9.0",
    "numpy": "2.3.1",
    "system": "Linux",
    "machine": "x86_64",
    "processor": "A processor",
    "cores": 2,
    "accelerators": [],
}


def setting(rate: float, decay: float) -> dict[str, float]:
    return {"learning_rate": rate, "weight_decay": decay, "dropout": 0.0, "momentum": 0.9}


RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3)
DECAYS = (0.0, 0.01, 0.1, 1.0)


def population(
    best: float, worst: float, loss: float, rng: np.random.Generator
) -> tuple[list[dict], list[dict], dict]:
    """The log, the settings and the winner's curves of a grid whose best cell is 3e-3 × 0.1."""
    ends = {
        (r, d): best
        + (worst - best) * (0.012 * (np.log10(r / 3e-3)) ** 2 + 0.006 * abs(j - 2))
        + rng.normal(0, abs(best - worst) * 1e-3)
        for r in RATES
        for j, d in enumerate(DECAYS)
    }
    ends[3e-3, 0.1] = best
    dropped = {k: int(rng.integers(120, 700)) for k, v in ends.items() if abs(v - best) > abs(worst - best) * 0.012}
    diverged = {(0.3, 0.0): 240, (0.3, 0.01): 320}
    log: list[dict[str, Any]] = []
    for step in STEPS:
        rows = []
        for (r, d), end in ends.items():
            pace = 60 + 200 * (3e-3 / (r + 1e-3)) ** 0.5
            score = end + (worst - end) * exp(-step / pace) + rng.normal(0, abs(best - worst) * 0.004)
            status = "training"
            if step > diverged.get((r, d), 10**9):
                status, score = "diverged", float("nan")
            elif step > dropped.get((r, d), 10**9):
                status = "dropped"
            rows.append(
                {
                    "setting": setting(r, d),
                    "train_loss": loss * (0.03 + exp(-step / pace / 0.8)),
                    "train_score": best + (best - worst) * 0.015,
                    "score": score,
                    "fold_scores": [score] * 5,
                    "status": status,
                }
            )
        log.append({"event": "board", "step": step, "seconds": step / 100, "rows": rows})
    settings = [
        {
            "setting": setting(r, d),
            "score": None if (r, d) in diverged else end,
            "low": None if (r, d) in diverged else end - 0.01 * abs(best - worst),
            "high": None if (r, d) in diverged else end + 0.01 * abs(best - worst),
            "status": "diverged" if (r, d) in diverged else "dropped" if (r, d) in dropped else "finished",
            "steps": diverged.get((r, d), dropped.get((r, d), 1240)),
        }
        for (r, d), end in ends.items()
    ]
    gain = [exp(-s / 120) for s in STEPS]
    curves = {
        "step": list(STEPS),
        "train_loss": [loss * (0.03 + g) for g in gain],
        "train_score": [best + (best - worst) * 0.012 + (worst - best) * g for g in gain],
        "score": [best + (worst - best) * g for g in gain],
    }
    return log, settings, curves


def column(name: str, kind: str = "number", role: str = "feature", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "role": role,
        "levels": [],
        "features": [],
        "missing": 0,
        "distinct": 40,
        "note": "",
    } | more


def baseline(name: str, value: float, half: float, ours: float, gap: float) -> dict[str, Any]:
    return {
        "name": name,
        "value": value,
        "low": value - half,
        "high": value + half,
        "difference": ours - value,
        "difference_low": ours - value - gap,
        "difference_high": ours - value + gap,
    }


def base(
    rng: np.random.Generator, metric: str, best: float, worst: float, value: float, half: float, n: int
) -> tuple[dict, list]:
    """What the results of all tasks share."""
    higher = best > worst
    log, settings, curves = population(best, worst, 2.3 if higher else worst, rng)
    winner = setting(3e-3, 0.1)
    span = abs(best - worst)
    result = {
        "run": "a run",
        "data": {"rows": 5 * n, "columns": 8},
        "members": {"trained": 160, "dropped": 105, "diverged": 10},
        "best": winner
        | {"cv": {"metric": metric, "mean": best, "low": best - 0.01 * span, "high": best + 0.01 * span}},
        "test": {"metric": metric, "value": value, "low": value - half, "high": value + half, "n": n},
        "fit_quality": "good",
        "findings": [
            {
                "kind": "constant-column",
                "where": "ship",
                "message": "Every row says the same; set aside.",
                "severity": "notice",
            },
            {
                "kind": "target-copy",
                "where": "alive",
                "message": "This column repeats the target; it was set aside. Use --keep alive to train on it.",
                "severity": "warning",
            },
        ],
        "seconds": 14.3,
        "details": {
            "metric": {"name": metric, "higher_is_better": higher},
            "remedy": "Nothing to mend. More rows would help more than a larger network.",
            "splits": {
                "kind": "stratified" if higher else "random",
                "unit": "row",
                "folds": 5,
                "rows_train": 4 * n,
                "rows_test": n,
                "test_looked_at": 1,
            },
            "curves": curves,
            "settings": settings,
            "fold_scores": [best + span * d for d in (0.004, -0.002, 0.001, -0.005, 0.002)],
            "optimism": {
                "value": 0.004 * span,
                "corrected": best - (best - worst) * 0.004,
                "low": best - 0.014 * span,
                "high": best + 0.006 * span,
            },
            "baseline_settings": {
                "logistic regression": {"C": 0.1},
                "boosted trees": {"learning_rate": 0.05, "max_leaf_nodes": 15},
            },
            "plan": [
                "160 networks: 32 settings × 5 folds, 64-64, stacked",
                "at most 1,240 steps of 32 rows each",
                "about 12 s",
            ],
        },
    }
    return result, log


def importance(names: list[str], top: float) -> list[dict[str, Any]]:
    return [
        {"feature": n, "value": top * 0.55**i, "low": top * 0.55**i - top * 0.06, "high": top * 0.55**i + top * 0.06}
        for i, n in enumerate(names)
    ]


def calibration(rng: np.random.Generator, low: float) -> dict[str, Any]:
    at = np.linspace(low, 0.985, 8)
    bins = []
    for p in at:
        seen = float(np.clip(p - 0.03 + rng.normal(0, 0.03), 0, 1))
        bins.append(
            {
                "predicted": float(p),
                "observed": seen,
                "low": max(seen - 0.09, 0),
                "high": min(seen + 0.08, 1),
                "count": int(rng.integers(15, 60)),
            }
        )
    return {"bins": bins, "error": 0.0312}


def write(folder: Path, files: dict[str, Any], log: list[dict[str, Any]]) -> Path:
    run = Run.create(folder, folder.name)
    run.write_json("run.json", run.read_json("run.json") | {"created": "2026-02-03T04:05:06+00:00"})
    run.write_json("environment.json", ENVIRONMENT)
    for name, value in files.items():
        run.write_json(name, value)
    for event in log:
        run.append(event)
    run.seal()
    return folder


def binary(folder: Path) -> Path:
    rng = np.random.default_rng(1)
    result, log = base(rng, "accuracy", 0.829, 0.616, 0.8324, 0.0525, 179)
    result |= {"task": "binary", "data": {"rows": 891, "columns": 15}}
    result["verdict"] = (
        "A good model: 0.832 of 179 unseen passengers are told right, clearly better than the majority class, "
        "and not distinguishable from boosted trees (differences above 0.05 are excluded)."
    )
    result["baselines"] = [
        baseline("boosted trees", 0.8212, 0.055, 0.8324, 0.038),
        baseline("logistic regression", 0.7877, 0.06, 0.8324, 0.041),
        baseline("majority class", 0.6145, 0.071, 0.8324, 0.081),
    ]
    result["details"] |= {
        "metrics": [
            {"metric": "auc", "value": 0.8731, "low": 0.81, "high": 0.92},
            {"metric": "log_loss", "value": 0.4213, "low": 0.35, "high": 0.51},
            {"metric": "brier", "value": 0.1302, "low": 0.11, "high": 0.16},
        ],
        "classes": ["no", "yes"],
        "class_counts": {"no": 549, "yes": 342},
        "confusion": [[98, 12], [18, 51]],
        "calibration": calibration(rng, 0.03),
        "importance": importance(["sex", "class", "age", "fare", "deck", "sibsp", "embark_town", "parch"], 0.17),
    }
    columns = [
        column("survived", "boolean", "target", distinct=2),
        column("pclass", "category", distinct=3),
        column("sex", "category", distinct=2),
        column("age", missing=177, distinct=88),
        column("fare", distinct=248),
        column("deck", "category", missing=688, distinct=7),
        column("alive", "category", "aside", distinct=2, note="repeats the target; set aside"),
        column("name", "text", "aside", distinct=891, note="free text is set aside"),
    ]
    files = {
        "result.json": result,
        "schema.json": {"rows": 891, "columns": columns},
        "task.json": {"kind": "binary", "names": ["survived"]},
        "config.json": {"seed": 0},
    }
    return write(folder, files, log)


def multiclass(folder: Path) -> Path:
    rng = np.random.default_rng(2)
    result, log = base(rng, "accuracy", 0.9743, 0.1, 0.9806, 0.0145, 360)
    digits = [str(d) for d in range(10)]
    confusion = (np.eye(10, dtype=int) * 35).tolist()
    confusion[8][1], confusion[3][5], confusion[9][7], confusion[4][9] = 3, 1, 2, 1
    result |= {"task": "multiclass", "data": {"rows": 1797, "columns": 65}}
    result["verdict"] = "A strong model: 0.981 of 360 unseen digits are read right, better than every baseline."
    result["baselines"] = [
        baseline("boosted trees", 0.9583, 0.021, 0.9806, 0.019),
        baseline("logistic regression", 0.9611, 0.02, 0.9806, 0.017),
        baseline("majority class", 0.1028, 0.032, 0.9806, 0.034),
    ]
    result["findings"] = []
    result["details"] |= {
        "metrics": [
            {"metric": "log_loss", "value": 0.0721, "low": 0.04, "high": 0.11},
            {"metric": "f1", "value": 0.9804, "low": 0.966, "high": 0.994},
        ],
        "classes": digits,
        "class_counts": {d: 178 + i for i, d in enumerate(digits)},
        "confusion": confusion,
        "calibration": calibration(rng, 0.5),
        "importance": importance([f"pixel_{i}" for i in range(64)], 0.06),
    }
    columns = [column(f"pixel_{i}", distinct=17) for i in range(64)] + [
        column("digit", "category", "target", distinct=10)
    ]
    columns[0] |= {"kind": "constant", "role": "aside", "note": "the same in every row"}
    files = {
        "result.json": result,
        "schema.json": {"rows": 1797, "columns": columns},
        "task.json": {"kind": "multiclass", "names": ["digit"]},
        "config.json": {"seed": 3},
    }
    return write(folder, files, log)


def regression(folder: Path) -> Path:
    rng = np.random.default_rng(3)
    result, log = base(rng, "rmse", 3.11, 9.2, 2.943, 0.52, 102)
    result |= {"task": "regression", "fit_quality": "over"}
    result["verdict"] = "Worse than boosted trees on 102 unseen rows: RMSE is 0.31 higher; prefer the trees here."
    result["baselines"] = [
        baseline("boosted trees", 2.631, 0.43, 2.943, 0.22),
        baseline("ridge regression", 4.612, 0.71, 2.943, 0.61),
        baseline("mean", 9.031, 1.1, 2.943, 1.02),
    ]
    at = np.linspace(8, 45, 10)
    mean = rng.normal(0, 0.4, 10)
    result["details"] |= {
        "metrics": [
            {"metric": "mae", "value": 2.021, "low": 1.7, "high": 2.4},
            {"metric": "r2", "value": 0.894, "low": 0.84, "high": 0.93},
        ],
        "residuals": {
            "predicted": at,
            "mean": mean,
            "low": mean - 0.5,
            "high": mean + 0.5,
            "count": rng.integers(8, 14, 10),
        },
        "importance": importance(["rooms", "lower_status", "distance", "crime"], 3.2),
        "splits": {
            "kind": "time",
            "unit": "block",
            "folds": 5,
            "rows_train": 404,
            "rows_test": 102,
            "test_looked_at": 4,
        },
        "remedy": "More weight decay or dropout, or more rows: the training error is far below the validation error.",
    }
    columns = [column(n) for n in ("rooms", "lower_status", "distance", "crime")] + [column("price", role="target")]
    columns.append(column("sold", "datetime", "time"))
    files = {
        "result.json": result,
        "schema.json": {"rows": 506, "columns": columns},
        "task.json": {"kind": "regression", "names": ["price"]},
    }
    return write(folder, files, log)


def no_test(folder: Path) -> Path:
    rng = np.random.default_rng(4)
    result, log = base(rng, "accuracy", 0.953, 0.33, 0.9, 0.05, 30)
    result |= {"task": "multiclass", "test": None}
    result["verdict"] = "Out of fold, 0.951 are told right after correction for the search."
    result["baselines"] = []
    result["details"]["splits"] |= {"rows_train": 150, "rows_test": 0}
    return write(folder, {"result.json": result}, log[:1])


def hostile(folder: Path) -> Path:
    rng = np.random.default_rng(5)
    result, log = base(rng, "accuracy", 0.8, 0.5, 0.81, 0.05, 100)
    classes = [HOSTILE, "</td></table>", "汉字漢字" * 20]
    for event in log:
        for row in event["rows"]:
            row["setting"][HOSTILE] = 1.0
    for entry in result["details"]["settings"]:
        entry["setting"][HOSTILE] = HOSTILE
    result |= {"task": "multiclass", "verdict": HOSTILE, "fit_quality": HOSTILE}
    result["baselines"] = [baseline(HOSTILE, 0.7, 0.05, 0.81, 0.03), baseline("x" * 300, 0.6, 0.05, 0.81, 0.03)]
    result["findings"] = [{"kind": HOSTILE, "where": HOSTILE, "message": HOSTILE, "severity": HOSTILE}]
    result["best"][HOSTILE] = HOSTILE
    result["details"] |= {
        "classes": classes,
        "class_counts": dict.fromkeys(classes, 10),
        "confusion": [[5, 3, 2], [0, 10, 0], [1, 1, 8]],
        "importance": importance([HOSTILE, "url(https://evil.example/x)"], 0.1),
        "metrics": [{"metric": HOSTILE, "value": 0.5, "low": 0.4, "high": 0.6}],
        "remedy": HOSTILE,
        "plan": [HOSTILE],
        "baseline_settings": {HOSTILE: {HOSTILE: HOSTILE}},
    }
    columns = [
        column(HOSTILE, note=HOSTILE),
        column("javascript:alert(1)", HOSTILE, HOSTILE),
        column("y", role="target"),
    ]
    files = {
        "result.json": result,
        "schema.json": {"rows": 500, "columns": columns},
        "task.json": {"kind": HOSTILE, "names": [HOSTILE]},
    }
    return write(folder, files, log)


def minimal(folder: Path) -> Path:
    return write(
        folder, {"result.json": {"task": "regression", "verdict": "Too few rows to say.", "details": {}}}, []
    )


RUNS: dict[str, Callable[[Path], Path]] = {
    f.__name__: f for f in (binary, multiclass, regression, no_test, hostile, minimal)
}


@pytest.fixture(scope="session", params=list(RUNS))
def run_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each sort of run folder in turn; its name is the sort."""
    return RUNS[request.param](tmp_path_factory.mktemp("runs") / request.param)


@pytest.fixture(scope="session")
def make_run() -> Callable[[str, Path], Path]:
    """Writes a run of a named sort into a folder."""
    return lambda sort, folder: RUNS[sort](folder)
