"""`tutti rerun`: the same run once more, compared with the first."""

from typing import Annotated

import typer


def rerun(
    run: Annotated[str, typer.Argument(help="The folder of a run.")],
    out: Annotated[str | None, typer.Option("--out", "-o", help="A new folder for the second run.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result and the comparison as one JSON object.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show nothing while it works.")] = False,
) -> None:
    """Repeat a run from its folder alone, and say whether the numbers are the same."""
    from tutti.cli._json import print_json, summary
    from tutti.cli._observers import console, observe
    from tutti.cli._text import number

    with observe(to_stderr=as_json, quiet=quiet, reading=run) as observer:
        from tutti import learn

        again, comparison = learn.rerun(run, out=out, observer=observer)
    if as_json:
        print_json(summary(again.result) | {"comparison": comparison})
        return
    before, after = (number(value) for value in comparison["score"])
    same = "the same, bit for bit" if comparison["identical"] else "not the same"
    screen = console(to_stderr=False)
    screen.print(
        f"The numbers are {same}: largest difference of a prediction {comparison['largest_difference']:.3g};"
    )
    screen.print(f"score {after}, before {before}.")
