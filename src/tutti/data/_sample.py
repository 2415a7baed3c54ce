"""What a kind of data promises beside its columns: images, signals, texts, graphs, sets."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from jaxtyping import Int, Num, Shaped, UInt64
from torch import Tensor, nn

from tutti.core import Finding, Rows, Shape, Splits
from tutti.data._reading import Reading

Encoded = Num[np.ndarray, "_samples ..."] | None


class Sample(ABC):
    """The samples of one source, row by row, in memory or read when they are asked for. Immutable.

    Row i belongs to row i of the table's columns (target, group, time, weight).
    """

    kind: ClassVar[str]

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """What networks for these samples are built from."""

    @abstractmethod
    def inputs(self) -> tuple[Tensor | Rows, ...]:
        """One tensor (or core.Rows) per argument of a network's forward, rows first, raw: nothing is fitted."""

    @abstractmethod
    def fit(self, network: nn.Module, rows: Int[np.ndarray, " train"], target: Encoded = None) -> dict[str, Tensor]:
        """The network's preprocessing buffers, fitted on these (training) rows alone: name -> value.

        target: of all samples, as the task encodes it, for buffers that are fitted to it on the same rows.
        """

    def settled(self, rows: Int[np.ndarray, " train"]) -> "Sample":
        """These samples once the outer training rows are known: where a vocabulary is learnt from them, for one.
        Shape, inputs and to_json are asked for after it."""
        return self

    def unseen(self, *, edges: bool, weights: bool) -> tuple[str, ...]:
        """What was read of the edges of one graph and does not enter a network that sees (or does not see) their
        features, and their weights."""
        return ()

    def equip(self, network: nn.Module) -> None:
        """Gives a network what all samples share and no weight holds (the edges of one large graph)."""
        return None

    @abstractmethod
    def take(self, rows: Int[np.ndarray, " taken"]) -> "Sample":
        """The samples of these rows, in this order."""

    @abstractmethod
    def joined(self, other: Any) -> "Sample":
        """These samples with another source's behind them: rows of a test file. Both were read by one description."""

    @abstractmethod
    def hashes(self) -> UInt64[np.ndarray, " rows"]:
        """64 bits that stand for the content of each sample: equal exactly where samples are."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """{"kind": …, "shape": shape.to_json(), …}: all that is needed to read new samples alike."""

    @property
    @abstractmethod
    def summary(self) -> str:
        """One line that says what was read: "60,000 images, 28 × 28, grey"."""

    def leaks(self, splits: Splits, *, given: bool) -> list[Finding]:
        """What exact copies do not show: near-duplicates, shared nodes or edges, overlapping windows."""
        return []

    def alike(self) -> Int[np.ndarray, " rows"] | None:
        """An id for each sample, equal where our own splits must keep samples on one side; None: equal hashes."""
        return None

    def units(self) -> Int[np.ndarray, " rows"] | None:
        """A number for each sample, equal for those that intervals must draw together: blocks of one long text.
        None: each stands for itself."""
        return None

    @property
    def gap(self) -> int:
        """Stamps that must lie between rows that train and later ones that judge them: where futures overlap."""
        return 0

    def ahead(self) -> dict[str, list[Any]]:
        """Columns beside a prediction that is no single row per sample but one per step ahead; empty elsewhere."""
        return {}

    @abstractmethod
    def example(self, row: int) -> dict[str, Any]:
        """A small picture of one sample for the report, as JSON: {"kind": "image", "png": base64, …},
        {"kind": "signal", "values": [[…]]}, {"kind": "text", "text": …}, {"kind": "graph", "nodes": n, "edges": [[a,
        b], …]}, {"kind": "points", "points": [[x, y], …]}."""

    def without_parts(self, row: int) -> "tuple[list[str], Sample] | None":
        """The parts that `example(row)` shows, and as samples the whole followed by the whole without each part: what
        an answer owes to a part is how it changes without. None where a kind has no parts to speak of."""
        return None

    def describe(self) -> dict[str, Any]:
        """What the schema keeps of the samples: to_json, and the summary for those who read it."""
        return {**self.to_json(), "summary": self.summary}


@dataclass(frozen=True, kw_only=True)
class Found:
    """A source as a reader found it.

    columns: what stands beside the samples, one value per row: labels, file names, groups. targets: those that are
    predicted where the user names none. dense: a target that no column holds, [rows, …]: masks, next tokens, futures;
    it goes by the name in targets, and `task` is then the kind of its task. test, validation: rows that the source
    itself sets apart (x_test of an NPZ, a published split); a given validation part is the one fold. source: a short
    name. findings: what was odd. own: columns that the samples are made of, which kinds, keep and drop may name.
    time: the column of times where the user names none. metric: what selects and is quoted where the user names none
    and the task's own says little. ahead: samples whose target nobody knows yet, for which a
    prediction is asked in place of `sample` (what comes after the end of a series).
    """

    sample: Sample
    columns: Mapping[str, Sequence[Any] | Shaped[np.ndarray, " rows"] | pa.ChunkedArray]
    targets: tuple[str, ...] = ()
    dense: Shaped[np.ndarray, "rows ..."] | None = None
    task: str | None = None
    test: Int[np.ndarray, " test"] | None = None
    validation: Int[np.ndarray, " validation"] | None = None
    source: str = ""
    findings: tuple[Finding, ...] = field(default=())
    own: tuple[str, ...] = ()
    time: str | None = None
    metric: str | None = None
    ahead: Sample | None = None


@runtime_checkable
class Reader(Protocol):
    """Reads one kind of data. One file, one reader; `_readers.py` lists them."""

    kind: str

    def claims(self, source: Any, reading: Reading) -> bool:
        """Whether this source looks like this kind, from its type, shape or file names: nothing long is read."""

    def read(self, source: Any, reading: Reading) -> Found:
        """The source, typed. Raises InputError for what cannot be read."""

    def encode(self, description: Mapping[str, Any], source: Any, reading: Reading) -> Found:
        """New data, read as `description` (Sample.to_json) says."""
