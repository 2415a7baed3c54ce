"""Sets of items: events of particles, clouds of points, bags of instances. The order of the items means nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Num, UInt64
from torch import Tensor
from torch import nn as torch_nn

from tutti import nn
from tutti.core import Column, Finding, InputError, SetShape
from tutti.data._fit import fit_front
from tutti.data._reading import Reading
from tutti.data._row_content import row_hashes
from tutti.data._sample import Encoded, Sample

MOST_BYTES = 2**33  # of all sets padded to the largest
SHOWN = 400  # points of an example


@dataclass(frozen=True, kw_only=True, eq=False)
class Sets(Sample):
    """Sets, padded to the largest: items [set, item, feature] with NaN for missing values, counts [set].

    Items stand in an order that depends on what they are alone (by a hash of their values): the same sets in
    another order are the same samples, bit for bit, and the first m items of a set are a random m of them.
    Values are uint8 where that is exact, else float32. Padding is 0 and means nothing.

    names: of the features. columns: the columns of the source that they are made of, in order, where it is a table
    with one row per item, and `key` the column that tells the sets apart. length: the most items that are kept.
    beside: columns of the source with one value per set.
    """

    kind: ClassVar[str] = "sets"

    items: Num[Tensor, "set item feature"]
    counts: Int[Tensor, " set"]
    names: tuple[str, ...]
    columns: tuple[Column, ...] = ()
    key: str | None = None
    length: int | None = None
    beside: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def shape(self) -> SetShape:
        return SetShape(features=len(self.names), items=self.items.shape[1])

    def inputs(self) -> tuple[Tensor, ...]:
        return self.items, self.counts

    def fit(
        self, network: torch_nn.Module, rows: Int[np.ndarray, " train"], target: Encoded = None
    ) -> dict[str, Tensor]:
        """The buffers of every nn.SetInput: its scaling from all items of these sets, sizes from these sets."""
        fitted: dict[str, Tensor] = {}
        for prefix, layer in network.named_modules():
            if not isinstance(layer, nn.SetInput):
                continue
            name = f"{prefix}." if prefix else ""
            values, _ = self._flat(rows)
            buffers = fit_front(layer.items, values, np.zeros((len(values), 0), np.int32))
            fitted |= {f"{name}items.{k}": v for k, v in buffers.items()}
            sizes = np.log1p(self.counts.numpy()[rows].astype(np.float64))
            sd = sizes.std()
            fitted[f"{name}size_centre"] = torch.tensor(sizes.mean(), dtype=torch.float32)
            fitted[f"{name}size_scale"] = torch.tensor(1 / sd if sd > 1e-9 else 0.0, dtype=torch.float32)
        return fitted

    def take(self, rows: Int[np.ndarray, " taken"]) -> "Sets":
        index = torch.as_tensor(np.asarray(rows, np.int64))
        return replace(self, items=self.items[index], counts=self.counts[index])

    def joined(self, other: Any) -> "Sets":
        if other.names != self.names:
            raise InputError(
                f"The items have the features {', '.join(self.names)} here and {', '.join(other.names)} there.",
                fix="Give both the same features in the same order.",
            )
        places = max(self.items.shape[1], other.items.shape[1])
        dtype = torch.promote_types(self.items.dtype, other.items.dtype)
        parts = [
            torch.nn.functional.pad(part.items.to(dtype), (0, 0, 0, places - part.items.shape[1]))
            for part in (self, other)
        ]
        return replace(self, items=torch.cat(parts), counts=torch.cat([self.counts, other.counts]))

    def hashes(self) -> UInt64[np.ndarray, " rows"]:
        """Of the items as a collection: their order and the padding leave it as it is."""
        values, owner = self._flat(np.arange(len(self)))
        before = np.concatenate([np.zeros(1, np.uint64), np.cumsum(row_hashes(values))])  # modulo 2⁶⁴
        ends = np.cumsum(np.bincount(owner, minlength=len(self)))
        counts = self.counts.numpy()
        return row_hashes((before[ends] - before[ends - counts]).view(np.int64), counts)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "shape": self.shape.to_json(),
            "features": list(self.names),
            "columns": [column.to_json() for column in self.columns],
            "key": self.key,
            "length": self.length,
            "beside": list(self.beside),
        }

    @property
    def summary(self) -> str:
        counts = self.counts.numpy()
        few, most = int(counts.min()), int(counts.max())
        each = f"{most:,}" if few == most else f"{few:,}–{most:,} (median {int(np.median(counts)):,})"
        return f"{len(self):,} sets of {each} items, {len(self.names)} features each"

    def example(self, row: int) -> dict[str, Any]:
        """The first two or three features of up to SHOWN of the items."""
        points = self.items[row, self.shown(row), :3].to(torch.float32)
        return {"kind": "points", "points": points.tolist(), "names": list(self.names[:3])}

    def shown(self, row: int) -> Int[np.ndarray, " shown"]:
        """The places of the items that `example` shows: the first ones whose first features are all known."""
        points = self.items[row, : min(int(self.counts[row]), SHOWN), :3].to(torch.float32).numpy()
        return np.flatnonzero(np.isfinite(points).all(1))

    def _flat(self, rows: Int[np.ndarray, " some"]) -> tuple[Float[np.ndarray, "items feature"], np.ndarray]:
        """The items of these sets below each other, and the place in `rows` of each one's set."""
        chosen = self.items.numpy()[rows]
        real = _present(self.counts.numpy()[rows], chosen.shape[1])
        return chosen[real].astype(np.float32), np.nonzero(real)[0]


