"""Temperature: one number that makes a classifier's probabilities as sure as its answers are right."""

import numpy as np
from jaxtyping import Float, Int, Num

COLDEST, HOTTEST = 0.5, 10.0
_ENOUGH = 4096  # rows on which a temperature is fitted
_ROUNDS = 12
_LEAST = 1e-12  # a probability counts as no less


def tempered(
    probabilities: Float[np.ndarray, "*rows classes"], temperature: float | Float[np.ndarray, " settings"]
) -> Float[np.ndarray, "*rows classes"]:
    """p^(1/T), normalised: softmax(logits/T) where p = softmax(logits). T > 1 is less sure; order is kept.

    temperature: one for all, or one for each place of the first axis.
    """
    if np.all(temperature == 1):
        return probabilities
    logits = _classes_first(np.maximum(probabilities, _LEAST))
    np.log(logits, out=logits)
    if isinstance(temperature, np.ndarray):
        logits /= temperature.astype(logits.dtype).reshape(-1, *(1,) * (logits.ndim - 2))
    else:
        logits /= temperature
    powers = np.exp(logits - logits.max(0))
    powers /= powers.sum(0)
    return np.ascontiguousarray(np.moveaxis(powers, 0, -1))


def _classes_first(values: Float[np.ndarray, "*rows classes"]) -> Float[np.ndarray, " classes *rows"]:
    """A copy with the classes in front: sums over a short last axis are slow."""
    return np.moveaxis(values, -1, 0).copy()


def best_temperature(
    target: Int[np.ndarray, " rows"],
    probabilities: Float[np.ndarray, "rows classes"],
    weights: Num[np.ndarray, " rows"] | None = None,
) -> float:
    """The T in [0.5, 10] with the least log-loss of `tempered` probabilities on these rows (Guo et al. 2017).

    The loss is convex in 1/T; Newton's steps, kept inside a bracket that every step shrinks. On at most 4,096 rows,
    evenly spaced. 1 where a probability is not finite.
    """
    return float(best_temperatures(target, probabilities[None], weights)[0])


def best_temperatures(
    target: Int[np.ndarray, " rows"],
    probabilities: Float[np.ndarray, "settings rows classes"],
    weights: Num[np.ndarray, " rows"] | None = None,
) -> Float[np.ndarray, " settings"]:
    """`best_temperature` of several predictions for the same rows at once; each is what it would be alone."""
    every = max(1, len(target) // _ENOUGH)
    target = target[::every]
    mass = np.ones(len(target)) if weights is None else weights[::every].astype(np.float64)
    logits = _classes_first(np.maximum(probabilities[:, ::every].astype(np.float32), np.float32(_LEAST)))
    np.log(logits, out=logits)
    sound: np.ndarray = np.isfinite(logits).all((0, 2))
    if not mass.sum() > 0:
        return np.ones(logits.shape[1])
    mass = mass / mass.sum()
    going, beta = np.flatnonzero(sound), np.ones(logits.shape[1])
    logits = (logits - logits.max(0))[:, going] if len(going) < len(sound) else logits - logits.max(0)
    true = mass @ logits[target, :, np.arange(len(target))]
    low, high = np.full(len(going), 1 / HOTTEST), np.full(len(going), 1 / COLDEST)
    for _ in range(_ROUNDS):
        if not len(going):
            break
        now = beta[going]
        powers = now.astype(np.float32)[:, None] * logits
        np.exp(powers, out=powers)
        total = powers.sum(0)
        powers *= logits
        mean = powers.sum(0) / total
        powers *= logits
        slope, curve = mean @ mass - true, (powers.sum(0) / total - mean**2) @ mass
        low, high = np.where(slope > 0, low, now), np.where(slope > 0, now, high)
        step = now - np.divide(slope, curve, out=np.full_like(slope, np.inf), where=curve > 0)
        step = np.where((low < step) & (step < high), step, (low + high) / 2)
        moved = np.abs(step - now) >= 1e-3 * now
        beta[going] = np.where(moved, step, now)
        if not moved.all():
            going, logits, true, low, high = going[moved], logits[:, moved], true[moved], low[moved], high[moved]
    found: np.ndarray = np.where(sound, 1 / beta, 1.0)
    return found
