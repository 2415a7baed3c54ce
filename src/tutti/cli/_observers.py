"""Who watches a fit: a live display on a terminal, plain lines in a log, or nobody."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console

from tutti.cli._text import clean, quoted
from tutti.core import Interrupted, Observer
from tutti.runs import Run


def console(*, to_stderr: bool) -> Console:
    """A console that takes every string as it is: no markup, no emoji codes, no highlighting."""
    return Console(stderr=to_stderr, markup=False, highlight=False, emoji=False)


def is_live(screen: Console) -> bool:
    """Whether the display may redraw itself: a real terminal, not a log, a pipe, a notebook or a build server."""
    attended = screen.file.isatty() and screen.is_terminal
    return attended and not screen.is_dumb_terminal and not screen.is_jupyter and "CI" not in os.environ


@contextmanager
def observe(*, to_stderr: bool, quiet: bool, reading: str) -> Iterator[Observer]:
    """The observer that fits the place, closed at the end. A Ctrl-C that ends all becomes exit code 130."""
    screen = console(to_stderr=to_stderr)
    try:
        if quiet:
            yield Observer()
        elif is_live(screen):
            from tutti.cli._live import LiveObserver

            with LiveObserver(screen, reading=reading) as live:
                yield live
        else:
            from tutti.cli._log import LogObserver

            yield LogObserver(screen)
    except Interrupted as stop:
        say_saved(stop.folder, "Interrupted before it was judged. The model")
        raise typer.Exit(130) from stop
    except KeyboardInterrupt as stop:
        warn = console(to_stderr=True)
        warn.print("Stopped before there was a model to save.")
        warn.print("A run that had begun to train goes on with: tutti fit --resume FOLDER")
        raise typer.Exit(130) from stop


def stop_if_interrupted(run: Path | None) -> None:
    """After a Ctrl-C that let the fit end with the best so far: says how to go on, and exits."""
    if run is None or Run.open(run).status != "interrupted":
        return
    say_saved(run, "Interrupted. The best so far")
    raise typer.Exit(130)


def say_saved(run: Path, what: str) -> None:
    """Says what an interrupted run has saved, and how to go on."""
    screen = console(to_stderr=True)
    folder = clean(str(run))
    screen.print(f"{what} is saved in {folder} and may be used.", soft_wrap=True)
    screen.print(f"Go on with: tutti fit --resume {quoted(folder)}", soft_wrap=True)
