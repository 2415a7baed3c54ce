"""Who watches a fit: a live display on a terminal, plain lines in a log, or nobody."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from tutti.cli._text import clean, quoted
from tutti.core import Observer


def console(*, to_stderr: bool) -> Console:
    """A console that takes every string as it is: no markup, no emoji codes, no highlighting."""
    return Console(stderr=to_stderr, markup=False, highlight=False, emoji=False)


def is_live(screen: Console) -> bool:
    """Whether the display may redraw itself: a real terminal, not a log, a pipe, a notebook or a build server."""
    attended = screen.file.isatty() and screen.is_terminal
    return attended and not screen.is_dumb_terminal and not screen.is_jupyter and "CI" not in os.environ


@contextmanager
def observe(*, to_stderr: bool, quiet: bool, reading: str) -> Iterator[Observer]:
    """The observer that fits the place, closed at the end; Ctrl-C becomes a line that says how to go on."""
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
    except KeyboardInterrupt as stop:
        run = getattr(stop, "run", None)
        warn = console(to_stderr=True)
        if run is None:
            warn.print("Stopped. Nothing was trained yet, so nothing is saved.")
        else:
            warn.print(f"Stopped. The best so far is saved in {clean(str(run))}.", soft_wrap=True)
            warn.print(f"Go on with: tutti fit --resume {clean(quoted(str(run)))}", soft_wrap=True)
        raise typer.Exit(130) from stop
