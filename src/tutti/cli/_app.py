"""The application: its name, its version, its commands."""

from typing import Annotated

import typer

from tutti import __version__
from tutti.cli._check import check
from tutti.cli._evaluate import evaluate
from tutti.cli._fit import fit
from tutti.cli._inspect import inspect
from tutti.cli._lab import lab
from tutti.cli._optimizers import optimizers
from tutti.cli._predict import predict
from tutti.cli._report import report
from tutti.cli._rerun import rerun
from tutti.cli._sample import sample

app = typer.Typer(
    name="tutti",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"tutti {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Any data, one call: a tuned, cross-validated, honest neural network.

    Start with: tutti fit digits
    """


for command in (fit, predict, sample, evaluate, report, rerun, inspect, check, optimizers):
    app.command()(command)
app.add_typer(lab, name="lab")
