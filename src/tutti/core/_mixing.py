"""Rows of a batch that a layer mixes with their neighbours, and the loss that this asks for (mixup)."""

from contextlib import AbstractContextManager

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tutti.core._collect import Collector

_SHARES = Collector("mixing")


def mixing() -> AbstractContextManager[list[Tensor]]:
    """While open, collects the shares that a layer mixed by; the loss of a row is then
    share · loss(output, own target) + (1 − share) · loss(output, partner's target)."""
    return _SHARES.open()


def mix_targets(share: Float[Tensor, "*member batch"]) -> None:
    """Tells the loss of the step under way by which share each row is still itself; the rest is its partner
    (`partners`). Does nothing where no step is under way."""
    _SHARES.add(share)


def partners(rows: int, device: torch.device) -> Int[Tensor, " rows"]:
    """Each row's partner: the rows are paired two by two, and a last odd one is its own."""
    return (torch.arange(rows, device=device) ^ 1).clamp_(max=rows - 1)
