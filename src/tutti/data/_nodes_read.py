"""The reader of one graph whose nodes are the samples: tables with edges, archives, PyG and networkx graphs."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from tutti.core import Column, Finding, InputError, InputTypeError, Kind, Role
from tutti.data._convert import as_described
from tutti.data._declared import find, parse_kind
from tutti.data._edge_lists import names_of, read_edges, tidy_edges
from tutti.data._features import category_codes, numeric_features
from tutti.data._kinds import settle
from tutti.data._nodes import Entries, Nodes, settled_as
from tutti.data._reading import Reading
from tutti.data._sample import Found
from tutti.data._sources import Frame, as_array, load
from tutti.data._values import Words, as_words

MOSTLY_ZERO = 0.9  # of at least MANY features: they are kept as entries
MANY = 64
_EDGES = ("edges", "edge_index")


class NodeReader:
    """Reads one graph.

    A table of nodes (any source of a table) with `edges` (any source of a table, or an array): its rows are the
    nodes, its columns their features, but for targets and other roles. The ends of edges are row numbers from 0, or
    names of nodes where a column holds these. Edges go both ways. For predictions on a new graph, both come as a
    pair: (nodes, edges).
    An .npz archive, or a dict, with "edges" or "edge_index", features "x" (or the parts "x_indptr", "x_indices",
    "x_data" of a sparse matrix), labels "y" and a split: "train_mask", "val_mask", "test_mask"; or "num_train" and
    "test_idx", as Planetoid's: the first nodes train, the next 500 validate. Nodes outside the split have no label.
    A torch-geometric Data: the same by attribute; its edges go as they stand. A networkx graph: attributes of nodes
    are columns, and the edges of an undirected one go both ways.
    """

    kind = "nodes"

    def claims(self, source: Any, reading: Reading) -> bool:
        if isinstance(source, str | Path):
            return Path(source).suffix == ".npz" and bool(set(_EDGES) & _members(Path(source)))
        if isinstance(source, Mapping):
            return bool(set(_EDGES) & set(map(str, source)))
        return _is_pyg(source) or _is_networkx(source)

    def read(self, source: Any, reading: Reading) -> Found:
        return _read(source, reading, None)

    def encode(self, description: Mapping[str, Any], source: Any, reading: Reading) -> Found:
        found = _read(source, reading, description)
        sample = found.sample
        assert isinstance(sample, Nodes)
        fitted = description["shape"]["features"]
        if sample.shape.features != fitted:
            raise InputError(
                f"The nodes have {sample.shape.features} features; the model was fitted on {fitted}.",
                fix="Give the same features in the same order.",
            )
        return replace(found, sample=settled_as(sample, description))


def _read(source: Any, reading: Reading, description: Mapping[str, Any] | None) -> Found:
    sparse = None if description is None else bool(description["sparse"])
    if isinstance(source, tuple) and len(source) == 2:
        source, reading = source[0], replace(reading, edges=source[1])
    if _is_networkx(source):
        source, reading = _from_networkx(source, reading)
    if _is_pyg(source):
        return _from_arrays(_pyg_arrays(source), "torch-geometric graph", reading, sparse, both=False)
    if isinstance(source, Mapping) and reading.edges is None:
        arrays = {str(name): _array(value, str(name)) for name, value in source.items()}
        return _from_arrays(arrays, "dict", reading, sparse, both="edges" in arrays)
    if isinstance(source, str | Path) and Path(source).suffix == ".npz" and set(_EDGES) & _members(Path(source)):
        return _from_arrays(_load(Path(source)), Path(source).name, reading, sparse, both=True)
    return _from_table(source, reading, description)


def _is_pyg(source: Any) -> bool:
    return hasattr(source, "edge_index") and hasattr(source, "num_nodes")


def _is_networkx(source: Any) -> bool:
    return hasattr(source, "adj") and hasattr(source, "is_directed") and hasattr(source, "nodes")


def _members(path: Path) -> set[str]:
    """The names of the arrays in an archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile):
        return set()


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path.name} is no archive of plain arrays: {error}.") from error


