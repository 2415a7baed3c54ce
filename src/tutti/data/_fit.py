"""Fitting of the preprocessing layers: their statistics, from the given (training) rows and nothing else."""

from functools import singledispatch

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn

SAMPLE = 100_000
"""Quantiles are taken on at most so many rows, drawn without replacement by a fixed key."""

_KEY = core.stream_key(0x717)
Numbers = Float[np.ndarray, "rows number"]
Codes = Int[np.ndarray, "rows category"]


def fit_front(network: torch_nn.Module, numbers: Numbers, codes: Codes) -> dict[str, Tensor]:
    """The buffers of a network's preprocessing layers, fitted on these rows: pass training rows only.

    numbers [rows, number] raw, not finite = missing; codes [rows, category] (0 never seen, 1 missing, level i is
    i + 2). Result: name as in network.named_buffers() -> value, for every buffer of every nn layer with statistics
    (Affine, QuantileNormal, Whiten, PiecewiseLinear, RadialBasis, KnownCodes), wherever in the network it stands.
    The shapes depend on the network alone, so the results of several folds can be stacked.

    Means, variances and extremes use all rows in float64; quantiles use all rows up to SAMPLE, else that many drawn
    by a fixed key. A feature without any finite value, or with a single one, yields 0.
    """
    fitted: dict[str, Tensor] = {}
    for prefix, layer in network.named_modules():
        for name, value in statistics(layer, numbers, codes).items():
            buffer = layer.get_buffer(name)
            path = f"{prefix}.{name}" if prefix else name
            fitted[path] = torch.from_numpy(np.ascontiguousarray(value)).to(buffer.dtype).reshape(buffer.shape)
    return fitted


@singledispatch
def statistics(layer: torch_nn.Module, numbers: Numbers, codes: Codes) -> dict[str, np.ndarray]:
    """Buffer name -> value of one layer; nothing for a layer without statistics. Register new layers here."""
    return {}


def _sampled(numbers: Numbers) -> Float[np.ndarray, "sample number"]:
    if len(numbers) <= SAMPLE:
        return numbers
    chosen: np.ndarray = numbers[np.sort(core.permutation(_KEY, len(numbers))[:SAMPLE])]
    return chosen


def _finite(numbers: Numbers, column: int) -> Float[np.ndarray, " value"]:
    """The finite values of a column in float64; a single 0 where there is none."""
    values = numbers[:, column].astype(np.float64)
    values = values[np.isfinite(values)]
    return values if len(values) else np.zeros(1)


def _inverse(width: float) -> float:
    """1/width, and 0 for a width that is 0 (or so small that float32 could not hold the result)."""
    return 1 / width if width > 1e-30 else 0.0


@statistics.register
def _affine(layer: nn.Affine, numbers: Numbers, codes: Codes) -> dict[str, np.ndarray]:
    fit = {
        "none": _unscaled,
        "standard": _standard,
        "minmax": _minmax,
        "symmetric": _symmetric,
        "robust": _robust,
    }[layer.kind]
    rows = _sampled(numbers) if layer.kind == "robust" else numbers
    found = np.array([fit(_finite(rows, j)) for j in range(layer.features)]).reshape(-1, 3)
    return {"centre": found[:, 0], "scale": found[:, 1], "fill": found[:, 2]}


def _unscaled(x: Float[np.ndarray, " value"]) -> tuple[float, float, float]:
    return 0.0, 1.0, x.mean()


def _standard(x: Float[np.ndarray, " value"]) -> tuple[float, float, float]:
    mean, sd = x.mean(), x.std()
    # rounding leaves a constant column with an sd of about 1e-16 of its mean
    return mean, _inverse(sd if sd > 1e-12 * abs(mean) else 0.0), mean


def _minmax(x: Float[np.ndarray, " value"]) -> tuple[float, float, float]:
    return x.min(), _inverse(x.max() - x.min()), x.mean()


def _symmetric(x: Float[np.ndarray, " value"]) -> tuple[float, float, float]:
    return (x.min() + x.max()) / 2, 2 * _inverse(x.max() - x.min()), x.mean()


def _robust(x: Float[np.ndarray, " value"]) -> tuple[float, float, float]:
    low, median, high = np.quantile(x, [0.25, 0.5, 0.75])
    scale = _inverse(high - low)
    # a column whose middle half is one value, such as a rare flag, takes half its range instead
    return median, scale if scale > 0 else 2 * _inverse(x.max() - x.min()), median


