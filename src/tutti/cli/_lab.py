"""`tutti lab`: the courses' experiments, each with its claim and its measured answer."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tutti.lab import Palindrome

lab = typer.Typer(no_args_is_help=True, help="Experiments of the courses, each with its claim and its answer.")


@lab.callback()
def about() -> None:
    """Experiments of the courses, each with its claim and its measured answer."""


@lab.command()
def palindrome(
    lengths: Annotated[str, typer.Option(help="Shortest and longest sequence, such as 1-10.")] = "1-10",
    seeds: Annotated[int, typer.Option(help="Networks of each kind and rate.")] = 3,
    steps: Annotated[int, typer.Option(help="Steps of 64 sequences.")] = 1_200,
    networks: Annotated[str, typer.Option(help="Which ones, with commas between.")] = "rnn,gated,lstm",
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Is a sequence a palindrome? An Elman network, gated units and an LSTM, as one population each."""
    from tutti import lab as experiments
    from tutti.cli._json import print_json
    from tutti.cli._observers import console

    screen = console(to_stderr=True)
    screen.print(experiments.CLAIM)
    result = experiments.palindrome(
        networks=[name.strip() for name in networks.split(",")],
        lengths=_lengths(lengths),
        seeds=seeds,
        steps=steps,
        threads=threads,
    )
    if as_json:
        print_json(result.to_json())
    else:
        _show(result)


def _lengths(given: str) -> tuple[int, int]:
    """ "1-10" as (1, 10), "7" as (1, 7)."""
    from tutti.core import InputError

    low, dash, high = given.strip().partition("-")
    try:
        return (int(low), int(high)) if dash else (1, int(low))
    except ValueError:
        raise InputError(
            f"--lengths is {given!r}; expected two whole numbers.", fix="For example: --lengths 1-10"
        ) from None


def _show(result: "Palindrome") -> None:
    from rich.table import Table

    from tutti.cli._observers import console
    from tutti.cli._plot import plot

    screen = console(to_stderr=False)
    low, high = result.lengths
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("Network", "Weights", "Rate", "Wrong", "Seeds", f"Length {high}", "Near misses", "Time"):
        table.add_column(name, justify="left" if name == "Network" else "right")
    for each in result.networks:
        table.add_row(
            each.network,
            f"{each.weights:,}",
            f"{each.rate:g}",
            f"{each.error:.1%}",
            f"{each.low:.1%} to {each.high:.1%}",
            f"{each.by_length.get(high, float('nan')):.1%}",
            f"{each.near:.1%}",
            f"{each.seconds:.0f} s",
        )
    screen.print(table)
    screen.print()
    curves = {each.network: each.curve for each in result.networks}
    for line in plot(curves, x_label="sequences seen", y_label="Wrong answers"):
        screen.print(line)
    screen.print()
    screen.print(result.answer)
    screen.print(
        f"Lengths {low} to {high}, {result.steps:,} steps of 64 sequences, {result.seeds} seeds, "
        f"{result.seconds:.0f} s. Near misses: half of the sequences differ from a palindrome in one symbol."
    )
