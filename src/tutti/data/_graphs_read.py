"""The reader of many graphs: collections in text files, molecules, lists of graphs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tutti.core import Finding, InputError, InputTypeError
from tutti.data import _graphs_tu, _molecules
from tutti.data._declared import find
from tutti.data._graphs import Graph, Graphs, assemble
from tutti.data._reading import Reading
from tutti.data._sample import Found
from tutti.data._sources import as_array, load
from tutti.data._values import as_words

SCAFFOLD = "scaffold"
DEGREES = 100  # of nodes that say nothing else; larger ones count as this


class GraphReader:
    """Reads many graphs.

    - A folder of TU Dortmund's text files (NAME_A.txt, NAME_graph_indicator.txt, …), or the one-file form
      NAME.txt: per graph "nodes label", then per node "tag degree neighbours…". The target is "label".
    - A table with a column of molecules, `smiles`. A column "scaffold" (Bemis & Murcko) is there for groups;
      of molecules without a ring it is the carbon skeleton.
    - A list (or data set) of torch-geometric Data, or of dicts {"x": [node, feature], "edge_index": [2, edge],
      "edge_attr": [edge, feature], "y": …}: further single values, or arrays of one, become columns.

    Features of whole numbers are categories where they are tags; those of "x" and "edge_attr" are numbers. Nodes
    without any feature have their degree (up to 100) as a category. Edges go as they stand (TU's and molecules' hold
    both directions); loops and repetitions are left out.
    """

    kind = "graphs"

    def claims(self, source: Any, reading: Reading) -> bool:
        if isinstance(source, str | Path):
            return _graphs_tu.is_folder(Path(source)) or _graphs_tu.is_one_file(Path(source))
        return _is_collection(source)

    def read(self, source: Any, reading: Reading) -> Found:
        return _read(source, reading, None)

    def encode(self, description: Mapping[str, Any], source: Any, reading: Reading) -> Found:
        return _read(source, reading, description)


def _read(source: Any, reading: Reading, description: Mapping[str, Any] | None) -> Found:
    told = {} if description is None else dict(description["source"])
    if reading.smiles is not None or told.get("smiles") is not None:
        return _from_smiles(source, reading, description)
    name, findings = "graphs", []
    columns: dict[str, Sequence[Any]]
    if isinstance(source, str | Path):
        path = Path(source)
        name = path.name
        if _graphs_tu.is_folder(path):
            graphs, labels, name = _graphs_tu.read_folder(path)
        elif _graphs_tu.is_one_file(path):
            graphs, labels = _graphs_tu.read_one_file(path)
        else:
            raise InputError(f"{path} holds no graphs.", fix="Molecules need their column: smiles=… (--smiles).")
        columns, targets = {"label": labels}, ["label"]
    elif _is_collection(source):
        graphs, columns = _from_list(source)
        targets = ["y"] if "y" in columns else []
    else:
        raise InputTypeError(
            f"A {type(source).__name__} is no collection of graphs.",
            fix='Give a list of dicts {"x": …, "edge_index": …, "y": …} or of torch-geometric Data.',
        )
    if not graphs:
        raise InputError(f"{name} holds no graph.")
    graphs, columns, more = _without_empty(graphs, columns, name, reading)
    findings += more
    if description is None:
        findings += _odd_edges(graphs)
    bare = bool(told["degree"]) if told else _says_nothing(graphs)
    if bare:
        graphs = [_with_degree(graph) for graph in graphs]
        if description is None:
            findings.append(_bare())
    sample = _assembled(graphs, description, {"smiles": None, "degree": bare}, name)
    columns = columns or {"graph": list(range(len(graphs)))}
    return Found(sample=sample, columns=columns, targets=tuple(targets), source=name, findings=tuple(findings))


def _assembled(
    graphs: Sequence[Graph],
    description: Mapping[str, Any] | None,
    source: Mapping[str, Any],
    name: str,
    labels: Sequence[str] = (),
    smiles: Sequence[str] | None = None,
) -> Graphs:
    """The graphs as samples; new ones with the values, and as many features, as those that were fitted."""
    if description is None:
        sample = assemble(graphs, labels=labels, source=source, smiles=smiles)
        if not labels and sample.values:
            sample = replace(sample, labels=tuple(map(str, sample.values[0])))
        return sample
    values, edge_values = description["values"], description["edge_values"]
    shape, like = description["shape"], graphs[0]
    wanted = (shape["features"], len(values), shape["edge_features"], len(edge_values))
    found = (
        like.numbers.shape[1], like.marks.shape[1], like.edge_numbers.shape[1], like.edge_marks.shape[1],
    )  # fmt: skip
    if wanted != found:
        raise InputError(
            f"{name}: nodes have {found[0]} numbers and {found[1]} categories, edges {found[2]} and {found[3]}; the "
            f"model was fitted on {wanted[0]}, {wanted[1]}, {wanted[2]} and {wanted[3]}.",
            fix="Give the same features in the same order.",
        )
    return assemble(
        graphs, values=values, edge_values=edge_values, labels=description["labels"], source=source, smiles=smiles
    )


def _without_empty(
    graphs: list[Graph], columns: dict[str, Sequence[Any]], name: str, reading: Reading
) -> tuple[list[Graph], dict[str, Sequence[Any]], list[Finding]]:
    """Graphs that have a node; an empty one ends the reading, unless they are to be skipped."""
    empty = {i for i, graph in enumerate(graphs) if graph.nodes == 0}
    if not empty:
        return graphs, columns, []
    if not reading.skip:
        raise InputError(
            f"Graph {min(empty)} of {name} is empty: it has no nodes ({len(empty)} such).",
            fix="Leave it out, or let all of them be left out: skip=True (--skip).",
        )
    kept = [i for i in range(len(graphs)) if i not in empty]
    message = f"{len(empty)} graphs without nodes are left out (the first is graph {min(empty)})."
    found = Finding(kind="skipped", where=name, message=message)
    return [graphs[i] for i in kept], {k: [v[i] for i in kept] for k, v in columns.items()}, [found]


def _odd_edges(graphs: Sequence[Graph]) -> list[Finding]:
    """Notices of what assemble leaves out (loops, repetitions), and of nodes without an edge."""
    loops, again, alone = (np.zeros(len(graphs), np.int64) for _ in range(3))
    for place, graph in enumerate(graphs):
        source, target = graph.edges[:, graph.edges[0] != graph.edges[1]]
        loops[place] = graph.edges.shape[1] - len(source)
        again[place] = len(source) - len(np.unique(source * graph.nodes + target))
        alone[place] = graph.nodes - len(np.union1d(source, target))
    nodes = sum(graph.nodes for graph in graphs)
    found = []
    for kind, counts, what, why in (
        ("self-loops", loops, "", "from a node to itself; left out."),
        ("repeated-edges", again, "", "between nodes that an edge joins already; left out, with what they say."),
        ("isolated-nodes", alone, f" of {nodes:,} nodes", "without an edge; their own features are all they have."),
    ):
        count, where = int(counts.sum()), int((counts > 0).sum())
        if count:
            what = what or (" edge" if count == 1 else " edges")
            message = f"{count:,}{what}, in {where:,} of {len(graphs):,} graphs, {why}"
            found.append(Finding(kind=kind, where="edges", message=message, severity="notice"))
    return found


def _says_nothing(graphs: Sequence[Graph]) -> bool:
    """Whether nodes have no numbers, and no mark that differs between any two."""
    if graphs[0].numbers.shape[1]:
        return False
    marks = np.concatenate([graph.marks for graph in graphs])
    return marks.shape[1] == 0 or bool((marks == marks[0]).all())


def _with_degree(graph: Graph) -> Graph:
    degree = np.bincount(graph.edges[1], minlength=graph.nodes).clip(max=DEGREES)
    return replace(graph, marks=degree.astype(np.int64)[:, None])


def _bare() -> Finding:
    message = "Nodes say nothing of themselves: their degree, as a category, stands for their features."
    return Finding(kind="no-node-features", where="nodes", message=message, severity="notice")


def _is_collection(source: Any) -> bool:
    """A list, or whatever has a length and items, of graphs."""
    if isinstance(source, str | bytes | Path | Mapping | np.ndarray) or not hasattr(source, "__getitem__"):
        return False
    if hasattr(source, "columns") or hasattr(source, "detach"):
        return False
    try:
        first = source[0]
    except (IndexError, KeyError, TypeError, ValueError):
        return False
    return "edge_index" in first if isinstance(first, Mapping) else hasattr(first, "edge_index")


def _from_list(source: Any) -> tuple[list[Graph], dict[str, Sequence[Any]]]:
    graphs, told = [], []
    for number in range(len(source)):
        item = source[number]
        given = dict(item) if isinstance(item, Mapping) else {str(k): v for k, v in item.to_dict().items()}
        graphs.append(_from_dict(given, number))
        told.append({k: v for k, v in given.items() if k not in ("x", "edge_index", "edge_attr", "num_nodes")})
    widths = {(g.numbers.shape[1], g.edge_numbers.shape[1]) for g in graphs}
    if len(widths) > 1:
        raise InputError(f"The graphs have unequal numbers of (node, edge) features: {sorted(widths)}.")
    columns: dict[str, Sequence[Any]] = {}
    for name in dict.fromkeys(key for each in told for key in each):
        values = [_single(each.get(name)) for each in told]
        width = max(len(v) for v in values)
        if width == 1 and all(len(v) <= 1 for v in values):
            columns[name] = [v[0] if v else None for v in values]
        elif name == "y" and len({len(v) for v in values}) == 1:
            columns |= {f"y{i}": [v[i] for v in values] for i in range(width)}
    return graphs, columns


def _single(value: Any) -> list[Any]:
    """A value as a list of plain ones; what is no value (positions of nodes, names of files) as none."""
    if value is None:
        return []
    if isinstance(value, str | int | float | bool):
        return [value]
    array = as_array(value)
    return [] if array is None or array.size > 1000 else array.reshape(-1).tolist()


def _from_dict(given: Mapping[str, Any], number: int) -> Graph:
    ends = np.zeros((2, 0), np.int64) if given.get("edge_index") is None else as_array(given["edge_index"])
    if ends is None or (ends.size and (ends.ndim != 2 or ends.shape[0] != 2)):
        raise InputError(
            f"The edge_index of graph {number} is no array [2, edges].", fix="Transpose a list of pairs."
        )
    ends = ends.reshape(2, -1).astype(np.int64)
    x, along = (None if given.get(name) is None else as_array(given[name]) for name in ("x", "edge_attr"))
    if x is None:
        nodes = int(given["num_nodes"]) if given.get("num_nodes") is not None else int(ends.max(initial=-1)) + 1
        x = np.zeros((nodes, 0))
    x = x[:, None] if x.ndim == 1 else x
    along = np.zeros((ends.shape[1], 0)) if along is None else along[:, None] if along.ndim == 1 else along
    if len(along) != ends.shape[1]:
        raise InputError(f"Graph {number} has {ends.shape[1]} edges, and features of {len(along)}.")
    graph = Graph(
        numbers=x.astype(np.float32),
        marks=np.zeros((len(x), 0), np.int64),
        edges=ends,
        edge_numbers=along.astype(np.float32),
        edge_marks=np.zeros((ends.shape[1], 0), np.int64),
    )
    return _graphs_tu.checked(graph, number, "the list")


def _from_smiles(source: Any, reading: Reading, description: Mapping[str, Any] | None) -> Found:
    frame = load(source, header=reading.header, delimiter=reading.delimiter)
    told = {} if description is None else description["source"]
    column = find(frame, reading.smiles if reading.smiles is not None else told["smiles"])
    words = as_words(frame.columns[column])
    smiles = [words.levels[code] if code >= 0 else None for code in words.codes]
    molecules, bad = _molecules.parse_smiles(smiles)
    findings = list(frame.findings)
    if bad:
        findings.append(_unparsed(column, smiles, bad, reading))
        kept = np.setdiff1d(np.arange(len(smiles)), bad)
        frame.columns = {name: values.take(kept) for name, values in frame.columns.items()}
        smiles, molecules = [smiles[i] for i in kept], [molecules[i] for i in kept]
    if not molecules:
        raise InputError(f"{frame.source} holds no molecule in the column {column!r}.")
    beside = {name: values for name, values in frame.columns.items() if name != column}
    grouped = bool(told.get(SCAFFOLD)) or SCAFFOLD in (str(name) for name in reading.wishes.beside)
    grouped = grouped and SCAFFOLD not in beside
    if grouped:
        beside[SCAFFOLD] = [_molecules.scaffold(molecule) for molecule in molecules]
    graphs = [_molecules.graph_of(molecule) for molecule in molecules]
    about = {"smiles": column, "degree": False, SCAFFOLD: grouped}
    labels: tuple[str, ...] = ()
    if description is None:
        labels = tuple(_molecules.element(int(n)) for n in np.unique(np.concatenate([g.marks[:, 0] for g in graphs])))
    sample = _assembled(graphs, description, about, frame.source, labels, [str(text) for text in smiles])
    return Found(
        sample=sample, columns=beside or {"molecule": smiles}, targets=frame.targets, source=frame.source,
        findings=tuple(findings), own=(column,),
    )  # fmt: skip


def _unparsed(column: str, smiles: Sequence[str | None], bad: Sequence[int], reading: Reading) -> Finding:
    """Names the rows whose SMILES are none; an error, unless they are to be skipped."""
    shown = ", ".join(f"row {row} ({(smiles[row] or '')[:40]!r})" for row in bad[:5])
    more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
    problem = f"{len(bad)} of {len(smiles)} SMILES in {column!r} do not parse: {shown}{more} (rows count from 0)."
    if not reading.skip:
        raise InputError(problem, fix="Correct them, or leave these rows out: skip=True (--skip).")
    return Finding(kind="skipped", where=column, message=f"{problem} These rows are left out.")
