"""Samples to look at in the report: the worst mistakes, and some of all."""

import time
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from tutti.core import permutation
from tutti.data import overlay
from tutti.learn._declare import Declared
from tutti.metrics import METRICS
from tutti.predictor import Predictor

MISTAKES = 12
OTHERS = 12
LEAST = 1e-7  # probability that counts as none
_KEY = 0xE8A3


def examples(
    declared: Declared,
    rows: Int[np.ndarray, " judged"],
    prediction: Float[np.ndarray, "judged ..."],
    predictor: Predictor | None = None,
    seconds: float = 1.0,
) -> list[dict[str, Any]]:
    """Pictures of judged samples with truth and prediction: those with the largest loss first, then some drawn from
    the others by a fixed key. Nothing for tables, whose rows a report does not show.

    {"picture": Sample.example(row), "row", "loss", "worst": bool, and of classes "truth", "answer", "probability" (of
    the answer); of values "truth" and "answer" as lists}. With a predictor, one class per row and samples that have
    parts (the words of a text) also "parts": [[part, worth], …], where the worth of a part is the log-odds of the
    answer less those without the part (leaving out: Zeiler & Fergus 2014, sec. 2.1; Li, Monroe & Jurafsky 2016), as
    far as `seconds` reach.
    """
    began = time.monotonic()
    table = declared.table
    if table.sample is None or not len(rows):
        return []
    losses = _losses(declared, rows, prediction)
    order = np.argsort(-losses, kind="stable")
    if declared.splits.unit != "row":  # one of each group or block of time: neighbours fail alike
        first = np.unique(declared.splits.units[rows[order]], return_index=True)[1]
        order = order[np.sort(first)]
    worst, rest = order[:MISTAKES], order[MISTAKES:]
    drawn = rest[permutation(_KEY, len(rest))[:OTHERS]] if len(rest) else rest
    found = []
    for place, i in enumerate([*worst, *drawn]):
        shown = _example(declared, int(rows[i]), prediction[i], float(losses[i]), worst=bool(place < len(worst)))
        if predictor is not None and "probability" in shown and time.monotonic() - began < seconds:
            shown |= _parts(declared, int(rows[i]), int(prediction[i].argmax()), predictor)
        found.append(shown)
    return found


def _parts(declared: Declared, row: int, answer: int, predictor: Predictor) -> dict[str, Any]:
    """What each part of a sample adds to the log-odds of the answer, where it has parts."""
    assert declared.table.sample is not None
    divided = declared.table.sample.without_parts(row)
    if divided is None:
        return {}
    parts, sample = divided
    probability = predictor.predict(*sample.inputs())[:, answer]
    odds = np.log(np.maximum(probability, LEAST)) - np.log(np.maximum(1 - probability, LEAST))
    worth = odds[0] - odds[1:]
    return {"parts": [[part, round(float(w), 4)] for part, w in zip(parts, worth, strict=True)]}


def _losses(declared: Declared, rows: np.ndarray, prediction: np.ndarray) -> Float[np.ndarray, " judged"]:
    """What each sample's prediction costs: the log-loss of classes, the squared error of values, else the metric."""
    target = declared.target[rows]
    for name in ("log_loss", "mse", declared.metric):
        metric = METRICS[name]
        if declared.task.kind in metric.kinds:
            found = metric.per_row(target, prediction)
            if found is not None:
                return np.asarray(-found if metric.higher_is_better else found, np.float64)
    return np.zeros(len(rows))


def _example(declared: Declared, row: int, prediction: np.ndarray, loss: float, *, worst: bool) -> dict[str, Any]:
    assert declared.table.sample is not None
    task, target = declared.task, declared.target[row]
    found: dict[str, Any] = {
        "picture": declared.table.sample.example(row),
        "row": row,
        "loss": round(loss, 4),
        "worst": worst,
    }
    if task.kind in ("binary", "multiclass"):
        answer = int(prediction.argmax())
        found |= {
            "truth": task.classes[int(target)],
            "answer": task.classes[answer],
            "probability": round(float(prediction[answer]), 4),
        }
    elif task.kind == "multilabel":
        found |= {
            "truth": [c for c, y in zip(task.classes, target, strict=True) if y],
            "answer": [c for c, p in zip(task.classes, prediction, strict=True) if p >= 0.5],
        }
    elif task.kind == "segmentation":
        pixels = declared.table.sample.take(np.array([row])).inputs()[0]
        first = pixels if isinstance(pixels, Tensor) else pixels.read(np.zeros(1, np.int64))
        found["picture"] = overlay(first[0].numpy(), prediction.argmax(0), target)
    elif task.kind != "language":
        found |= {"truth": _values(target), "answer": _values(prediction)}
    return found


def _values(values: np.ndarray) -> list[float]:
    return [float(f"{x:.5g}") for x in np.ravel(values)]
