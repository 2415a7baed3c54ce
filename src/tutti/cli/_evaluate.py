"""`tutti evaluate`: how good a saved model is on other data."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from tutti.cli._predict import GraphEdges, GraphPairs, with_graph
from tutti.cli._start import importing


def evaluate(
    run: Annotated[str, typer.Argument(help="The folder of a run.")],
    source: Annotated[str, typer.Argument(help="The data: a file with the target column.")],
    edges: GraphEdges = None,
    pairs: GraphPairs = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as one JSON object.")] = False,
) -> None:
    """Judge a saved model on data that it has not seen: each score with its 95 % interval."""
    with importing():
        from tutti import learn
    from tutti.cli._json import print_json

    scores = learn.load(run).evaluate(with_graph(source, edges, pairs))
    if as_json:
        print_json(scores)
    else:
        _show(scores)


def _show(scores: Mapping[str, Any]) -> None:
    from rich import box
    from rich.table import Table

    from tutti.cli._observers import console
    from tutti.cli._text import clean, interval, number

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    table.add_column(f"{scores['rows']:,} rows")
    table.add_column("score", justify="right")
    table.add_column("95 % interval")
    ordered = sorted(scores["metrics"], key=lambda score: bool(score["metric"] != scores["metric"]))
    for score in ordered:  # first what the model was chosen by
        table.add_row(clean(score["metric"]), number(score["value"]), interval(score["low"], score["high"]))
    console(to_stderr=False).print(table)
