"""`tutti predict`: one line of predictions for each line of data."""

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from tutti.cli._start import importing

GraphEdges = Annotated[
    str | None, typer.Option("--edges", help="The edges, where the data are the nodes of one graph.")
]
GraphPairs = Annotated[
    str | None,
    typer.Option("--pairs", help="The pairs of nodes that are asked about; by default each of the edges."),
]


def predict(
    run: Annotated[str, typer.Argument(help="The folder of a run.")],
    source: Annotated[str, typer.Argument(help="The data: a file, with the columns of the training data.")],
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="The file to write; by default CSV on standard output."),
    ] = None,
    edges: GraphEdges = None,
    pairs: GraphPairs = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object that says what was written; needs --out.")
    ] = False,
) -> None:
    """Predict with a saved model: a `prediction` per row, in order, and for classes `probability_CLASS`."""
    with importing():
        from tutti import learn
    from tutti.cli._json import print_json
    from tutti.core import InputError

    if as_json and out is None:
        raise InputError("--json needs a file for the predictions.", fix="Add: -o predictions.csv")
    model, data = learn.load(run), with_graph(source, edges, pairs)
    if out is not None:
        rows = model.write_predictions(data, out)
        if as_json:
            print_json({"run": run, "source": source, "out": out, "rows": rows})
        return
    with TemporaryDirectory(prefix="tutti-") as folder:
        path = Path(folder, "predictions.csv")
        model.write_predictions(data, path)
        with path.open("r", encoding="utf8", newline="") as file:
            shutil.copyfileobj(file, sys.stdout)


def with_graph(source: str, edges: str | None, pairs: str | None) -> Any:
    """The data with the rest of their graph, where it is given: (nodes, edges) or (nodes, edges, pairs)."""
    if pairs is not None:
        return source, edges, pairs
    return source if edges is None else (source, edges)
