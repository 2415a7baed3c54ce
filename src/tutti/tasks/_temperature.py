"""Temperature: one number that makes a classifier's probabilities as sure as its answers are right."""

import numpy as np
from jaxtyping import Float, Int, Num

COLDEST, HOTTEST = 0.5, 10.0
_ENOUGH = 4096  # rows on which a temperature is fitted
_ROUNDS = 12
_LEAST = 1e-12  # a probability counts as no less


def tempered(
    probabilities: Float[np.ndarray, "*rows classes"], temperature: float
) -> Float[np.ndarray, "*rows classes"]:
    """p^(1/T), normalised: softmax(logits/T) where p = softmax(logits). T > 1 is less sure; order is kept."""
    if temperature == 1:
        return probabilities
    logits = np.log(np.maximum(probabilities, _LEAST)) / temperature
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    result: np.ndarray = powers / powers.sum(-1, keepdims=True)
    return result


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
    logits = np.log(np.maximum(probabilities[:, ::every].astype(np.float64), _LEAST))
    sound: np.ndarray = np.isfinite(logits).all((1, 2))  # type: ignore[assignment]
    if not mass.sum() > 0:
        return np.ones(len(logits))
    mass = mass / mass.sum()
    logits = np.where(sound[:, None, None], logits - logits.max(-1, keepdims=True), 0.0)
    true = logits[:, np.arange(len(target)), target] @ mass
    low, high, beta = np.full(len(logits), 1 / HOTTEST), np.full(len(logits), 1 / COLDEST), np.ones(len(logits))
    going = sound.copy()
    for _ in range(_ROUNDS):
        powers = np.exp(beta[going, None, None] * logits[going])
        share = powers / powers.sum(-1, keepdims=True)
        mean = (share * logits[going]).sum(-1)
        slope = mean @ mass - true[going]
        curve = ((share * logits[going] ** 2).sum(-1) - mean**2) @ mass
        now = beta[going]
        low[going], high[going] = np.where(slope > 0, low[going], now), np.where(slope > 0, now, high[going])
        step = now - np.divide(slope, curve, out=np.full_like(slope, np.inf), where=curve > 0)
        step = np.where((low[going] < step) & (step < high[going]), step, (low[going] + high[going]) / 2)
        moved = np.abs(step - now) >= 1e-3 * now
        beta[going] = np.where(moved, step, now)
        going[going] = moved
        if not going.any():
            break
    found: np.ndarray = np.where(sound, 1 / beta, 1.0)
    return found
