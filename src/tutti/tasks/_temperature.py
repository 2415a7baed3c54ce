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
    every = max(1, len(target) // _ENOUGH)
    target, mass = target[::every], None if weights is None else weights[::every].astype(np.float64)
    logits = np.log(np.maximum(probabilities[::every].astype(np.float64), _LEAST))
    if not np.isfinite(logits).all() or (mass is not None and mass.sum() <= 0):
        return 1.0
    true = np.average(logits[np.arange(len(target)), target], weights=mass)
    low, high, beta = 1 / HOTTEST, 1 / COLDEST, 1.0
    for _ in range(_ROUNDS):
        powers = np.exp(beta * (logits - logits.max(-1, keepdims=True)))
        share = powers / powers.sum(-1, keepdims=True)
        mean = (share * logits).sum(-1)
        slope = np.average(mean, weights=mass) - true
        curve = np.average((share * logits**2).sum(-1) - mean**2, weights=mass)
        low, high = (low, beta) if slope > 0 else (beta, high)
        step = beta - slope / curve if curve > 0 else low
        step = step if low < step < high else (low + high) / 2
        if abs(step - beta) < 1e-3 * beta:
            break
        beta = step
    return float(1 / beta)
