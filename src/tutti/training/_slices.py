"""Slices: the part of every parameter that one of several processes keeps, in one row."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from tutti.core import ALIGNMENT, Layout
from tutti.training._ranks import Ranks


@dataclass(frozen=True, kw_only=True)
class Slices:
    """With n processes, process i keeps the i-th of n pieces of every parameter's first axis: all of equal length,
    but for the last ones (as torch.chunk cuts, and FSDP2 with it).

    whole: where parameters lie in a member's row. own: where their slices lie in this process's row, which is never
    empty: behind them is what stands behind a whole row.
    """

    whole: Layout
    ranks: Ranks

    @cached_property
    def own(self) -> Layout:
        shapes = tuple(torch.Size((self.lengths(s[0])[self.ranks.rank], *s[1:])) for s in self.whole.shapes)
        return Layout(self.whole.names, shapes, tuple(s.numel() for s in shapes))

    def lengths(self, axis: int) -> list[int]:
        """How much of an axis each process keeps."""
        longest = -(-axis // self.ranks.count)
        return [min(longest, max(0, axis - rank * longest)) for rank in range(self.ranks.count)]

    def cut(self, rows: Float[Tensor, "member weights"]) -> Float[Tensor, "member own"]:
        """This process's slices of whole rows."""
        found = rows.new_zeros(len(rows), self.own.count + ALIGNMENT)
        slots = self.own.views(found)
        for name, whole in self.whole.views(rows).items():
            slots[name].copy_(whole.split(self.lengths(whole.shape[1]), dim=1)[self.ranks.rank])
        behind = rows[:, self.whole.used :]
        found[:, self.own.used :][:, : behind.shape[1]] = behind
        return found

    def join(self, rows: Float[Tensor, "member own"]) -> Float[Tensor, "member weights"]:
        """Whole rows from all processes' slices, in host memory, exchanged one parameter after another."""
        found = torch.empty(len(rows), self.whole.count, dtype=rows.dtype)
        slots = self.whole.views(found)
        for name, own in self.own.views(rows).items():
            pieces = self.ranks.gather_rows(own.transpose(0, 1).contiguous(), self.lengths(slots[name].shape[1]))
            slots[name].copy_(torch.cat(pieces).transpose(0, 1))
        behind = found[:, self.whole.used :]
        behind.copy_(rows[:, self.own.used :][:, : behind.shape[1]])
        return found
