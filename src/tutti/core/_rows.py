"""Rows that are read when they are asked for: data that need not fit into memory."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, Shaped
from torch import Tensor


@runtime_checkable
class Rows(Protocol):
    """An input of a problem that lies somewhere else, in a file or behind a decoder.

    `read` is a pure function of the row numbers (any order, repeats allowed): what a member sees then depends on
    its step alone, so a run resumes in the middle of a pass. It may be called from another thread, one call at a
    time.
    """

    def __len__(self) -> int: ...

    def read(self, rows: Int[np.ndarray, " batch"]) -> Shaped[Tensor, " batch *item"]: ...
