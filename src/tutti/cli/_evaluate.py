"""`tutti evaluate`: how good a saved model is on other data."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer


def evaluate(
    run: Annotated[str, typer.Argument(help="The folder of a run.")],
    source: Annotated[str, typer.Argument(help="The data: a file with the target column.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as one JSON object.")] = False,
) -> None:
    """Judge a saved model on data that it has not seen: each score with its 95 % interval."""
    from tutti import learn
    from tutti.cli._json import print_json

    scores = learn.load(run).evaluate(source)
    if as_json:
        print_json(scores)
    else:
        _show(scores)


def _show(scores: Mapping[str, Any]) -> None:
    from rich import box
    from rich.table import Table

    from tutti.cli._observers import console
    from tutti.cli._text import clean, interval, number

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for name in ("metric", "value", "95 % interval", "rows"):
        table.add_column(name, justify="right" if name in ("value", "rows") else "left")
    for score in [scores, *scores.get("metrics", ())]:
        if score is scores or score["metric"] != scores["metric"]:
            between = interval(score.get("low"), score.get("high"))
            table.add_row(
                clean(score["metric"]), number(score["value"]), between, f"{score.get('n', scores.get('n', '-'))}"
            )
    console(to_stderr=False).print(table)