@statistics.register
def _quantile(layer: nn.QuantileNormal, numbers: Numbers, codes: Codes) -> dict[str, np.ndarray]:
    """Knots at the levels i/(Q − 1); a value that several levels share stands at their mean level p.

    Knot values are Φ⁻¹(p), p kept in [1/2n, 1 − 1/2n] for n training values (scikit-learn keeps it in [1e-7, …],
    which puts the smallest and largest value at ±5.2 whatever n is).
    """
    from scipy.special import ndtri  # heavy: only here

    rows = _sampled(numbers)
    count, knots = layer.features, layer.knot.shape[-1]
    levels = np.linspace(0, 1, knots)
    knot = np.full((count, knots), np.inf)
    value, slope, fill = np.zeros((count, knots)), np.zeros((count, knots)), np.zeros(count)
    for j in range(count):
        x = _finite(rows, j)
        fill[j] = np.median(x)
        # float32, as the network compares: knots that only differ beyond it are one knot
        at, place = np.unique(np.quantile(x, levels).astype(np.float32).astype(np.float64), return_inverse=True)
        p = np.bincount(place, levels) / np.bincount(place)
        z = ndtri(np.clip(p, 0.5 / len(x), 1 - 0.5 / len(x))) if len(at) > 1 else np.zeros(1)
        m = len(at)
        knot[j, :m], value[j, :m], slope[j, : m - 1] = at, z, np.diff(z) / np.diff(at)
    return {"knot": knot, "value": value, "slope": slope, "fill": fill}


@statistics.register
def _whiten(layer: nn.Whiten, numbers: Numbers, codes: Codes) -> dict[str, np.ndarray]:
    """Directions that hold less than 1e-6 of a feature's variance are dropped: they are copies or sums."""
    found = np.array([_standard(_finite(numbers, j)) for j in range(layer.features)]).reshape(-1, 3)
    centre, scale = found[:, 0], found[:, 1]
    covariance = np.zeros((layer.features, layer.features))
    for first in range(0, len(numbers), SAMPLE):
        part = numbers[first : first + SAMPLE].astype(np.float64)
        scaled = np.where(np.isfinite(part), (part - centre) * scale, 0.0)
        covariance += scaled.T @ scaled
    values, vectors = np.linalg.eigh(covariance / max(len(numbers), 1))
    root = np.where(values > 1e-6, 1 / np.sqrt(np.maximum(values, 1e-6)), 0.0)
    return {"centre": centre, "matrix": scale[:, None] * (vectors * root) @ vectors.T, "fill": centre}


@statistics.register
def _piecewise(layer: nn.PiecewiseLinear, numbers: Numbers, codes: Codes) -> dict[str, np.ndarray]:
    """Edges are the quantiles at i/bins without repetitions; bins that are left over give 0."""
    rows = _sampled(numbers)
    count, bins = layer.origin.shape
    origin, steepness = np.zeros((count, bins)), np.zeros((count, bins))
    low, high, fill = np.zeros((count, bins)), np.zeros((count, bins)), np.zeros(count)
    for j in range(count):
        x = _finite(rows, j)
        fill[j] = np.median(x)
        edges = np.unique(np.quantile(x, np.linspace(0, 1, bins + 1)).astype(np.float32).astype(np.float64))
        m = len(edges) - 1
        if m:
            origin[j, :m], steepness[j, :m] = edges[:-1], 1 / np.diff(edges)
            high[j, :m] = 1
            low[j, 0], high[j, m - 1] = -1, 2
    return {"origin": origin, "steepness": steepness, "low": low, "high": high, "fill": fill}


@statistics.register
def _radial(layer: nn.RadialBasis, numbers: Numbers, codes: Codes) -> dict[str, np.ndarray]:
    """Centres are rows drawn without replacement by a fixed key, in their order; with too few rows they repeat."""
    wanted = layer.rows.shape[0]
    chosen = np.sort(core.permutation(_KEY, len(numbers))[:wanted])
    return {"rows": numbers[np.resize(chosen, wanted)]}


@statistics.register
def _known(layer: nn.KnownCodes, numbers: Numbers, codes: Codes) -> dict[str, np.ndarray]:
    known = np.zeros(tuple(layer.known.shape), bool)
    for j in range(len(layer.levels)):
        known[j, np.unique(codes[:, j])] = True
    return {"known": known}
