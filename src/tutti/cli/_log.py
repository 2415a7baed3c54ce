"""The same as plain lines, few and without control characters, for a pipe, a log or a build server."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from tutti.cli import _reading as reading_words
from tutti.cli._board import clock, leads, standing
from tutti.cli._text import clean, duration
from tutti.cli._verdict import baseline_name, lines
from tutti.core import Board, Finding, Observer, Schema, Splits

_PARTS = 5  # lines per population


class LogObserver(Observer):
    """Writes a fit to `screen`, one line a fact."""

    def __init__(self, screen: Console) -> None:
        self.screen = screen
        self._schema: Schema | None = None
        self._said = -1
        self._step = -1

    def _say(self, line: str) -> None:
        self.screen.print(line, soft_wrap=True)

    def on_read(self, source: str, schema: Schema, findings: Sequence[Finding]) -> None:
        self._schema = schema
        self._say(reading_words.size(source, schema))
        if schema.summary:
            self._say(f"Beside them: {reading_words.beside(schema)}")
        else:
            self._say(f"Features: {reading_words.kinds(schema)}")
        for found in reading_words.worst_first(findings):
            self.on_finding(found)

    def on_task(self, task: Mapping[str, Any], splits: Splits) -> None:
        self._say(f"Task: {reading_words.asked(task, self._schema)}")
        self._say(f"Splits: {reading_words.declared(splits)}")

    def on_plan(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._say(f"Plan: {clean(line)}")

    def on_board(self, board: Board) -> None:
        if board.step < self._step:  # the grid grew: a population of a few more settings, told once at its end
            self._said = _PARTS - 1
        self._step = board.step
        part = _PARTS * board.step // max(board.horizon, 1)
        if part > self._said:
            self._said = part
            step = f"Step {board.step:,} of {board.horizon:,}, {clock(board)}"
            self._say(f"{step}; {standing(board)}; best {leads(board)}")

    def on_finding(self, finding: Finding) -> None:
        self._say(reading_words.finding(finding))

    def on_baseline(self, name: str, seconds: float) -> None:
        self._say(f"Baseline {baseline_name(name)} done in {duration(seconds)}")

    def on_result(self, result: Mapping[str, Any]) -> None:
        for line in lines(result):
            self._say(line)
