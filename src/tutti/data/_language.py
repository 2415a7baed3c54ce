"""Running text as samples: windows of tokens, each token to be predicted from those before it in its window."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Int, UInt64
from numpy.lib.stride_tricks import as_strided
from torch import Tensor, nn

from tutti.core import InputError, LanguageShape
from tutti.data._row_content import row_hashes
from tutti.data._sample import Encoded, Sample
from tutti.data._tokens import Tokeniser

MOST_BLOCKS = 50  # into which the windows that judge are cut for their intervals
ROOM = 2**24  # tokens of all training windows together, from which they begin several tokens apart


@dataclass(frozen=True, kw_only=True, eq=False)
class Prose(Sample):
    """Windows of `length` + 1 tokens of one long text.

    stream [token], int32: all texts, one behind the other, numbered by the tokeniser (0 stands for no token, 1 for
    what the vocabulary lacks). starts: the first token of each window. Windows that train begin every few tokens
    and lie over each other; windows that judge have one token in common, which is the last to be predicted in one
    and the first that is given in the next, so that each token is judged once. parts: the first of each contiguous
    stretch of windows (training, validation, test), as places in `stream`.

    `windows` is the network's input, and the target too: it holds what is to be predicted.
    """

    kind: ClassVar[str] = "language"

    stream: Int[np.ndarray, " token"]
    starts: Int[np.ndarray, " rows"]
    parts: tuple[int, ...]
    length: int
    tokeniser: Tokeniser

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def shape(self) -> LanguageShape:
        return LanguageShape(tokens=self.tokeniser.size, length=self.length)

    @cached_property
    def windows(self) -> Int[np.ndarray, "rows time"]:
        """[row, length + 1], int32: a view where windows begin equally far apart, else a copy."""
        if not len(self.starts):
            return np.zeros((0, self.length + 1), np.int32)
        every: np.ndarray = as_strided(
            self.stream, (len(self.stream) - self.length, self.length + 1), 2 * self.stream.strides
        )
        apart = np.diff(self.starts)
        if len(apart) and apart[0] > 0 and bool((apart == apart[0]).all()):
            every = every[self.starts[0] : self.starts[-1] + 1 : apart[0]]
            return every
        chosen: np.ndarray = every[self.starts]
        return chosen

    def inputs(self) -> tuple[Tensor]:
        return (torch.from_numpy(self.windows),)

    def fit(self, network: nn.Module, rows: Int[np.ndarray, " train"], target: Encoded = None) -> dict[str, Tensor]:
        """There is nothing to fit: the vocabulary is the reader's, learnt from the part that trains."""
        return {}

    def take(self, rows: Int[np.ndarray, " taken"]) -> "Prose":
        return replace(self, starts=self.starts[rows])

    def joined(self, other: Any) -> "Prose":
        behind = len(self.stream)
        return replace(
            self,
            stream=np.concatenate([self.stream, other.stream]),
            starts=np.concatenate([self.starts, other.starts + behind]),
            parts=(*self.parts, *(part + behind for part in other.parts)),
        )

    def covered(self, rows: Int[np.ndarray, " some"]) -> list[Int[np.ndarray, " _stretch"]]:
        """The stretches of text that these windows hold, each token once, in order."""
        edges = np.zeros(len(self.stream) + 1, np.int64)
        np.add.at(edges, self.starts[rows], 1)
        np.add.at(edges, self.starts[rows] + self.length + 1, -1)
        there = np.cumsum(edges) > 0
        bounds = np.flatnonzero(np.diff(there, prepend=False))
        return [self.stream[a:b] for a, b in bounds.reshape(-1, 2)]

    def hashes(self) -> UInt64[np.ndarray, " rows"]:
        return row_hashes(self.windows)

    def alike(self) -> Int[np.ndarray, " rows"]:
        """No two: the source says which windows train, and equal ones are few."""
        return np.arange(len(self))

    def units(self) -> Int[np.ndarray, " rows"]:
        """The block of each window, at most MOST_BLOCKS in a part: neighbours in a text are alike."""
        part = np.searchsorted(np.asarray(self.parts), self.starts, side="right")
        units = np.zeros(len(self), np.int64)
        begin = 0
        for number in np.unique(part):
            rows = np.flatnonzero(part == number)
            count = max(1, min(MOST_BLOCKS, round(len(rows) ** (2 / 3))))
            units[rows] = begin + np.arange(len(rows)) * count // len(rows)
            begin += count
        return units

    def example(self, row: int) -> dict[str, Any]:
        return {"kind": "text", "text": self.tokeniser.decode(self.windows[row])}

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "shape": self.shape.to_json(), "tokeniser": self.tokeniser.to_json()}

    @property
    def summary(self) -> str:
        units = {"character": "characters", "word": "words", "bpe": "byte pairs", "wordpiece": "word pieces"}
        return (
            f"{len(self.stream):,} {units[self.tokeniser.unit]} of running text, {self.tokeniser.size:,} different "
            f"ones, {len(self):,} windows of {self.length}"
        )


def windows_of(begin: int, end: int, length: int, every: int, *, what: str = "text") -> Int[np.ndarray, " rows"]:
    """Where windows of `length` + 1 tokens begin that lie within begin … end − 1, `every` tokens apart."""
    starts = np.arange(begin, end - length, every)
    if not len(starts):
        raise InputError(
            f"The {what} has {end - begin:,} tokens; a window holds {length + 1}.",
            fix="Give more text, or a smaller length.",
        )
    return starts
