"""Rows of an array in a file: larger than memory, read a batch at a time."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from tutti.core import InputError


class MappedRows:
    """The rows of an .npy file (numpy.save), which stays on disk: core.Rows for the engine.

    Only the pages that a batch touches are read. dtype: what rows are converted to (None: as they are stored).
    """

    def __init__(self, path: str | Path, *, dtype: torch.dtype | None = None) -> None:
        self.path, self.dtype = Path(path), dtype
        try:
            self._array = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(
                f"{self.path} cannot be mapped as an .npy file: {error}",
                fix="Write it with numpy.save(path, array), one row per sample, numbers only.",
            ) from error
        if self._array.ndim < 1:
            raise InputError(f"{self.path} holds a single number; expected an array with one row per sample.")

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._array.shape)

    def __len__(self) -> int:
        return len(self._array)

    def read(self, rows: Int[np.ndarray, " batch"]) -> Shaped[Tensor, " batch *item"]:
        found = torch.from_numpy(np.ascontiguousarray(self._array[rows]))
        return found if self.dtype is None else found.to(self.dtype)
