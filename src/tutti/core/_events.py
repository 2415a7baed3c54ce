"""What a fit tells whoever watches it: a terminal, a log, a notebook, or nobody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tutti.core._findings import Finding
from tutti.core._schema import Schema
from tutti.core._setting import Setting
from tutti.core._splits import Splits

Status = Literal["training", "dropped", "diverged", "finished"]


@dataclass(frozen=True, kw_only=True)
class BoardRow:
    """One setting of the population: its mean validation score over the folds so far, and how it stands."""

    setting: Setting
    score: float | None
    status: Status
    diverged: int = 0  # members (folds) of this setting that diverged
    leads: bool = False  # it would be chosen now, by what decides: that need not be the score (search.Judge)


@dataclass(frozen=True, kw_only=True)
class Board:
    """The population at one moment, settings in the order in which they were proposed."""

    metric: str
    higher_is_better: bool
    rows: Sequence[BoardRow]
    folds: int
    step: int
    horizon: int
    seconds: float  # since the command began
    seconds_left: float | None  # estimated, for the whole command


class Observer:
    """Hears of each stage of a fit, in this order. Every method does nothing; override those you need."""

    def on_read(self, source: str, schema: Schema, findings: Sequence[Finding]) -> None:
        """The data were read, typed and checked."""

    def on_task(self, task: Mapping[str, Any], splits: Splits) -> None:
        """The task ({"kind", "classes", "counts", "metric"}) and the splits were declared."""

    def on_plan(self, lines: Sequence[str]) -> None:
        """What is about to be done, in words: members, steps, expected seconds."""

    def on_board(self, board: Board) -> None:
        """The population moved on by a segment."""

    def on_finding(self, finding: Finding) -> None:
        """Something was seen while training."""

    def on_baseline(self, name: str, seconds: float) -> None:
        """One baseline was tuned and fitted."""

    def on_result(self, result: Mapping[str, Any]) -> None:
        """The final result, as `--json` prints it (plus "details")."""