def _array(value: Any, name: str) -> np.ndarray:
    array = as_array(value) if not np.isscalar(value) else np.asarray(value)
    if array is None:
        raise InputTypeError(f"{name!r} is a {type(value).__name__}; expected an array.")
    return array


def _pyg_arrays(data: Any) -> dict[str, np.ndarray]:
    """The parts of a torch-geometric Data that are read, as arrays."""
    names = ("x", "edge_index", "y", "train_mask", "val_mask", "test_mask")
    arrays = {name: _array(getattr(data, name), name) for name in names if getattr(data, name, None) is not None}
    arrays.setdefault("x", np.zeros((int(data.num_nodes), 0), np.float32))
    return arrays


def _from_networkx(graph: Any, reading: Reading) -> tuple[dict[str, list[Any]], Reading]:
    """A table of the nodes' attributes, and the edges by row number."""
    place = {node: i for i, node in enumerate(graph.nodes)}
    names = list(dict.fromkeys(name for _, told in graph.nodes(data=True) for name in told))
    columns = {str(name): [told.get(name) for _, told in graph.nodes(data=True)] for name in names}
    columns = columns or {"node": [str(node) for node in graph.nodes]}
    ends = np.array([(place[a], place[b]) for a, b in graph.edges()], dtype=np.int64).reshape(-1, 2).T
    return columns, replace(reading, edges=ends)


@dataclass(frozen=True)
class Split:
    """Rows of a published split, and which nodes it leaves out."""

    test: Int[np.ndarray, " test"] | None = None
    validation: Int[np.ndarray, " validation"] | None = None
    outside: Int[np.ndarray, " outside"] | None = None


def _split(arrays: Mapping[str, np.ndarray], nodes: int) -> Split:
    masks = [arrays.get(name) for name in ("train_mask", "val_mask", "test_mask")]
    if "num_train" in arrays and "test_idx" in arrays:
        train = np.arange(int(arrays["num_train"]))
        validation = np.arange(len(train), min(len(train) + 500, nodes))
        parts = [train, validation, arrays["test_idx"].astype(np.int64)]
    elif masks[0] is not None and masks[2] is not None and all(m is None or m.ndim == 1 for m in masks):
        parts = [np.flatnonzero(m) if m is not None else np.zeros(0, np.int64) for m in masks]
    else:
        return Split()
    for part in parts:
        if len(part) and not 0 <= part.min() <= part.max() < nodes:
            raise InputError(f"The split names node {part.max()}; there are nodes 0–{nodes - 1}.")
    if len(np.intersect1d(parts[0], parts[2])) or len(np.intersect1d(parts[0], parts[1])):
        raise InputError("Nodes that train stand in the split's validation or test part too.")
    outside = np.setdiff1d(np.arange(nodes), np.concatenate(parts))
    return Split(np.sort(parts[2]), np.sort(parts[1]) if len(parts[1]) else None, outside)


def _from_arrays(
    arrays: Mapping[str, np.ndarray], name: str, reading: Reading, sparse: bool | None, *, both: bool
) -> Found:
    ends = arrays.get("edges", arrays.get("edge_index"))
    assert ends is not None
    entries = _entries(arrays)
    table = None if entries is not None else _dense(arrays, ends)
    nodes = len(entries.begin) - 1 if entries is not None else len(table)  # type: ignore[arg-type]  # one of them is
    if nodes == 0:
        raise InputError(f"{name} is an empty graph: it has no nodes.")
    if table is not None and sparse is not False and (sparse or _mostly_zero(table)):
        entries, table = Entries.of(table), None
    edges, findings = tidy_edges(read_edges(ends, nodes, name), nodes, both=both)
    split, columns = Split(), {}
    y = arrays.get("y")
    if y is not None:
        if len(y) != nodes:
            raise InputError(f"{name} has {nodes} nodes, and {len(y)} labels.", fix="Give one for each node.")
        split = _split(arrays, nodes)
        columns = _labels(y, split.outside)
        findings += _unlabelled(split, nodes)
    sample = Nodes(edges=edges, node=np.arange(nodes), table=table, entries=entries, both=both)
    return Found(
        sample=sample, columns=columns or {"node": list(range(nodes))}, targets=tuple(columns), source=name,
        test=split.test, validation=split.validation, findings=tuple(findings),
    )  # fmt: skip


