"""A law, and whether it was kept."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Law:
    """What was measured of one law.

    error: the largest difference between two ways that should agree, relative to the largest number of either
    (0 means every bit); None where the law says nothing about this subject. tolerance: the error that still counts
    as rounding. note: one plain sentence: what was compared, or why it does not apply, or the remedy.
    """

    name: str
    status: Literal["kept", "broken", "not applicable"]
    error: float | None
    tolerance: float
    note: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measured(name: str, error: float, tolerance: float, note: str, remedy: str = "") -> Law:
    """A law by its measured error; the remedy is added to the note where it is broken."""
    kept = error <= tolerance  # a NaN breaks it
    said = note if kept or not remedy else f"{note} {remedy}"
    return Law(name=name, status="kept" if kept else "broken", error=error, tolerance=tolerance, note=said)


def inapplicable(name: str, why: str) -> Law:
    return Law(name=name, status="not applicable", error=None, tolerance=0.0, note=why)


def broken(laws: Sequence[Law]) -> list[Law]:
    """The laws that were not kept."""
    return [law for law in laws if law.status == "broken"]


def relative(a: Tensor, b: Tensor) -> float:
    """max |a − b| / max(|a|, |b|, tiny) over all numbers; inf where one is finite and the other is not."""
    if a.numel() == 0:
        return 0.0
    a, b = a.detach().double(), b.detach().double()
    if not torch.equal(torch.isfinite(a), torch.isfinite(b)):
        return float("inf")
    a, b = torch.nan_to_num(a), torch.nan_to_num(b)
    scale = max(float(a.abs().max()), float(b.abs().max()), 1e-300)
    return float((a - b).abs().max()) / scale
