"""Samples to look at in the report: the worst mistakes, and some of all."""

import time
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tutti.core import permutation
from tutti.data import Sets, overlay
from tutti.learn._declare import Declared
from tutti.metrics import METRICS
from tutti.models import AttentionNetwork
from tutti.nn import present_items, rescaled
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
    """Pictures of judged samples with truth and prediction: first the worst, then some drawn from the others by a
    fixed key. Nothing for tables, whose rows a report does not show.

    The worst are those with the largest loss, of classes and labels among the mistaken only. Groups take turns (the
    worst of each, then the next of each) so that one bad group does not fill the list; a block of time has one at
    most, as its neighbours fail alike.

    {"picture": Sample.example(row), "row", "loss", "worst": bool, and of classes "truth", "answer", "probability" (of
    the answer); of values "truth" and "answer" as lists}. With a predictor, one class per row and samples that have
    parts (the words of a text) also "parts": [[part, worth], …], where the worth of a part is the log-odds of the
    answer less those without the part (leaving out: Zeiler & Fergus 2014, sec. 2.1; Li, Monroe & Jurafsky 2016), as
    far as `seconds` reach; of sets whose networks pool by attention "attention": one number for each point of the
    picture, the networks' mean weight rescaled to run from 0 to 1 over the set (nn.rescaled).
    """
    began = time.monotonic()
    table = declared.table
    if table.sample is None or not len(rows):
        return []
    losses = _losses(declared, rows, prediction)
    worst = _worst(declared, rows, prediction, losses)
    rest = np.setdiff1d(np.arange(len(rows)), worst)
    drawn = rest[permutation(_KEY, len(rest))[:OTHERS]] if len(rest) else rest
    found = []
    for place, i in enumerate([*worst, *drawn]):
        shown = _example(declared, int(rows[i]), prediction[i], float(losses[i]), worst=bool(place < len(worst)))
        if predictor is not None and "probability" in shown and time.monotonic() - began < seconds:
            shown |= _parts(declared, int(rows[i]), int(prediction[i].argmax()), predictor)
        if predictor is not None:
            shown |= _attention(declared, int(rows[i]), predictor)
        found.append(shown)
    return found


def _worst(
    declared: Declared, rows: np.ndarray, prediction: np.ndarray, losses: np.ndarray
) -> Int[np.ndarray, " worst"]:
    """Places among the judged rows of those to show as the worst, the largest loss first."""
    order = np.argsort(-losses, kind="stable")
    order = order[_mistaken(declared, declared.target[rows], prediction)[order]]
    unit, units = declared.splits.unit, declared.splits.units[rows[order]]
    if unit != "row" and len(order):
        turns = _turns(units)
        order = order[turns == 0] if unit == "block" else order[np.argsort(turns, kind="stable")]
    chosen = order[:MISTAKES]
    return np.asarray(chosen[np.argsort(-losses[chosen], kind="stable")], np.int64)


def _turns(units: Int[np.ndarray, " rows"]) -> Int[np.ndarray, " rows"]:
    """How many rows of the same unit stand before each row."""
    together = np.argsort(units, kind="stable")
    _, first, number = np.unique(units[together], return_index=True, return_inverse=True)
    turns = np.empty(len(units), np.int64)
    turns[together] = np.arange(len(units)) - first[number]
    return turns


def _mistaken(declared: Declared, target: np.ndarray, prediction: np.ndarray) -> Bool[np.ndarray, " judged"]:
    """Which answers are mistakes. A value is never quite right: all of them, as of pixels and tokens."""
    if declared.task.kind in ("binary", "multiclass"):
        return np.asarray(prediction.argmax(-1) != target)
    if declared.task.kind == "multilabel":
        return np.asarray(((prediction >= 0.5) != (target > 0.5)).any(-1))
    return np.ones(len(target), bool)


@torch.no_grad()
def _attention(declared: Declared, row: int, predictor: Predictor) -> dict[str, Any]:
    """How much the networks look at each point of a set, where they say it."""
    sample, networks = declared.table.sample, predictor.networks
    if not isinstance(sample, Sets) or not all(isinstance(n, AttentionNetwork) for n in networks):
        return {}
    items, counts = sample.take(np.array([row])).inputs()
    each = []
    for network in networks:
        assert isinstance(network, AttentionNetwork)
        at = next(network.parameters()).device
        each.append(network.eval().attention(items.to(at), counts.to(at), rescale=False).double().cpu())
    weights = rescaled(torch.stack(each).mean(0), present_items(counts, items.shape[1]))[0].numpy()
    return {"attention": [round(float(w), 3) for w in weights[sample.shown(row)]]}


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