def _unlabelled(split: Split, nodes: int) -> list[Finding]:
    if split.outside is None or not len(split.outside):
        return []
    message = (
        f"The source's own split is used: {nodes - len(split.outside):,} of {nodes:,} nodes stand in it. The others "
        "have features and edges and no label."
    )
    return [Finding(kind="given-split", where="nodes", message=message, severity="notice")]


def _labels(y: np.ndarray, outside: np.ndarray | None) -> dict[str, list[Any]]:
    """Labels by name: whole numbers are classes; nodes outside the split have none."""
    if y.ndim == 2 and y.shape[1] > 1:
        columns = {f"y{i}": y[:, i].tolist() for i in range(y.shape[1])}
    else:
        flat = y.reshape(-1)
        columns = {"y": [str(v) for v in flat.tolist()] if flat.dtype.kind in "iub" else flat.tolist()}
    if outside is not None:
        for values in columns.values():
            for i in outside:
                values[i] = None
    return columns


def _entries(arrays: Mapping[str, np.ndarray]) -> Entries | None:
    names = ("x_indptr", "x_indices", "x_data")
    if not all(name in arrays for name in names):
        return None
    begin, indices, values = (arrays[name] for name in names)
    indices = indices.astype(np.int64)
    width = int(arrays["x_shape"][1]) if "x_shape" in arrays else int(indices.max(initial=-1)) + 1
    return Entries(begin.astype(np.int64), indices, values.astype(np.float32), width)


def _dense(arrays: Mapping[str, np.ndarray], ends: np.ndarray) -> Float[np.ndarray, "node feature"]:
    """x [node, feature]; a graph without features has as many nodes as its labels, or as its edges name."""
    x = arrays.get("x")
    if x is None:
        nodes = len(arrays["y"]) if "y" in arrays else int(ends.max(initial=-1)) + 1
        return np.zeros((nodes, 0), np.float32)
    if x.ndim == 1:
        x = x[:, None]
    if x.ndim != 2 or x.dtype.kind not in "fiub":
        raise InputError(f"The features x have shape {x.shape}, type {x.dtype}.", fix="Expected [node, feature].")
    return x.astype(np.float32)


def _mostly_zero(table: np.ndarray) -> bool:
    few = table.shape[1] >= MANY and np.count_nonzero(table) < (1 - MOSTLY_ZERO) * table.size
    return bool(few and (table >= 0).all())


def _from_table(source: Any, reading: Reading, description: Mapping[str, Any] | None) -> Found:
    if reading.edges is None:
        raise InputError("There are no edges between the nodes.", fix="Name them: edges=… (--edges edges.csv).")
    frame = load(source, header=reading.header, delimiter=reading.delimiter)
    nodes = frame.rows
    if nodes == 0:
        raise InputError(f"{frame.source} is an empty graph: it has no nodes.")
    names = _name_column(frame, reading.edges) if description is None else description["names"]
    if names is not None and names not in frame.columns:
        raise InputError(f"{frame.source} lacks the column {names!r} that names its nodes.")
    ids = None if names is None else _ids(frame, names)
    edges, findings = tidy_edges(read_edges(reading.edges, nodes, frame.source, ids=ids), nodes, both=True)
    columns, table, more = _features(frame, reading, names, description)
    sparse = _mostly_zero(table) if description is None else bool(description["sparse"])
    sample = Nodes(
        edges=edges, node=np.arange(nodes), table=None if sparse else table,
        entries=Entries.of(table) if sparse else None, columns=columns, names=names,
    )  # fmt: skip
    own = tuple(column.name for column in columns)
    beside = {name: values for name, values in frame.columns.items() if name not in own}
    return Found(
        sample=sample, columns=beside or {"node": np.arange(nodes)}, targets=frame.targets, source=frame.source,
        findings=(*frame.findings, *findings, *more), own=own,
    )  # fmt: skip


