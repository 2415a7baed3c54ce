"""Datasets of Hugging Face, alone or in parts, known by what they offer: the library itself is never imported."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from tutti.core import Finding, InputError

PARTS = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
}  # fmt: skip
"""What folders, columns and datasets call the parts of published splits."""
ORDER = ("train", "validation", "test")
LABELS = ("label", "labels", "target", "y")  # what the column to predict is called where no class is declared
_NUMBERS = ("float", "int", "uint", "double", "half")


def is_dataset(source: Any) -> bool:
    """Whether this is one dataset of Hugging Face."""
    names, features = getattr(source, "column_names", None), getattr(source, "features", None)
    return isinstance(names, list) and isinstance(features, Mapping) and hasattr(source, "__getitem__")


def refuse_audio(source: Any) -> None:
    """Datasets of Audio need a decoder of the library's own: says how the user decodes them."""
    first = next(iter(source.values())) if in_parts(source) else source
    if not is_dataset(first):
        return
    name = next((n for n, kind in first.features.items() if type(kind).__name__ == "Audio"), None)
    if name is not None:
        raise InputError(
            f"The column {name!r} of the dataset is Audio, which tutti does not decode.",
            fix=f"Give ([sound.get_all_samples().data.numpy() for sound in dataset[{name!r}]], labels) with "
            'data="signals" and rate=…, or a folder of WAV files.',
        )


def in_parts(source: Any) -> bool:
    """Whether this is a dict of datasets, or of frames that are called as the parts of a split are."""
    if not isinstance(source, Mapping) or not source:
        return False
    if all(is_dataset(part) for part in source.values()):
        return True
    return all(_part(name) for name in source) and all(_is_frame(part) for part in source.values())


def _is_frame(source: Any) -> bool:
    home = type(source).__module__.split(".")[0]
    return isinstance(source, pa.Table) or (home in ("pandas", "polars") and hasattr(source, "columns"))


def _part(name: Any) -> str | None:
    """ "validation_matched" → "validation"; None where a name is no part's."""
    return PARTS.get(str(name).lower().split("_")[0])


def by_part(source: Mapping[Any, Any]) -> list[tuple[str, Any]]:
    """The parts, those that train first, then those that validate, then those that test; a name that says nothing
    ("unsupervised") is one that trains."""
    named = [(_part(name) or "train", part) for name, part in source.items()]
    return sorted(named, key=lambda each: ORDER.index(each[0]))


def set_apart(
    parts: Sequence[str], sizes: Sequence[int], where: str
) -> tuple[Int[np.ndarray, " test"] | None, Int[np.ndarray, " validation"] | None, list[Finding]]:
    """The rows of parts that test and validate, of parts one below the other, and what is said of them; none where
    nothing would train."""
    words = np.repeat(parts, sizes)
    if not (words == "train").any():
        return None, None, []
    rows = {part: np.flatnonzero(words == part) for part in ("test", "validation")}
    told = " and ".join(f"{len(r):,} {part} rows" for part, r in rows.items() if len(r))
    if not told:
        return None, None, []
    message = f"The parts of the source set {told} apart; --test-size draws new test rows instead."
    test, validation = (r if len(r) else None for r in rows.values())
    return test, validation, [Finding(kind="given-split", where=where, message=message, severity="notice")]


def cells(dataset: Any, name: str) -> list[Any]:
    """One column of a dataset; numbers of declared classes as their names (−1 stands for none)."""
    plain = dataset.with_format(None) if hasattr(dataset, "with_format") else dataset  # no tensors
    values, names = list(plain[name]), getattr(dataset.features[name], "names", None)
    return [None if v is None or v < 0 else names[v] for v in values] if names else values


def labels_of(dataset: Any) -> tuple[str, ...]:
    """The column to predict where nobody names one: the only one of declared classes, else the only one of LABELS."""
    declared = [name for name, kind in dataset.features.items() if getattr(kind, "names", None)]
    declared = declared or [name for name in dataset.column_names if name.lower() in LABELS]
    return tuple(declared) if len(declared) == 1 else ()


def text_column(dataset: Any) -> str | None:
    """The only column of strings beside the labels and what numbers the rows; None where there are others too."""
    rest = [n for n in dataset.column_names if n not in labels_of(dataset) and n.lower() not in ("idx", "id")]
    if len(rest) != 1:
        return None
    head = [cell for cell in islice(iter(dataset[rest[0]]), 100) if cell is not None]
    return rest[0] if head and all(isinstance(cell, str) for cell in head) else None


def array_column(dataset: Any) -> str | None:
    """The only column whose cells are arrays or lists of numbers; None where there is none or several."""
    found = [name for name, kind in dataset.features.items() if _depth(kind)]
    return found[0] if len(found) == 1 else None


def _depth(kind: Any) -> int:
    """How many axes a feature's cells have: 0 for plain values, texts and whatever holds no numbers."""
    shape = getattr(kind, "shape", None)
    if isinstance(shape, tuple) and type(kind).__name__.startswith("Array"):
        return len(shape)
    inner = getattr(kind, "feature", None)
    if inner is None:
        return 0
    below = _depth(inner)
    plain = str(getattr(inner, "dtype", "")).startswith(_NUMBERS) and not getattr(inner, "names", None)
    return below + 1 if below or plain else 0


def holds_signals(dataset: Any) -> bool:
    """Whether its only column of arrays is of [channel, time], or of [time] with unequal times."""
    name = array_column(dataset)
    if name is None:
        return False
    kind = dataset.features[name]
    if type(kind).__name__ == "Array2D":
        return True
    return _depth(kind) == 1 and len({len(cell) for cell in islice(iter(dataset[name]), 100)}) > 1


def arrays_in(source: Any) -> tuple[dict[str, Any], tuple[str, ...], list[str], list[int]]:
    """A dataset, or several in parts, of arrays: its columns with the arrays as "x"; the target; parts and sizes."""
    parts = by_part(source) if in_parts(source) else [("train", source)]
    first = parts[0][1]
    name = array_column(first)
    if name is None:
        raise InputError(
            f"Among the columns {', '.join(map(repr, first.column_names))} there is not one of arrays of numbers.",
            fix="Leave one column of lists of numbers, or of Array2D, in the dataset.",
        )
    columns: dict[str, Any] = {"x": []}
    for _, part in parts:
        columns["x"] += [np.asarray(cell) for cell in part[name]]
        for other in first.column_names:
            if other != name:
                columns.setdefault(other if other != "x" else "x (column)", []).extend(cells(part, other))
    beside = tuple(other for other in columns if other != "x")
    targets = labels_of(first) or (beside if len(beside) == 1 else ())
    return columns, targets, [part for part, _ in parts], [len(part) for _, part in parts]
