"""One graph from its sources, whatever of it the samples are: its nodes, its edges, and what is said of both."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from tutti.core import Column, Finding, InputError, InputTypeError, Kind
from tutti.data._edge_lists import EdgeList, carried, tidy_edges
from tutti.data._graph_columns import Features, described_features, settled_features, wishes_of
from tutti.data._nodes import Entries, Nodes
from tutti.data._reading import Reading
from tutti.data._sources import Frame, as_array, columns_of, load
from tutti.data._values import as_words

MOSTLY_ZERO = 0.9  # of at least MANY features: they are kept as entries
MANY = 64
EDGES = ("edges", "edge_index")
_OF_ARRAYS = ("x", "edge_index", "edge_attr", "edge_weight", "edge_label", "y", "train_mask", "val_mask", "test_mask")


@dataclass(frozen=True, kw_only=True)
class OneGraph:
    """One graph as it was read.

    sample: all its nodes as rows. given: the edges as they came, of which the sample holds each once; said: what is
    said of them. of_edges: whether the target is a column of the edges, not of the nodes. nodes, edges: the frames,
    without the ends. arrays: the parts of an archive or a graph object. ids: the names of the nodes, where edges use
    them. own: columns that a reader's wishes may name although no row has them.
    """

    sample: Nodes
    given: Int[np.ndarray, "2 given"]
    said: Features
    of_edges: bool
    nodes: Frame
    edges: Frame
    arrays: Mapping[str, np.ndarray]
    ids: list[str] | None
    own: tuple[str, ...]
    source: str
    findings: tuple[Finding, ...]


def read_graph(source: Any, reading: Reading, description: Mapping[str, Any] | None) -> OneGraph:
    """The graph of a source; description: Nodes.to_json of the graph that was fitted, for a new one."""
    if _is_networkx(source):
        source, reading = _from_networkx(source, reading)
    if is_pyg(source):
        return _of_arrays(_pyg_arrays(source), "torch-geometric graph", reading, description, both=False)
    if isinstance(source, Mapping) and reading.edges is None:
        arrays = {str(name): _array(value, str(name)) for name, value in source.items()}
        return _of_arrays(arrays, "dict", reading, description, both="edges" in arrays)
    if isinstance(source, str | Path) and is_archive(Path(source)):
        return _of_arrays(_load(Path(source)), Path(source).name, reading, description, both=True)
    return _of_table(source, reading, description)


def is_archive(path: Path) -> bool:
    """Whether this is an .npz file that holds edges."""
    return path.suffix == ".npz" and bool(set(EDGES) & _members(path))


def is_graph(source: Any) -> bool:
    """Whether this is a graph object of torch-geometric or networkx."""
    return is_pyg(source) or _is_networkx(source)


def is_pyg(source: Any) -> bool:
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
    given = {name: getattr(data, name, None) for name in _OF_ARRAYS}
    arrays = {name: _array(value, name) for name, value in given.items() if value is not None}
    arrays.setdefault("x", np.zeros((int(data.num_nodes), 0), np.float32))
    return arrays


def _from_networkx(graph: Any, reading: Reading) -> tuple[dict[str, list[Any]], Reading]:
    """A table of the nodes' attributes, and one of the edges, by row number, with theirs."""
    place = {node: i for i, node in enumerate(graph.nodes)}
    columns = _attributes([told for _, told in graph.nodes(data=True)])
    columns = columns or {"node": [str(node) for node in graph.nodes]}
    ends = [(place[a], place[b]) for a, b, _ in graph.edges(data=True)]
    said = _attributes([told for _, _, told in graph.edges(data=True)])
    if not said or set(said) & {"source", "target"}:
        return columns, replace(reading, edges=np.array(ends, dtype=np.int64).reshape(-1, 2).T)
    sides = {"source": [a for a, _ in ends], "target": [b for _, b in ends]}
    return columns, replace(reading, edges={**sides, **said})


