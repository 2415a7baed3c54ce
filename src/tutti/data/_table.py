"""The data as read: what a network eats, what it must predict, and what splits and checks need beside it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped, UInt64
from torch import Tensor, nn

from tutti.core import Finding, Rows, Schema
from tutti.data._fit import fit_front
from tutti.data._row_content import content_hashes, duplicate_groups, first_alike, row_hashes
from tutti.data._sample import Encoded, Sample

MANY_OUTPUTS = 256  # numbers in a row's target, from which it is hashed as bytes


@dataclass(frozen=True, kw_only=True)
class Table:
    """The rows of one source; row i of every array is the same sample.

    numbers: numeric features in raw units, float32, NaN where missing; columns as `schema.numbers`.
    codes: categories, int32: 0 never seen (or too rare to keep), 1 missing, level i of the column → i + 2;
        columns as `schema.categories`.
    target: raw target values: float64 where every target column holds numbers, else an object array of str;
        [rows] for one target column, [rows, targets] for several; None where there is no target.
    time: datetime64[us], or float64 where the time column holds numbers. group, series: object arrays of str
        (a missing value is ""). weight: float64, finite and not negative. None where no column has the role.
    sample: images, signals, texts, graphs or sets, one per row; then there are no numbers and no codes ([rows, 0]).
    task: the kind of the task where the reader knows it (masks, forecasts, language), else None.
    metric: what selects and is quoted where the user names none, if the reader knows better than the task.
    test, validation: rows that the source itself sets apart, or None.
    findings: what the reader saw. source: a short name of where the data came from.
    """

    schema: Schema
    numbers: Float[np.ndarray, "rows number"]
    codes: Int[np.ndarray, "rows category"]
    target: Shaped[np.ndarray, " rows *targets"] | None = None
    time: Shaped[np.ndarray, " rows"] | None = None
    group: Shaped[np.ndarray, " rows"] | None = None
    series: Shaped[np.ndarray, " rows"] | None = None
    weight: Float[np.ndarray, " rows"] | None = None
    sample: Sample | None = None
    task: str | None = None
    metric: str | None = None
    test: Int[np.ndarray, " test"] | None = None
    validation: Int[np.ndarray, " validation"] | None = None
    findings: tuple[Finding, ...] = ()
    source: str = ""

    @property
    def rows(self) -> int:
        return len(self.numbers)

    @property
    def kind(self) -> str:
        """The kind of data."""
        return "table" if self.sample is None else self.sample.kind

    def inputs(self) -> tuple[Tensor | Rows, ...]:
        """What a network's forward takes, one per argument, rows first, raw."""
        if self.sample is not None:
            return self.sample.inputs()
        return torch.from_numpy(self.numbers), torch.from_numpy(self.codes).long()

    def settled(self, train: Int[np.ndarray, " train"]) -> "Table":
        """These rows once it is known which of them train: a vocabulary is learnt from those alone."""
        if self.sample is None:
            return self
        sample = self.sample.settled(train)
        return replace(self, sample=sample, schema=replace(self.schema, sample=sample.describe()))

    def equip(self, network: nn.Module) -> None:
        """Gives a network what all samples share and no weight holds."""
        if self.sample is not None:
            self.sample.equip(network)

    def fit(self, network: nn.Module, rows: Int[np.ndarray, " train"], target: Encoded = None) -> dict[str, Tensor]:
        """The network's preprocessing buffers, fitted on these (training) rows and nothing else; see Sample.fit."""
        if self.sample is not None:
            return self.sample.fit(network, rows, target)
        return fit_front(network, self.numbers[rows], self.codes[rows])

    def hashes(self, target: Shaped[np.ndarray, "rows ..."] | None = None) -> UInt64[np.ndarray, " rows"]:
        """64 bits for each row's features, and its target where given: equal exactly where these are."""
        if target is not None and target[:1].size > MANY_OUTPUTS:
            target = content_hashes(target).view(np.int64)
        if self.sample is not None:
            return row_hashes(self.sample.hashes().view(np.int64), target)
        return row_hashes(self.numbers, self.codes, target)

    def alike(self) -> Int[np.ndarray, " rows"]:
        """Ids that are equal where rows must stand on one side of a split; see `duplicate_groups`."""
        if self.sample is None:
            return duplicate_groups(self.numbers, self.codes)
        ids = self.sample.alike()
        return first_alike(self.sample.hashes()) if ids is None else ids

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the content: names and kinds of the columns, and every array in its row order.

        The same data give the same fingerprint from whatever file or frame they were read.
        """
        digest = hashlib.sha256()
        columns = [[c.name, c.kind, c.role, list(c.levels), list(c.features)] for c in self.schema.columns]
        digest.update(json.dumps(columns).encode("utf8"))
        for name in ("numbers", "codes", "target", "time", "group", "series", "weight"):
            values = getattr(self, name)
            if values is not None:
                digest.update(f"{name} {values.shape} {values.dtype.kind}".encode())
                digest.update(_content(values))
        if self.sample is not None:
            digest.update(json.dumps(self.sample.to_json(), sort_keys=True).encode("utf8"))
            digest.update(_content(self.sample.hashes()))
        return digest.hexdigest()

    def take(self, rows: Int[np.ndarray, " taken"] | Sequence[int]) -> "Table":
        """The table of these rows, in this order; the schema and the findings stay as they are."""
        index = np.asarray(rows, dtype=np.int64)

        def pick(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[index]

        return replace(
            self,
            test=None,
            validation=None,
            numbers=self.numbers[index],
            codes=self.codes[index],
            target=pick(self.target),
            time=pick(self.time),
            group=pick(self.group),
            series=pick(self.series),
            weight=pick(self.weight),
            sample=None if self.sample is None else self.sample.take(index),
        )


def _content(values: Shaped[np.ndarray, " rows *columns"]) -> bytes | memoryview:
    """Bytes that are the same for the same values."""
    if values.dtype.kind == "O":
        return json.dumps(values.ravel().tolist()).encode("utf8")
    if values.dtype.kind == "M":
        values = values.astype("datetime64[us]").astype(np.int64)
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
