"""One sample where several are usual: new data for a model may be one image, signal, text, graph or set."""

from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from tutti.core import InputError
from tutti.data._images_arrays import is_array


def several_of(source: Any, description: Mapping[str, Any]) -> Any:
    """A source of one sample as a list of one; others as they are. description: of the samples that a model was
    fitted on (Sample.to_json), which says what one sample is."""
    kind, shape = str(description["kind"]), description["shape"]
    if kind == "text" and isinstance(source, str):
        return _texts(source)
    if kind == "graphs" and not isinstance(source, str | Path | list | tuple) and _is_graph(source):
        return [source]
    if kind == "signals" and (_axes(source) == 1 or _are_numbers(source)):
        return [np.asarray(source) if isinstance(source, list | tuple) else source]
    if kind == "signals" and _axes(source) == 2 and shape["channels"] > 1 and len(source) == shape["channels"]:
        return [source]  # rows of one channel each would not do
    if kind == "sets" and _axes(source) == 2 and description.get("key") is None:
        return [source]
    if kind == "images" and _axes(source) == 3 and shape["channels"] == 3 and 3 in (source.shape[0], source.shape[2]):
        return source[None]  # grey images would not do
    return source


def _axes(source: Any) -> int:
    return int(source.ndim) if is_array(source) else 0


def _are_numbers(source: Any) -> bool:
    return isinstance(source, list | tuple) and bool(source) and all(isinstance(each, Real) for each in source)


def _is_graph(source: Any) -> bool:
    """A torch-geometric Data, a dict of its parts, or a networkx graph."""
    if isinstance(source, Mapping):
        return "edge_index" in source
    return hasattr(source, "edge_index") or (hasattr(source, "adj") and hasattr(source, "is_directed"))


def _texts(source: str) -> Any:
    """A string: the name of a file or folder that is there, or of one that is not, else one text."""
    try:
        if Path(source).exists():
            return source
    except (OSError, ValueError):  # longer than a name may be, or of letters that none has
        return [source]
    if len(source.split()) > 1 and not (1 < len(Path(source).suffix) < 9 and " " not in Path(source).suffix):
        return [source]
    if len(source.split()) == 1 and not Path(source).suffix and Path(source).name == source:
        raise InputError(f"There is no file {source!r}.", fix=f"A text is given in a list: [{source!r}].")
    return source
