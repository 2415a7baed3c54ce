"""Rows that lie in files: some of them, in any order, and those of two sources one behind the other."""

import numpy as np
import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from tutti.core import Rows


class TakenRows:
    """Row i is row index[i] of `source`: a core.Rows again."""

    def __init__(self, source: Rows, index: Int[np.ndarray, " rows"]) -> None:
        self.source, self.index = source, index

    def __len__(self) -> int:
        return len(self.index)

    def read(self, rows: Int[np.ndarray, " batch"]) -> Shaped[Tensor, " batch *item"]:
        return self.source.read(self.index[rows])


class JoinedRows:
    """The rows of `first`, then those of `second`."""

    def __init__(self, first: Tensor | Rows, second: Tensor | Rows) -> None:
        self.first, self.second = first, second

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def read(self, rows: Int[np.ndarray, " batch"]) -> Shaped[Tensor, " batch *item"]:
        late = rows >= len(self.first)
        parts = [read_rows(self.first, rows[~late]), read_rows(self.second, rows[late] - len(self.first))]
        place = np.empty(len(rows), dtype=np.int64)
        place[np.concatenate([np.flatnonzero(~late), np.flatnonzero(late)])] = np.arange(len(rows))
        return torch.cat(parts)[torch.from_numpy(place)]


def read_rows(source: Tensor | Rows, rows: Int[np.ndarray, " batch"]) -> Shaped[Tensor, " batch *item"]:
    """These rows, in this order, whether they lie in memory or not."""
    return source[torch.from_numpy(rows)] if isinstance(source, Tensor) else source.read(rows)


def take_rows(source: Tensor | Rows, rows: Int[np.ndarray, " taken"]) -> Tensor | Rows:
    """The source of these rows alone: a tensor of them, or a view where they lie in a file."""
    if isinstance(source, Tensor):
        return source[torch.from_numpy(rows)]
    if isinstance(source, TakenRows):
        return TakenRows(source.source, source.index[rows])
    return TakenRows(source, rows)


def join_rows(first: Tensor | Rows, second: Tensor | Rows) -> Tensor | Rows:
    """Both sources, one behind the other: in memory where both are."""
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return torch.cat([first, second])
    return JoinedRows(first, second)
