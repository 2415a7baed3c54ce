"""What the baselines of each kind of data learn from: an expert's features, and learners of their own."""

from collections.abc import Callable
from typing import Any

from tutti.core import Splits
from tutti.data import Table
from tutti.evaluation import (
    _features_edges,
    _features_graphs,
    _features_images,
    _features_language,
    _features_nodes,
    _features_pixels,
    _features_series,
    _features_sets,
    _features_signals,
    _features_text,
)
from tutti.evaluation._inputs import Inputs as Inputs

BASELINES: dict[str, Callable[[Any, Splits], Inputs]] = {
    "images": _features_images.inputs,
    "series": _features_series.inputs,
    "signals": _features_signals.inputs,
    "text": _features_text.inputs,
    "language": _features_language.inputs,
    "nodes": _features_nodes.inputs,
    "edges": _features_edges.inputs,
    "graphs": _features_graphs.inputs,
    "sets": _features_sets.inputs,
}
"""Kind of data -> (its data.Sample, the splits) -> inputs."""


def inputs_for(table: Table, splits: Splits) -> Inputs:
    """The baselines' inputs for a table of any kind of data; no learner where its kind has none."""
    if table.sample is None:
        return Inputs(numbers=table.numbers, codes=table.codes)
    if table.task == "segmentation":
        return _features_pixels.inputs(table.sample, splits)
    if table.kind not in BASELINES:
        return Inputs(numbers=table.numbers, codes=table.codes, learners=())
    return BASELINES[table.kind](table.sample, splits)