def _present(counts: Int[np.ndarray, " set"], places: int) -> Bool[np.ndarray, "set item"]:
    return np.arange(places) < counts[:, None]


def padded(
    values: Float[np.ndarray, "items feature"], owner: Int[np.ndarray, " items"], sets: int, length: int | None
) -> tuple[Num[Tensor, "set item feature"], Int[Tensor, " set"]]:
    """Items and the numbers of their sets as `Sets` holds them.

    An item without any value is none. Of a set with more than `length` items a random `length` are kept, the same
    ones whatever the order.
    """
    real = ~np.isnan(values).all(1)
    values, owner = values[real], owner[real]
    order = np.lexsort((row_hashes(values), owner))
    values, owner = values[order], owner[order]
    counts = np.bincount(owner, minlength=sets)
    place = np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner]
    if length is not None:
        kept = place < length
        values, owner, place = values[kept], owner[kept], place[kept]
        counts = np.minimum(counts, length)
    whole = bool((values >= 0).all() and (values <= 255).all() and (values == np.floor(values)).all())
    dtype = np.dtype(np.uint8 if whole else np.float32)
    places = int(counts.max(initial=0))
    size = sets * places * values.shape[1] * dtype.itemsize
    if size > MOST_BYTES:
        raise InputError(
            f"{sets:,} sets padded to the largest, of {places:,} items, take {size / 2**30:.0f} GiB.",
            fix=f"Keep a random part of large sets: length={max(1, places // 10)} (--length).",
        )
    items = np.zeros((sets, places, values.shape[1]), dtype)
    items[owner, place] = values
    return torch.from_numpy(items), torch.from_numpy(counts.astype(np.int64))


def assemble(
    values: Float[np.ndarray, "items feature"],
    owner: Int[np.ndarray, " items"],
    ids: Sequence[str],
    names: tuple[str, ...],
    reading: Reading,
) -> tuple[Sets, list[Finding], Int[np.ndarray, " kept"]]:
    """The sets that these items make, what is to be said of them, and which of `ids` are among them.

    Empty sets are kept, and named in a finding; with reading.skip they are left out.
    """
    sizes = np.bincount(owner[~np.isnan(values).all(1)], minlength=len(ids))
    if not sizes.any():
        raise InputError("All sets are empty: no item has a value.", fix="Give at least one set with an item.")
    items, counts = padded(values, owner, len(ids), reading.length)
    sample = Sets(items=items, counts=counts, names=names, length=reading.length)
    kept, findings = np.arange(len(ids)), []
    empty = np.flatnonzero(sizes == 0)
    if len(empty):
        shown = ", ".join(ids[i] for i in empty[:5]) + (", …" if len(empty) > 5 else "")
        end = " and left out." if reading.skip else "; nothing but their size of 0 is known (--skip leaves them out)."
        message = f"{len(empty)} of {len(ids)} sets are empty ({shown}){end}"
        findings.append(Finding(kind="empty-sets", where="items", message=message))
    if len(empty) and reading.skip:
        kept = np.flatnonzero(sizes)
        sample = sample.take(kept)
    return sample, [*findings, *_large(sample, sizes)], kept


def _large(sample: Sets, sizes: Int[np.ndarray, " set"]) -> list[Finding]:
    """What is to be said of large sets; `sizes` are those before any were cut."""
    findings = []
    if sample.length is not None and (sizes > sample.length).any():
        cut, kept = int((sizes > sample.length).sum()), f"{sample.length:,}"
        message = f"{cut} of {len(sizes)} sets have more than {kept} items; a random {kept} are kept."
        findings.append(Finding(kind="cut-sets", where="items", message=message, severity="notice"))
    most = sample.shape.items
    if most > SetShape.TRAINED:
        judged = "all" if most <= SetShape.JUDGED else f"{SetShape.JUDGED:,}, always the same"
        message = (
            f"Sets have up to {most:,} items: a training step sees a random {SetShape.TRAINED:,}, judging {judged}"
        )
        message += " (options of the model: trained, judged)."
        findings.append(Finding(kind="large-sets", where="items", message=message, severity="notice"))
    return findings
