"""The display on a terminal: what was read, a board that redraws itself, the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import monotonic
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.status import Status
from rich.table import Table
from rich.text import Text

from tutti.cli import _reading as reading_words
from tutti.cli._board import draw
from tutti.cli._text import clean, duration
from tutti.cli._verdict import baseline_name, verdict
from tutti.core import Board, Finding, Observer, Schema, Splits

_PAUSE = 0.2  # seconds between two drawings: the display must not slow the training
_STYLES = {"notice": "cyan", "warning": "yellow", "refused": "bold red"}


class LiveObserver(Observer):
    """Shows a fit on `screen`. Use it as a context: whatever happens, the cursor comes back."""

    def __init__(self, screen: Console, *, reading: str) -> None:
        self.screen = screen
        self._schema: Schema | None = None
        self._board: Board | None = None
        self._live: Live | None = None
        self._drawn = 0.0
        words = Text(f"Reading {clean(reading)} ...")
        self._status = Status(words, console=screen, spinner="line", refresh_per_second=3)

    def __enter__(self) -> "LiveObserver":
        self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()
        self._rest()

    def on_read(self, source: str, schema: Schema, findings: Sequence[Finding]) -> None:
        self._status.update(Text("Checking ..."))
        self._schema = schema
        self.screen.print(Text(reading_words.size(source, schema), "bold"))
        if schema.summary:
            self.screen.print(Text(f"Beside them: {reading_words.beside(schema)}"))
        else:
            self.screen.print(reading_words.columns(schema, self.screen.width))
        for found in reading_words.worst_first(findings):
            self.on_finding(found)

    def on_task(self, task: Mapping[str, Any], splits: Splits) -> None:
        self._tell("Task", reading_words.asked(task, self._schema))
        self._tell("Splits", reading_words.declared(splits))
        self._status.update(Text("Tuning the baselines, planning ..."))

    def on_plan(self, lines: Sequence[str]) -> None:
        self._status.update(Text("Training ..."))
        for number, line in enumerate(lines):
            self._tell("" if number else "Plan", clean(line))
        self.screen.print()

    def on_board(self, board: Board) -> None:
        self._status.stop()
        self._board = board
        if self._live is None:
            self._live = Live(console=self.screen, auto_refresh=False)
            self._live.start()
        if monotonic() - self._drawn >= _PAUSE:
            self._draw()

    def on_finding(self, finding: Finding) -> None:
        self.screen.print(Text(reading_words.finding(finding), _STYLES[finding.severity]))

    def on_baseline(self, name: str, seconds: float) -> None:
        self._rest()
        self.screen.print(Text(f"Baseline {baseline_name(name)} done in {duration(seconds)}", "dim"))

    def on_result(self, result: Mapping[str, Any]) -> None:
        self._status.stop()
        self._rest()
        self.screen.print(verdict(result, self.screen.width))

    def _tell(self, name: str, words: str) -> None:
        """A name and, beside it, words that wrap in a column of their own."""
        row = Table.grid(padding=(0, 2))
        row.add_column(width=6, style="bold")
        row.add_column(overflow="fold")
        row.add_row(name, words)
        self.screen.print(row)

    def _draw(self) -> None:
        if self._live is not None and self._board is not None:
            self._live.update(draw(self._board, self.screen.width), refresh=True)
            self._drawn = monotonic()

    def _rest(self) -> None:
        """Leaves the last board on the screen, and gives the cursor back."""
        if self._live is not None and self._board is not None:
            self._board = replace(self._board, seconds_left=None)
            self._draw()
            self._live.stop()
            self._live = None
