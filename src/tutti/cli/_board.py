"""The population at one moment, drawn: learning rates down, weight decays across, or a ranked list."""

from collections.abc import Sequence
from dataclasses import fields

from rich import box
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tutti.cli._text import clean, count, duration, number, setting
from tutti.core import Board, BoardRow, Setting

_RANKED = 10
_MARKS = {"training": " ", "finished": " ", "dropped": "x", "diverged": "!"}
_STYLES = {"training": "", "finished": "", "dropped": "dim", "diverged": "yellow"}
_USUAL = Setting().to_json()


def leader(board: Board) -> BoardRow | None:
    """The setting that leads; where none is said to, the one with the best mean score among those still in the race;
    None before the first scores."""
    for row in board.rows:
        if row.leads and row.score is not None:
            return row
    racing = [row for row in board.rows if row.score is not None and row.status in ("training", "finished")]
    if not racing:
        return None
    return max(racing, key=lambda row: (row.score or 0.0) * (1 if board.higher_is_better else -1))


def standing(board: Board) -> str:
    """`32 settings × 5 folds: 20 in the race, 11 dropped, 1 diverged`, in words that every console can show."""
    dropped = sum(row.status == "dropped" for row in board.rows)
    diverged = sum(row.status == "diverged" for row in board.rows)
    left = len(board.rows) - dropped - diverged
    parts = [
        f"{left} in the race",
        f"{dropped} dropped" if dropped else "",
        f"{diverged} diverged" if diverged else "",
    ]
    settings = count(len(board.rows), "setting")
    return f"{settings} x {count(board.folds, 'fold')}: " + ", ".join(part for part in parts if part)


def leads(board: Board) -> str:
    """Who leads, and with what score."""
    best = leader(board)
    if best is None:
        return "no scores yet"
    return f"{setting(best.setting.to_json(), _USUAL)}: {clean(board.metric)} {number(best.score)}"


def clock(board: Board) -> str:
    """The time gone, and about how much is left."""
    left = "" if board.seconds_left is None else f", about {duration(board.seconds_left)} left"
    return duration(board.seconds) + left


def draw(board: Board, width: int) -> RenderableType:
    """The whole board for a console `width` columns wide."""
    progress = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=max(board.horizon, 1), completed=board.step, width=max(8, min(30, width - 50)))
    progress.add_row(f"step {board.step:,} of {board.horizon:,}", bar, clock(board))
    lines: list[RenderableType] = [
        Text(standing(board), "bold"),
        _settings(board, width),
        Text(_legend(board), "dim"),
    ]
    return Group(*lines, Text(f"best: {leads(board)}"), progress)


def _legend(board: Board) -> str:
    seen = {row.status for row in board.rows}
    marks = ["* best", "x dropped" if "dropped" in seen else ""]
    hurt = "diverged" in seen or any(row.diverged for row in board.rows)
    return "   ".join(mark for mark in [*marks, "! diverged" if hurt else ""] if mark)


def _settings(board: Board, width: int) -> RenderableType:
    rates = sorted({row.setting.learning_rate for row in board.rows})
    decays = sorted({row.setting.weight_decay for row in board.rows})
    places = {(row.setting.learning_rate, row.setting.weight_decay): row for row in board.rows}
    one_each = len(places) == len(board.rows) and len({row.setting.optimizer for row in board.rows}) == 1
    full = one_each and len(rates) * len(decays) <= 2 * len(board.rows)
    fits = len(rates) <= 20 and 8 + 11 * len(decays) <= width
    if not (full and fits):
        return _ranking(board)
    axes = Text(f"mean {clean(board.metric)}; learning rate down, weight decay across")
    return Group(axes, _grid(board, places, rates, decays))


def _grid(
    board: Board, places: dict[tuple[float, float], BoardRow], rates: Sequence[float], decays: Sequence[float]
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    table.add_column("", justify="right", no_wrap=True)
    for decay in decays:
        table.add_column(f"{decay:.3g}", justify="right", no_wrap=True)
    best = leader(board)
    for rate in rates:
        row = [places.get((rate, decay)) for decay in decays]
        table.add_row(f"{rate:.3g}", *(_cell(cell, cell is best) if cell else "" for cell in row))
    return table


def _ranking(board: Board) -> Table:
    """The best few settings, by the hyper-parameters in which they differ."""
    first = board.rows[0].setting
    names = [
        f.name
        for f in fields(Setting)
        if any(getattr(r.setting, f.name) != getattr(first, f.name) for r in board.rows)
    ]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    names = sorted(names or ["learning_rate"], key=lambda name: name != "optimizer")
    for name in [*names, board.metric]:
        table.add_column(clean(name).replace("_", " "), justify="left" if name == "optimizer" else "right")
    best, sign = leader(board), -1 if board.higher_is_better else 1
    order = sorted(
        board.rows, key=lambda r: (r.status in ("dropped", "diverged"), r.score is None, sign * (r.score or 0.0))
    )
    for row in order[:_RANKED]:
        values = (getattr(row.setting, name) for name in names)
        shown = (clean(v) if isinstance(v, str) else f"{v:.3g}" for v in values)
        table.add_row(*shown, _cell(row, row is best))
    if len(order) > _RANKED:
        table.caption = f"and {len(order) - _RANKED} more"
        table.caption_justify = "left"
    return table


def _cell(row: BoardRow, best: bool) -> Text:
    mark = "*" if best else "!" if row.diverged else _MARKS[row.status]
    return Text(f"{mark} {number(row.score)}", "bold green" if best else _STYLES[row.status])