def _attributes(told: list[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = list(dict.fromkeys(name for each in told for name in each))
    return {str(name): [each.get(name) for each in told] for name in names}


def _of_arrays(
    arrays: Mapping[str, np.ndarray],
    name: str,
    reading: Reading,
    description: Mapping[str, Any] | None,
    *,
    both: bool,
) -> OneGraph:
    sparse = None if description is None else bool(description["sparse"])
    ends = arrays.get("edges", arrays.get("edge_index"))
    assert ends is not None
    entries = _entries(arrays)
    table = None if entries is not None else _dense(arrays, ends)
    nodes = len(entries.begin) - 1 if entries is not None else len(table)  # type: ignore[arg-type]  # one of them is
    if nodes == 0:
        raise InputError(f"{name} is an empty graph: it has no nodes.")
    if table is not None and sparse is not False and (sparse or _mostly_zero(table)):
        entries, table = Entries.of(table), None
    given = EdgeList.of(ends).placed(nodes, name)
    edges, findings = tidy_edges(given, nodes, both=both)
    sample = Nodes(edges=edges, node=np.arange(nodes), table=table, entries=entries, both=both)
    said, weight = _said(arrays, given.shape[1], name)
    label = arrays.get("edge_label")
    frame, none = Frame({} if label is None else columns_of({"edge_label": _words(label)}), name), Frame({}, name)
    usual = () if "y" in arrays else tuple(frame.columns)  # where the user names no target
    return OneGraph(
        sample=_with_said(sample, given, said, weight, "edge_weight" if weight is not None else None),
        given=given, said=said, of_edges=_asks_for_edges(reading, none, frame, usual), nodes=none, edges=frame,
        arrays=arrays, ids=None, own=(), source=name, findings=tuple(findings),
    )  # fmt: skip


def _words(label: np.ndarray) -> list[Any]:
    """Whole numbers are classes."""
    flat = label.reshape(-1)
    return [str(v) for v in flat.tolist()] if flat.dtype.kind in "iub" else list(flat.tolist())


def _said(arrays: Mapping[str, np.ndarray], edges: int, name: str) -> tuple[Features, np.ndarray | None]:
    """Features of edges, edge_attr, and behind them the weights, edge_weight; and these alone."""
    weight, tables = arrays.get("edge_weight"), []
    columns: list[Column] = []
    for part in ("edge_attr", "edge_weight"):
        table = arrays.get(part)
        if table is None:
            continue
        table = table[:, None] if table.ndim == 1 else table
        if table.ndim != 2 or table.dtype.kind not in "fiub" or len(table) != edges:
            raise InputError(
                f"{part} has shape {table.shape}, type {table.dtype}; {name} has {edges} edges.",
                fix="Expected numbers [edge, feature].",
            )
        tables.append(table.astype(np.float32))
        columns.append(Column(name=part, kind=Kind.NUMBER, features=(part,)))
    if weight is not None:
        weight = weight.reshape(-1).astype(np.float32)
        if len(weight) != edges or not (np.isfinite(weight) & (weight >= 0)).all():
            raise InputError("edge_weight is no number of at least 0 for each edge.", fix="Give it as edge_attr.")
    every = np.concatenate([np.zeros((edges, 0), np.float32), *tables], axis=1)
    return Features(columns=tuple(columns), table=every, aside={}), weight


def _with_said(
    sample: Nodes, given: np.ndarray, said: Features, weight: np.ndarray | None, weighed: str | None
) -> Nodes:
    """The nodes with what is said of their edges, if anything."""

    def for_kept(values: np.ndarray) -> np.ndarray:
        return carried(values, given, sample.edges, sample.nodes, both=sample.both)

    return replace(
        sample,
        along=for_kept(said.table) if said.table.shape[1] else None,
        weight=None if weight is None else for_kept(weight[:, None])[:, 0],
        edge_columns=said.columns,
        weighed=weighed,
    )


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


def _of_table(source: Any, reading: Reading, description: Mapping[str, Any] | None) -> OneGraph:
    if reading.edges is None:
        raise InputError("There are no edges between the nodes.", fix="Name them: edges=… (--edges edges.csv).")
    frame = load(source, header=reading.header, delimiter=reading.delimiter)
    nodes, listed = frame.rows, EdgeList.of(reading.edges)
    if nodes == 0:
        raise InputError(f"{frame.source} is an empty graph: it has no nodes.")
    names = _name_column(frame, listed) if description is None else description["names"]
    if names is not None and names not in frame.columns:
        raise InputError(f"{frame.source} lacks the column {names!r} that names its nodes.")
    ids = None if names is None else _ids(frame, names)
    given = listed.placed(nodes, frame.source, ids=ids)
    edges, findings = tidy_edges(given, nodes, both=True)
    of_edges = _asks_for_edges(reading, frame, listed.frame)
    own, said = _both_features(frame, listed.frame, given.shape[1], reading, names, description, of_edges=of_edges)
    findings += [*own.findings, *said.findings, *_unused(said.aside)]
    sparse = _mostly_zero(own.table) if description is None else bool(description["sparse"])
    sample = Nodes(
        edges=edges, node=np.arange(nodes), table=None if sparse else own.table,
        entries=Entries.of(own.table) if sparse else None, columns=own.columns, names=names,
    )  # fmt: skip
    weighed, weight = _weights(said) if description is None else _weights_again(said, description.get("weighed"))
    main, other, features = (listed.frame, frame, said) if of_edges else (frame, listed.frame, own)
    return OneGraph(
        sample=_with_said(sample, given, said, weight, weighed), given=given, said=said, of_edges=of_edges,
        nodes=frame, edges=listed.frame, arrays={}, ids=ids,
        own=(*(c.name for c in features.columns), *(name for name in other.columns if name not in main.columns)),
        source=frame.source, findings=(*frame.findings, *listed.frame.findings, *findings),
    )  # fmt: skip


def _asks_for_edges(reading: Reading, nodes: Frame, edges: Frame, default: tuple[str, ...] = ()) -> bool:
    """Whether edges are the samples: by request, or as the targets are columns of the edges and not of the nodes."""
    if reading.links or reading.data == "edges":
        return True
    wishes = reading.wishes
    targets = wishes.beside[: len(wishes.beside) - len(wishes.roles)] or default
    return bool(targets) and all(t in edges.columns and t not in nodes.columns for t in targets)


def _both_features(
    frame: Frame,
    edges: Frame,
    count: int,
    reading: Reading,
    names: str | None,
    description: Mapping[str, Any] | None,
    *,
    of_edges: bool,
) -> tuple[Features, Features]:
    """The features of the nodes, and those of the edges."""
    if description is not None:
        own = described_features(frame, frame.rows, description["columns"], "nodes")
        return own, described_features(edges, count, description.get("edge_columns", ()), "edges")
    apart = () if names is None else (names,)
    mine = wishes_of(frame, reading.wishes, edges, main=not of_edges)
    theirs = wishes_of(edges, reading.wishes, frame, main=of_edges)
    return settled_features(frame, frame.rows, mine, apart=apart), settled_features(edges, count, theirs)


def _unused(aside: Mapping[str, str]) -> list[Finding]:
    """Columns of the edges that are no features."""
    if not aside:
        return []
    shown = "; ".join(f"{name!r}: {why}" for name, why in list(aside.items())[:8])
    message = f"Columns of the edges that are not used ({shown})."
    return [Finding(kind="unused-edge-columns", where=", ".join(list(aside)[:8]), message=message, severity="notice")]


def _weights(said: Features) -> tuple[str | None, np.ndarray | None]:
    """The column "weight" of the edges, where all its values can be weights."""
    column = next((c for c in said.columns if c.name.lower() == "weight" and c.kind == Kind.NUMBER), None)
    if column is None:
        return None, None
    values = said.table[:, said.names.index(column.name)]
    usable = bool((np.isfinite(values) & (values >= 0)).all() and values.any())
    return (column.name, values) if usable else (None, None)


def _weights_again(said: Features, weighed: str | None) -> tuple[str | None, np.ndarray | None]:
    """The weights of new edges, in the column of those that were fitted."""
    if weighed is None:
        return None, None
    values = said.table[:, said.names.index(weighed)]
    if not (np.isfinite(values) & (values >= 0)).all():
        raise InputError(f"A weight of the edges in {weighed!r} is negative or missing.", fix="Correct it.")
    return weighed, values


def _ids(frame: Frame, name: str) -> list[str]:
    words = as_words(frame.columns[name])
    if len(words.levels) != frame.rows or (words.codes < 0).any():
        raise InputError(f"The column {name!r} names nodes of {frame.source} twice, or leaves some without a name.")
    return [words.levels[code] for code in words.codes]


def _name_column(frame: Frame, edges: EdgeList) -> str | None:
    """The column that names the nodes: every row another value, and the edges' ends among them. None where the ends
    are row numbers. Where several columns fit, the first; where none holds all ends, one that holds most."""
    ends = edges.names()
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