def _ids(frame: Frame, name: str) -> list[str]:
    words = as_words(frame.columns[name])
    if len(words.levels) != frame.rows or (words.codes < 0).any():
        raise InputError(f"The column {name!r} names nodes of {frame.source} twice, or leaves some without a name.")
    return [words.levels[code] for code in words.codes]


def _name_column(frame: Frame, edges: Any) -> str | None:
    """The column that names the nodes: every row another value, and the edges' ends among them. None where the ends
    are row numbers. Where several columns fit, the first; where none holds all ends, one that holds most."""
    ends = names_of(edges)
    if not ends:
        return None
    rows = {str(i) for i in range(frame.rows)}
    best, share = None, len(ends & rows) / len(ends)
    for name, column in frame.columns.items():
        words = as_words(column)
        if len(words.levels) != frame.rows or (words.codes < 0).any() or set(words.levels) == rows:
            continue
        held = len(ends & set(words.levels)) / len(ends)
        if held > max(share, 0.5):
            best, share = name, held
    return best


def _features(
    frame: Frame, reading: Reading, names: str | None, description: Mapping[str, Any] | None
) -> tuple[tuple[Column, ...], Float[np.ndarray, "node feature"], list[Finding]]:
    """The columns that are features, what they are, and what was odd."""
    if description is not None:
        columns = [Column.from_json(column) for column in description["columns"]]
        lacking = [c.name for c in columns if c.name not in frame.columns]
        if lacking:
            raise InputError(f"{frame.source} lacks the column {lacking[0]!r}, a feature of the nodes.")
        values = [as_described(column, frame.columns[column.name]) for column in columns]
        settled = list(zip(columns, values, strict=True))
        findings: list[Finding] = []
    else:
        settled, findings = _settle(frame, reading, names)
    parts: list[np.ndarray] = []
    for column, found in settled:
        own = list(numeric_features(column, found))
        if column.kind == Kind.CATEGORY and isinstance(found, Words):
            codes = category_codes(column, found)
            own = [(codes == i + 2).astype(np.float32) for i in range(len(column.levels))]
        parts += own
    table = np.stack(parts, axis=1) if parts else np.zeros((frame.rows, 0), np.float32)
    return tuple(c for c, _ in settled), table.astype(np.float32), findings


def _settle(frame: Frame, reading: Reading, names: str | None) -> tuple[list[tuple[Column, Any]], list[Finding]]:
    """Every column that may be a feature, with its kind: all but those of other roles, and the nodes' names."""
    wishes = reading.wishes
    beside = {find(frame, name) for name in (*wishes.beside, *wishes.drop)} | set(frame.targets)
    kinds = {find(frame, name): parse_kind(kind) for name, kind in wishes.kinds.items()}
    keep = {find(frame, name) for name in wishes.keep}
    settled, findings = [], []
    for name, column in frame.columns.items():
        if name in beside or name == names:
            continue
        kind, form = kinds.get(name, (None, ""))
        found = settle(name, column, kind, form=form, keep=name in keep, comma=frame.delimiter == ";")
        if found.column.role != Role.ASIDE and found.column.kind in (Kind.NUMBER, Kind.BOOLEAN, Kind.CATEGORY):
            settled.append((found.column, found.values))
            findings += found.findings
    return settled, findings
