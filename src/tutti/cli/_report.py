"""`tutti report`: one self-contained page about a run."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[str, typer.Argument(help="The folder of a run.")],
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="The page to write; RUN/report.html by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print where the page is, as one JSON object.")] = False,
) -> None:
    """Write a page about a run: what was read, how it was judged, every score, figure and finding."""
    from tutti import learn
    from tutti.cli._json import print_json
    from tutti.cli._text import clean

    page = out or str(Path(run, "report.html"))
    learn.load(run).report(page)
    if as_json:
        print_json({"run": run, "report": page})
    else:
        typer.echo(clean(f"Report: {page}"))
