"""Losses of one sample, member by member, from network outputs."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Num
from torch import Tensor

MARGINS = {"hinge": 1.0, "perceptron": 0.0}
CLASS_LOSSES = ("cross_entropy", *MARGINS)
VALUE_LOSSES = ("squared", "absolute", "huber")
_FEW_CLASSES = 32


@lru_cache(maxsize=64)
def constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Float[Tensor, " value"]:
    """These numbers as a tensor, made once: a step must not wait for a copy to the device."""
    with torch.inference_mode(False):  # one made in inference mode could serve no gradient later
        return torch.tensor(values, dtype=dtype, device=device)


def value_loss(
    output: Float[Tensor, "*member batch out"], target: Float[Tensor, "*member batch out"], loss: str
) -> Float[Tensor, "*member batch"]:
    """Mean over outputs of e² ("squared"), |e| ("absolute") or Huber's loss ("huber"), e = output − target.

    Huber (1964) with δ = 1, in the units of the outputs: e²/2 where |e| <= 1, else |e| − 1/2.
    """
    if loss == "squared":
        return (output - target).square().mean(-1)
    if loss == "absolute":
        return (output - target).abs().mean(-1)
    return F.huber_loss(output, target, reduction="none").mean(-1)


def binary_loss(
    score: Float[Tensor, "*shape"],
    truth: Num[Tensor, "*shape"],
    loss: str,
    weights: tuple[Float[Tensor, "..."], Float[Tensor, "..."]] | None,
    smoothing: Float[Tensor, "*#shape"] | None,
) -> Float[Tensor, "*shape"]:
    """w₁ q ℓ(x) + w₀ (1 − q) ℓ(−x) for scores x and truth y in {0, 1}; q = y, or y(1 − ε) + ε/2 with smoothing ε.

    ℓ(x) = log(1 + e⁻ˣ) ("cross_entropy"), max(0, 1 − x) ("hinge"), max(0, −x) ("perceptron"). A margin's
    derivative at the corner is that of the wrong side, so that a perceptron that starts at 0 learns.
    `weights` are (w₀, w₁), broadcast along the last axes.
    """
    likely = truth.to(score.dtype)
    if smoothing is not None:
        likely = likely * (1 - smoothing) + smoothing / 2
    if loss == "cross_entropy" and weights is None:
        return F.binary_cross_entropy_with_logits(score, likely, reduction="none")
    if loss == "cross_entropy":
        positive, negative = -F.logsigmoid(score), -F.logsigmoid(-score)
    else:
        positive, negative = (MARGINS[loss] - score).clamp(min=0), (MARGINS[loss] + score).clamp(min=0)
    if weights is not None:
        negative, positive = weights[0] * negative, weights[1] * positive
    return likely * positive + (1 - likely) * negative


def multiclass_loss(
    output: Float[Tensor, "*member batch classes"],
    target: Int[Tensor, "*member batch"],
    loss: str,
    weights: Float[Tensor, " classes"] | None,
    smoothing: Float[Tensor, "*member"] | None,
) -> Float[Tensor, "*member batch"]:
    """(1 − ε) w_y ℓ_y + ε/K Σ_c w_c ℓ_c, where ℓ_c is the loss if class c were true and ε the smoothing.

    ℓ_c = −log softmax(f)_c ("cross_entropy"), or max(0, m + max_{j≠c} f_j − f_c) with m = 1 ("hinge", Crammer and
    Singer 2001) or 0 ("perceptron"). Smoothing (Szegedy et al. 2016) is the expectation over labels that are
    replaced by a random class with probability ε; for the cross-entropy as in torch.
    """
    if loss != "cross_entropy":
        return _mix_classes(_margin_losses(output, MARGINS[loss]), target, weights, smoothing)
    if smoothing is None:
        return _surprise(output, target, weights)
    total, chosen = output.logsumexp(-1), _pick(output, target)
    own = total - chosen if weights is None else weights[target] * (total - chosen)
    every = total - output.mean(-1) if weights is None else total * weights.mean() - (output * weights).mean(-1)
    return own + smoothing[..., None] * (every - own)


def classes_first(output: Float[Tensor, "*member batch classes"]) -> bool:
    """Whether a softmax is the faster with the classes before the batch, as stacked layers lay them out: along short
    rows torch's, on the CPU, is three to twenty times as slow."""
    return output.ndim == 3 and output.shape[-1] < _FEW_CLASSES and output.device.type == "cpu"


def _surprise(
    output: Float[Tensor, "*member batch classes"],
    target: Int[Tensor, "*member batch"],
    weights: Float[Tensor, " classes"] | None,
) -> Float[Tensor, "*member batch"]:
    """−w_y log softmax(f)_y."""
    if classes_first(output):
        return F.cross_entropy(output.mT, target, weights, reduction="none")
    return F.cross_entropy(output.flatten(0, -2), target.flatten(), weights, reduction="none").view(target.shape)


def _pick(
    values: Float[Tensor, "*member batch classes"], target: Int[Tensor, "*member batch"]
) -> Float[Tensor, "*member batch"]:
    return values.gather(-1, target.unsqueeze(-1)).squeeze(-1)


def _margin_losses(
    output: Float[Tensor, "*member batch classes"], margin: float
) -> Float[Tensor, "*member batch classes"]:
    """For each class c: max(0, margin + the highest other output − f_c)."""
    highest = output.topk(2, dim=-1).values
    first, second = highest[..., :1], highest[..., 1:]
    rival = torch.where(output == first, second, first)
    return (margin + rival - output).clamp(min=0)


def _mix_classes(
    losses: Float[Tensor, "*member batch classes"],
    target: Int[Tensor, "*member batch"],
    weights: Float[Tensor, " classes"] | None,
    smoothing: Float[Tensor, "*member"] | None,
) -> Float[Tensor, "*member batch"]:
    if weights is not None:
        losses = losses * weights
    own = _pick(losses, target)
    return own if smoothing is None else own + smoothing[..., None] * (losses.mean(-1) - own)
