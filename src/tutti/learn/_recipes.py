"""Kind of data -> its default recipe."""

from tutti.core import ImageShape, InputError, Shape
from tutti.learn import (
    _recipe_edges,
    _recipe_graphs,
    _recipe_images,
    _recipe_language,
    _recipe_nodes,
    _recipe_segmentation,
    _recipe_series,
    _recipe_sets,
    _recipe_signals,
    _recipe_table,
    _recipe_text,
)
from tutti.learn._recipe import Choose, Recipe
from tutti.tasks import Task

RECIPES: dict[str, Choose] = {
    "images": _recipe_images.recipe,
    "series": _recipe_series.recipe,
    "table": _recipe_table.recipe,
    "signals": _recipe_signals.recipe,
    "sets": _recipe_sets.recipe,
    "text": _recipe_text.recipe,
    "language": _recipe_language.recipe,
    "nodes": _recipe_nodes.recipe,
    "edges": _recipe_edges.recipe,
    "graphs": _recipe_graphs.recipe,
}


def recipe_for(shape: Shape, rows: int, task: Task) -> Recipe:
    """The recipe for data of this shape, so many training rows and this task."""
    if task.kind == "segmentation" and isinstance(shape, ImageShape):
        return _recipe_segmentation.recipe(shape, rows, task)
    if shape.kind not in RECIPES:
        raise InputError(f"There is no default recipe for {shape.kind}.", fix="Name a model.")
    return RECIPES[shape.kind](shape, rows, task)
