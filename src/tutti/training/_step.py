"""One step of every member at once, on the flat storage: freeze, clip, decay, update."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tutti.optim import Rule, norm_factor


def advance(
    rule: Rule,
    weights: Float[Tensor, "member weights"],
    gradient: Float[Tensor, "member weights"],
    state: dict[str, Tensor],
    alive: Bool[Tensor, " member"],
    *,
    step: int,
    loss: Float[Tensor, " member"],
    rate: Float[Tensor, "member 1"],
    decay: Float[Tensor, "member 1"] | None,
    momentum: float | Float[Tensor, "member 1"],
    clip: float | None,
    l1: Float[Tensor, "member 1"] | None = None,
) -> None:
    """Updates weights, state and `alive` in place.

    A member whose loss or gradient norm is not finite is frozen from this step on: torch.where replaces its
    gradient and its rate by zeros (a product would keep the NaN), so its weights stay those before the step.
    clip: each member's gradient is scaled by min(1, clip / (norm + 1e-6)), its own global norm.
    decay: decoupled (w ← w·(1 − rate·decay) before the update) or coupled (g ← g + decay·w after clipping),
    as the rule says. l1: g ← g + l1·sign(w), likewise after clipping. Nothing here waits for the device.
    """
    norm = torch.linalg.vector_norm(gradient, dim=1)
    alive.logical_and_(torch.isfinite(norm + loss))
    frozen = ~alive[:, None]
    if clip is not None:
        gradient.mul_(norm_factor(norm[:, None], clip))
    gradient.masked_fill_(frozen, 0.0)
    if l1 is not None:
        gradient.addcmul_(weights.sign(), l1)
    if decay is not None and rule.decay == "coupled":
        gradient.addcmul_(weights, decay)
    rate = rate.masked_fill(frozen, 0.0)
    if decay is not None and rule.decay == "decoupled":
        weights.mul_(1 - rate * decay)
    direction = rule.update(gradient, state, step=step, rate=rate, momentum=momentum)
    weights.addcmul_(direction, rate)


def advance_alone(
    rule: Rule,
    weights: Float[Tensor, "one weights"],
    gradient: Float[Tensor, "one weights"],
    state: dict[str, Tensor],
    alive: Bool[Tensor, " one"],
    *,
    step: int,
    loss: Float[Tensor, " one"],
    rate: float,
    decay: float,
    momentum: float | Float[Tensor, "member 1"],
    clip: float | None,
) -> bool:
    """`advance` for a population of one, in the rule's single kernel; False where the rule has none.

    Clipping is the kernel's gradient scale, freezing its skip: what a bare loop spends on both is saved.
    """
    norm = torch.linalg.vector_norm(gradient)
    alive.logical_and_(torch.isfinite(norm + loss))
    scale = torch.ones_like(norm) if clip is None else norm.add(1e-6).div_(clip).clamp_(min=1.0)
    skip = torch.where(alive[0], 0.0, 1.0)
    return rule.step_alone(
        weights,
        gradient,
        state,
        step=step,
        rate=rate,
        weight_decay=decay,
        momentum=momentum,
        scale=scale,
        skip=skip,
    )
