"""Rows of a batch that a layer mixes with their neighbours, and the loss that this asks for (mixup)."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

_open: ContextVar[list[Tensor] | None] = ContextVar("tutti_mixing", default=None)


@contextmanager
def mixing() -> Iterator[list[Tensor]]:
    """While open, collects the shares that a layer mixed by; the loss of a row is then
    share · loss(output, own target) + (1 − share) · loss(output, partner's target)."""
    shares: list[Tensor] = []
    token = _open.set(shares)
    try:
        yield shares
    finally:
        _open.reset(token)


def mix_targets(share: Float[Tensor, "*member batch"]) -> None:
    """Tells the loss of the step under way by which share each row is still itself; the rest is its partner
    (`partners`). Does nothing where no step is under way."""
    shares = _open.get()
    if shares is not None:
        shares.append(share)


def partners(rows: int, device: torch.device) -> Int[Tensor, " rows"]:
    """Each row's partner: the rows are paired two by two, and a last odd one is its own."""
    return (torch.arange(rows, device=device) ^ 1).clamp_(max=rows - 1)
