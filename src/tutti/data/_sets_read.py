"""The reader of sets: tables with one row per item, arrays, lists of arrays, and dicts of them by class."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Num

from tutti.core import Finding, InputError, InputTypeError
from tutti.data._reading import Reading
from tutti.data._sample import Found
from tutti.data._sets import Sets, assemble
from tutti.data._sets_table import encode_table, read_table
from tutti.data._sources import as_array
from tutti.data._sources_library import arrays_in, in_parts, is_dataset, set_apart

Cloud = Num[np.ndarray, "_items _feature"]


class SetReader:
    """Reads sets.

    A table (CSV, Parquet, frame, dict of columns) with `set`: rows of one id are one set, whatever their places; see
    data/_sets_table.py. Arrays: X [set, item, feature]; a list of arrays [items, feature]; with a target as (X, y),
    ((X, counts), y) or {"x": X, "counts": counts, "label": y, …} (an .npz file too); {class: list of arrays or array
    [set, item, feature]}, whose target is "class". Items that are NaN throughout are padding. Lists of arrays
    of unequal length and one width are taken for sets; other arrays where data="sets" says so.
    """

    kind = "sets"

    def claims(self, source: Any, reading: Reading) -> bool:
        if isinstance(source, Mapping):
            lists = all(isinstance(value, list | tuple) for value in source.values())
            return lists and _unequal([each for value in source.values() for each in value])
        if isinstance(source, tuple) and len(source) == 2:
            return _unequal(source[0])
        return isinstance(source, list) and _unequal(source)

    def read(self, source: Any, reading: Reading) -> Found:
        return read_table(source, reading) if reading.set is not None else _read_arrays(source, reading)

    def encode(self, description: Mapping[str, Any], source: Any, reading: Reading) -> Found:
        if description["key"] is not None:
            return encode_table(description, source, reading)
        told = replace(reading, length=description["length"])
        found = _read_arrays(source, told)
        names, own = tuple(description["features"]), found.sample
        assert isinstance(own, Sets)
        if len(own.names) != len(names):
            raise InputError(
                f"The items have {len(own.names)} features; the model was fitted on {len(names)}.",
                fix="Give the same features in the same order.",
            )
        return replace(found, sample=replace(own, names=names))


def _unequal(values: Any) -> bool:
    """A list of arrays [items, feature] with one width and several lengths."""
    if not isinstance(values, list | tuple):
        return False
    shapes = {tuple(getattr(value, "shape", ())) for value in values}
    return len(shapes) > 1 and all(len(shape) == 2 for shape in shapes) and len({shape[1] for shape in shapes}) == 1


def _read_arrays(source: Any, reading: Reading) -> Found:
    name = "arrays"
    if isinstance(source, str | Path):
        source, name = _npz(Path(source)), Path(source).name
    targets: tuple[str, ...] = ()
    columns: dict[str, Any] = {}
    test = validation = None
    told: list[Finding] = []
    if is_dataset(source) or in_parts(source):
        name = "dataset"
        columns, targets, parts, sizes = arrays_in(source)
        clouds = _clouds(columns.pop("x"))
        test, validation, told = set_apart(parts, sizes, name)
    elif isinstance(source, Mapping):
        clouds, columns, targets = _from_mapping(source)
    elif isinstance(source, tuple) and len(source) == 2:
        clouds, targets = _clouds(source[0]), ("target",)
        columns = {"target": as_array(source[1])}
        if columns["target"] is None:
            columns["target"] = np.asarray(source[1])
    else:
        clouds = _clouds(source)
    sample, findings, kept = _sets(clouds, reading)
    columns = {k: np.asarray(v)[kept] if len(v) == len(clouds) else v for k, v in columns.items()}
    test, validation = (None if rows is None else np.flatnonzero(np.isin(kept, rows)) for rows in (test, validation))
    return Found(
        sample=sample, columns=columns, targets=targets, test=test, validation=validation, source=name,
        findings=(*told, *findings),
    )  # fmt: skip


def _npz(path: Path) -> dict[str, np.ndarray]:
    if path.suffix != ".npz":
        raise InputError(
            f"{path.name} is no table with a column of sets, nor an .npz file.",
            fix="Name the column that tells the sets apart: set=COLUMN (--set).",
        )
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error


def _from_mapping(source: Mapping[str, Any]) -> tuple[list[Cloud], dict[str, Any], tuple[str, ...]]:
    """Sets by class; or one entry of sets (with "counts" where it is padded) and columns beside it."""
    big = [str(name) for name, value in source.items() if _is_sets(value)]
    if len(big) == len(source) and big:
        parts = {str(name): _clouds(value) for name, value in source.items()}
        labels = np.array([name for name, part in parts.items() for _ in part], dtype=object)
        return [cloud for part in parts.values() for cloud in part], {"class": labels}, ("class",)
    if len(big) != 1:
        raise InputError(
            f"Among {', '.join(map(repr, source))} are {len(big)} arrays of sets; expected one, or nothing else.",
            fix='Give {"x": array [set, item, feature], "label": labels} or {class: list of arrays}.',
        )
    given = {str(name): value for name, value in source.items()}
    x = given.pop(big[0])
    counts = given.pop("counts", None)
    clouds = _clouds(x if counts is None else (x, counts))
    columns = {name: as_array(value) for name, value in given.items()}
    return clouds, columns, tuple(columns) if len(columns) == 1 else ()


def _is_sets(value: Any) -> bool:
    """Whether this is an array of three axes or a list of arrays."""
    if isinstance(value, list | tuple):
        return len(value) > 0 and all(len(np.shape(each)) == 2 for each in value)
    return len(getattr(value, "shape", ())) == 3


def _clouds(source: Any) -> list[Cloud]:
    """One array [items, feature] per set."""
    counts = None
    if isinstance(source, tuple) and len(source) == 2 and len(np.shape(source[1])) == 1:
        source, counts = source
    if isinstance(source, list | tuple):
        clouds = [as_array(each) for each in source]
    else:
        array = as_array(source)
        if array is None or array.ndim != 3:
            shape = "" if array is None else f" of shape {array.shape}"
            raise InputTypeError(
                f"A {type(source).__name__}{shape} is no collection of sets.",
                fix="Give an array [set, item, feature], a list of arrays [items, feature], or a table with set=…",
            )
        clouds = list(array)
    for place, cloud in enumerate(clouds):
        if cloud is None or cloud.ndim != 2 or cloud.dtype.kind not in "fiub":
            what = "no array" if cloud is None else f"shape {cloud.shape}, type {cloud.dtype}"
            raise InputError(
                f"Set {place} is not an array of numbers [items, feature]: {what}.",
                fix="Give an empty set as an array of shape (0, features).",
            )
    return _cut(clouds, counts)


def _cut(clouds: list[Any], counts: Any) -> list[Cloud]:
    """Sets of one width, each with as many items as its count."""
    if not clouds:
        raise InputError("There are no sets.", fix="Give at least one.")
    widths = sorted({cloud.shape[1] for cloud in clouds})
    if len(widths) > 1 or not widths[0]:
        odd = next(i for i, cloud in enumerate(clouds) if cloud.shape[1] != clouds[0].shape[1] or not cloud.shape[1])
        raise InputError(
            f"Set {odd} has {clouds[odd].shape[1]} features, set 0 has {clouds[0].shape[1]}.",
            fix="Every item of every set needs the same features, one at least.",
        )
    if counts is None:
        return clouds
    sizes = np.asarray(as_array(counts) if as_array(counts) is not None else counts)
    if len(sizes) != len(clouds) or sizes.dtype.kind not in "iu":
        raise InputError(f"{len(clouds)} sets and {len(sizes)} counts of type {sizes.dtype}.", fix="Give one each.")
    for place, (cloud, size) in enumerate(zip(clouds, sizes.tolist(), strict=True)):
        if not 0 <= size <= len(cloud):
            raise InputError(f"The count of set {place} is {size}; it has {len(cloud)} places.")
    return [cloud[:size] for cloud, size in zip(clouds, sizes.tolist(), strict=True)]


def _sets(clouds: list[Cloud], reading: Reading) -> tuple[Sets, tuple[Finding, ...], Int[np.ndarray, " kept"]]:
    """The sets, what was noticed, and which of the given ones are among them: with skip=True none that is empty."""
    values = np.concatenate(clouds).astype(np.float32)
    owner = np.repeat(np.arange(len(clouds)), [len(cloud) for cloud in clouds])
    findings: list[Finding] = []
    endless = int(np.isinf(values).sum())
    if endless:
        message = f"{endless} infinite (or larger than 3.4e38) values count as missing."
        findings.append(Finding(kind="infinite-values", where="items", message=message))
        values[np.isinf(values)] = np.nan
    names = tuple(str(i) for i in range(values.shape[1]))
    sample, noticed, kept = assemble(values, owner, [str(i) for i in range(len(clouds))], names, reading)
    return sample, (*findings, *noticed), kept
