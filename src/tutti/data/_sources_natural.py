"""Sources as notebooks hold them, brought into the forms that readers know: pairs, lists, dicts of columns."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from tutti.core import InputError
from tutti.data._images_arrays import is_array, looks_like_images, shaped
from tutti.data._images_folder import is_image
from tutti.data._images_library import MASKS, is_picture, is_torchvision
from tutti.data._images_npz import LABELS, PIXELS, taken_apart
from tutti.data._signals_read import SAMPLES
from tutti.data._sources_library import PARTS, in_parts, is_dataset, refuse_audio
from tutti.data._texts_read import are_strings, is_free_text

_OTHER = ("table", "graphs", "nodes", "edges", "series", "language", "sets")  # their readers take dicts as they are


def natural(source: Any, kind: str | None, *, classes: Collection[str] | None) -> Any:
    """The same samples in a form that the readers know; a source that is none of these comes back as it is.

    - A DataLoader is its dataset; a torch dataset whose items are (sample, label), a TensorDataset, and a list of
      such pairs become (samples, labels), numbers of named classes as the names.
    - A torch-geometric Batch, and networkx graphs in a list, become lists of graphs; so do pairs of them and y.
    - A list of dicts (records) becomes a dict of columns.
    - {class: samples} of images, texts or signals becomes (samples, class names).

    kind: of data, where it is known. classes: those of the target, by which dicts of new data are known to go by
    class; None where they are unknown: then by what the dict holds. Empty where the target has another name.
    """
    if hasattr(source, "collect"):  # a lazy frame, which warns where it is asked for its columns
        return source
    refuse_audio(source)
    source = _opened(source)
    if isinstance(source, tuple) and len(source) == 2:
        samples = _plain(_opened(source[0]))
        return _labelled_graphs(samples, source[1]) if _are_graphs(samples) else (samples, source[1])
    if isinstance(source, list) and source:
        source = _plain(_from_records(_from_pairs(source)))
    if isinstance(source, Mapping) and kind not in _OTHER and _by_class(source, kind, classes):
        names = [str(name) for name, values in source.items() for _ in range(len(values))]
        return _joined(list(source.values())), names
    return source


def _opened(source: Any) -> Any:
    """What a loader, a dataset of torch or a batch of graphs holds."""
    if hasattr(source, "dataset") and hasattr(source, "batch_sampler"):
        source = source.dataset
    if hasattr(source, "to_data_list") and hasattr(source, "num_graphs"):
        return source.to_data_list()
    tensors = getattr(source, "tensors", None)
    if isinstance(tensors, tuple) and len(tensors) in (1, 2):
        return tensors if len(tensors) == 2 else tensors[0]
    listed = getattr(source, "samples", None)
    if isinstance(listed, list) and listed and isinstance(listed[0], tuple) and is_image(Path(str(listed[0][0]))):
        return [path for path, _ in listed], _class_names([label for _, label in listed], source)
    return _items(source)


def _items(source: Any) -> Any:
    """A dataset of torch (whatever has a length and numbered items) as (samples, labels)."""
    known = isinstance(source, str | bytes | Path | Mapping | list | tuple) or is_torchvision(source)
    other = any(hasattr(source, name) for name in ("dtype", "shape", "columns", "column_names", "nodes"))
    if known or other or not (hasattr(source, "__getitem__") and hasattr(source, "__len__")):
        return source
    try:
        if not (len(source) and _is_pair(source[0])):
            return source
    except Exception:  # items by name, or what another library raises
        return source
    samples, labels = zip(*(source[i] for i in range(len(source))), strict=True)
    return _stacked(list(samples)), _class_names(list(labels), source)


def _is_pair(item: Any) -> bool:
    """Whether this is a sample and its label (or its mask)."""
    if not isinstance(item, tuple | list) or len(item) != 2:
        return False
    sample, label = item
    if is_picture(sample) and is_picture(label):
        return True
    whole = is_picture(sample) or (is_array(sample) and sample.ndim > 0)
    named = isinstance(sample, str | Path) and (is_image(Path(sample)) or len(str(sample).split()) > 1)
    single = isinstance(label, str | int | float | np.generic) or (is_array(label) and label.ndim == 0)
    return (whole or named) and single


def _from_pairs(source: list[Any]) -> Any:
    if not all(isinstance(item, tuple) and _is_pair(item) for item in source):
        return source
    samples, labels = zip(*source, strict=True)
    if isinstance(samples[0], str) and not is_image(Path(samples[0])) and not is_free_text(samples[:100]):
        return source  # a table of two columns of words
    return _stacked(list(samples)), _class_names(list(labels), None)


def _class_names(labels: list[Any], source: Any) -> list[Any]:
    """Plain values; numbers of classes as the names that a dataset (or that of which it is a part) gives them."""
    if is_picture(labels[0]):
        return labels
    plain: list[Any] = [
        label.item() if isinstance(label, Tensor | np.generic | np.ndarray) else label for label in labels
    ]
    names = getattr(source, "classes", None) or getattr(getattr(source, "dataset", None), "classes", None)
    whole = all(isinstance(label, int) and not isinstance(label, bool) for label in plain)
    if isinstance(names, list | tuple) and whole and min(plain) >= 0 and max(plain) < len(names):
        return [str(names[label]) for label in plain]
    return plain


def _stacked(samples: list[Any]) -> Any:
    """One array where all samples are arrays of one shape and type."""
    together = shaped(samples) if all(is_array(each) for each in samples) else None
    return samples if together is None else together


def _from_records(source: Any) -> Any:
    """Dicts with the same names as a dict of columns; graphs stay as they are."""
    if not isinstance(source, list) or not all(isinstance(each, Mapping) for each in source):
        return source
    if "edge_index" in source[0] or len({frozenset(each) for each in source}) > 1:
        return source
    return {name: [each[name] for each in source] for name in source[0]}


def _plain(source: Any) -> Any:
    """A list of networkx graphs as dicts of arrays, a series of PIL images or of image files as a list."""
    if isinstance(source, list) and source and all(_is_networkx(each) for each in source):
        return [_graph(each) for each in source]
    if hasattr(source, "iloc") and not hasattr(source, "columns") and len(source):
        first = source.iloc[0]
        if is_picture(first) or (isinstance(first, str | Path) and is_image(Path(first))):
            return list(source)
    return source


def _is_networkx(source: Any) -> bool:
    return hasattr(source, "adj") and hasattr(source, "is_directed") and hasattr(source, "nodes")


def _graph(graph: Any) -> dict[str, Any]:
    """A networkx graph: numbers that its nodes, and its edges, have as features, and its own attributes beside them;
    edges of an undirected one go both ways."""
    place = {node: i for i, node in enumerate(graph.nodes)}
    ends = [(place[a], place[b], told) for a, b, told in graph.edges(data=True)]
    if not graph.is_directed():
        ends += [(b, a, told) for a, b, told in ends if a != b]
    found: dict[str, Any] = {"num_nodes": len(place), **graph.graph}
    found["edge_index"] = np.array([end[:2] for end in ends], np.int64).reshape(-1, 2).T
    for name, told in (("x", [t for _, t in graph.nodes(data=True)]), ("edge_attr", [end[2] for end in ends])):
        keys = sorted({key for each in told for key in each}, key=str)
        if not told or not keys:
            continue
        lacking = next((key for key in keys for each in told if key not in each), None)
        if lacking is not None:
            raise InputError(
                f"The attribute {lacking!r} is missing from some nodes or edges of a networkx graph.",
                fix="Give it to all of them, or to none.",
            )
        cells = [np.concatenate([np.ravel(each[key]) for key in keys]) for each in told]
        if any(cell.dtype.kind not in "fiub" for cell in cells):
            raise InputError(
                f"The attributes {', '.join(map(repr, keys))} of a networkx graph hold more than numbers.",
                fix="Give numbers: a category as one column of 0 and 1 for each value.",
            )
        found[name] = np.stack(cells)
    return found


def _are_graphs(source: Any) -> bool:
    if not isinstance(source, list | tuple) or not source:
        return False
    return all("edge_index" in each if isinstance(each, Mapping) else hasattr(each, "edge_index") for each in source)


def _labelled_graphs(graphs: Sequence[Any], target: Any) -> list[dict[str, Any]]:
    """Graphs as dicts, each with its own part of the target as "y"."""
    if len(target) != len(graphs):
        raise InputError(f"There are {len(graphs):,} graphs and {len(target):,} labels.", fix="Give one each.")
    rows = target.tolist() if isinstance(target, Tensor | np.ndarray) else list(target)
    each = [dict(g) if isinstance(g, Mapping) else {str(k): v for k, v in g.to_dict().items()} for g in graphs]
    return [{**graph, "y": row} for graph, row in zip(each, rows, strict=True)]


def _by_class(source: Mapping[Any, Any], kind: str | None, classes: Collection[str] | None) -> bool:
    """Whether a dict goes by class: each of its values is a list or an array of samples of the same kind."""
    if not source or in_parts(source) or any(is_dataset(each) for each in source.values()):
        return False
    values = list(source.values())
    if any(not (isinstance(each, list | tuple) or is_array(each)) or not len(each) for each in values):
        return False
    if classes is not None:
        return {str(name) for name in source} <= set(classes)
    named = {*PIXELS, *LABELS, *SAMPLES, *MASKS, *PARTS, "counts", "edges", "edge_index"}
    if len(source) < 2 or any(str(name).lower() in named or taken_apart(str(name))[0] for name in source):
        return False
    if all(_are_images(each) for each in values):
        return True
    if all(are_strings(each) for each in values):
        unequal = len({len(each) for each in values}) > 1  # no table has such columns
        return unequal or all(is_free_text(list(each[:100])) for each in values)
    return all(_are_signals(each, asked=kind == "signals") for each in values)


def _are_images(values: Any) -> bool:
    if is_array(values):
        return looks_like_images(values)
    first = values[0]
    if isinstance(first, str | Path):
        return all(isinstance(each, str | Path) and is_image(Path(each)) for each in values)
    return is_picture(first) or (is_array(first) and looks_like_images(first[None]))


def _are_signals(values: Any, *, asked: bool) -> bool:
    """Arrays [row, channel, time] of floats, or lists of [time]; where they are asked for, of any shape."""
    if is_array(values):
        return (values.ndim == 3 and "float" in str(values.dtype)) or (asked and values.ndim > 1)
    if np.ndim(values[0]) == 0:  # a column of a table, which may be long
        return False
    axes = {np.ndim(each) for each in values}
    return axes == {1} or (asked and axes == {2})


def _joined(values: list[Any]) -> Any:
    """Samples of several lists or arrays in one."""
    if all(is_array(each) for each in values) and len({tuple(each.shape[1:]) for each in values}) == 1:
        return np.concatenate([each.detach().cpu().numpy() if isinstance(each, Tensor) else each for each in values])
    return [sample for each in values for sample in each]
