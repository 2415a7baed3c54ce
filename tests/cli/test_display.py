import contextlib
import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from tutti.cli._board import draw, leader, standing
from tutti.cli._live import LiveObserver
from tutti.cli._log import LogObserver
from tutti.cli._observers import is_live
from tutti.cli._verdict import compared, lines
from tutti.core import Board, BoardRow, Setting


def screen(width: int = 100, encoding: str = "utf-8", **options) -> Console:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    return Console(file=file, width=width, markup=False, highlight=False, emoji=False, **options)


def written(console: Console) -> str:
    console.file.flush()
    return console.file.buffer.getvalue().decode(console.file.encoding)


def show(console: Console, story, **options) -> str:
    with LiveObserver(console, reading="titanic.csv") as observer:
        story(observer, **options)
    return written(console)


def test_the_live_display_tells_all_of_a_fit(story):
    text = show(screen(force_terminal=True, color_system=None), story)
    for words in (
        "titanic.csv: 891 rows, 5 columns",
        "set aside; it copies the target",
        "Warning (alive): alive copies survived",
        "Binary classification of survived (no 549, yes 342), judged by accuracy",
        "712 rows to train on, in 2 stratified folds; 179 held out for the test",
        "32 settings x 5 folds: 24 in the race, 4 dropped, 4 diverged",
        "step 1,000 of 1,000",
        "Baseline boosted trees done in 4.2 s",
        "0.8270  0.7650 to 0.8750",
        "+0.0280  -0.0170 to 0.0730  not distinguishable",
        "Fit              good",
        "corrected 0.8250",
        "runs/titanic (41 s, 160 members trained, 84 dropped, 20 diverged)",
        "tutti report runs/titanic",
    ):
        assert words in text, words


@pytest.mark.parametrize("width", [60, 72, 100, 200])
def test_no_line_is_wider_than_the_console(story, width):
    text = show(screen(width, force_terminal=True, color_system=None), story, extra=40)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "and 30 more" in text  # 45 columns, of which 15 are shown


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437"])
def test_a_console_without_utf8_can_show_every_character(story, encoding):
    text = show(screen(encoding=encoding, force_terminal=True), story)
    assert "Verdict" in text


def test_the_users_strings_steer_neither_rich_nor_the_terminal(story):
    text = show(screen(force_terminal=True, color_system=None), story)
    assert "[bold]evil" in text
    assert "evil\x1b[2J" not in text
    assert "\u202e" not in text


def test_no_color_leaves_no_colour_codes(story, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    text = show(screen(force_terminal=True), story)
    colours = [code for code in range(30, 50) if f"\x1b[{code}m" in text or f";{code}m" in text]
    assert colours == []


def test_the_cursor_comes_back_after_a_failure(board):
    console = screen(force_terminal=True)
    with contextlib.suppress(ZeroDivisionError), LiveObserver(console, reading="x") as observer:
        observer.on_board(board(100))
        raise ZeroDivisionError
    text = written(console)
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


@pytest.mark.parametrize(
    ("task", "kind", "source", "words"),
    [
        ("binary", "table", "titanic.csv", "tutti predict runs/titanic NEW.csv -o predictions.csv"),
        ("binary", "table", "digits", "tutti predict runs/titanic NEW.csv -o predictions.csv"),
        ("multiclass", "images", "photos", "tutti predict runs/titanic NEW_FOLDER -o predictions.csv"),
        ("multiclass", "images", "mnist.npz", "tutti predict runs/titanic NEW.npz -o predictions.csv"),
        ("multiclass", "signals", "recordings", "tutti predict runs/titanic NEW_FOLDER -o predictions.csv"),
        ("binary", "signals", "GunPoint_TRAIN.ts", "tutti predict runs/titanic NEW.ts -o predictions.csv"),
        ("binary", "text", "imdb.csv.gz", "tutti predict runs/titanic NEW.csv.gz -o predictions.csv"),
        ("regression", "graphs", "esol.csv", "tutti predict runs/titanic NEW.csv -o predictions.csv"),
        ("binary", "graphs", "MUTAG.txt", "tutti predict runs/titanic NEW.txt -o predictions.csv"),
        ("binary", "graphs", "raw_MUTAG", "tutti predict runs/titanic NEW_FOLDER -o predictions.csv"),
        ("multiclass", "nodes", "cora.npz", "tutti predict runs/titanic NEW.npz -o predictions.csv"),
        ("multiclass", "nodes", "nodes.csv", "tutti predict runs/titanic NEW_NODES.csv --edges NEW_EDGES.csv -o"),
        ("segmentation", "images", "image", "tutti predict runs/titanic NEW_FOLDER -o masks.tif"),
        ("language", "language", "book.txt", "tutti sample runs/titanic"),
        ("binary", "images", "photos of v1.2, mine", "tutti predict runs/titanic NEW_FOLDER -o predictions.csv"),
    ],
)
def test_what_comes_next_fits_the_data(result, task, kind, source, words):
    told = list(lines({**result, "task": task, "data": {**result["data"], "kind": kind, "source": source}}))
    assert any(words in line for line in told), told


def test_a_log_gets_few_plain_lines(story):
    console = screen()
    story(LogObserver(console), extra=40)
    text = written(console)
    assert all(c.isprintable() or c == "\n" for c in text)
    lines = text.splitlines()
    assert sum(line.startswith("Step ") for line in lines) == 6  # 0, 200, … 1,000
    assert len(lines) < 35
    assert "Test accuracy: 0.8270 (95 % interval 0.7650 to 0.8750, n = 179)" in lines


def test_a_grid_that_grew_is_logged_once_at_its_end(board):
    console = screen()
    observer = LogObserver(console)
    for step in (0, 500, 1000, 0, 500, 1000):
        observer.on_board(board(step))
    steps = [line.split(",")[0] for line in written(console).splitlines()]
    assert steps == ["Step 0 of 1", "Step 500 of 1", "Step 1", "Step 1"]


def test_a_pipe_is_not_live(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    console = screen()
    assert console.is_terminal  # Rich takes FORCE_COLOR for a terminal
    assert not is_live(console)


def test_a_terminal_is_live_unless_a_build_server_or_dumb(monkeypatch):
    console = screen(force_terminal=True, force_jupyter=False)
    monkeypatch.setattr(console.file, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert is_live(console)
    monkeypatch.setenv("TERM", "dumb")
    assert not is_live(console)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("CI", "true")
    assert not is_live(console)


def drawn(board: Board, width: int = 100) -> str:
    console = screen(width)
    console.print(draw(board, width))
    return written(console)


def test_the_board_marks_best_dropped_and_diverged_in_text(board):
    text = drawn(board(500))
    assert text.count("* 0.8030") == 1
    assert text.count("x 0.76") == 4
    assert text.count("! -") == 4
    assert "* best   x dropped   ! diverged" in text


def test_the_leader_follows_the_direction_of_the_metric(board):
    rows = board(0).rows
    up, down = (
        Board(metric="m", higher_is_better=h, rows=rows, folds=5, step=0, horizon=1, seconds=0.0, seconds_left=None)
        for h in (True, False)
    )
    assert leader(up).score == max(row.score for row in rows if row.score is not None)
    assert leader(down).score == min(row.score for row in rows if row.score is not None)
    told = replace(rows[2], leads=True)
    assert leader(replace(up, rows=[*rows[:2], told, *rows[3:]])) is told


def test_settings_that_are_no_grid_are_ranked(board):
    settings = [Setting(learning_rate=0.01, dropout=d / 20) for d in range(14)]
    rows = [BoardRow(setting=s, score=1 - s.dropout, status="training") for s in settings]
    text = drawn(
        Board(
            metric="auc", higher_is_better=True, rows=rows, folds=3, step=1, horizon=2, seconds=1.0, seconds_left=1.0
        )
    )
    assert "dropout" in text
    assert "learning" not in text.splitlines()[1]  # they do not differ in it
    assert "and 4 more" in text
    assert standing(board(0)).startswith("32 settings x 5 folds: 28 in the race")


@pytest.mark.parametrize(
    ("low", "high", "higher_is_better", "words"),
    [
        (0.1, 0.2, True, "better"),
        (0.1, 0.2, False, "worse"),
        (-0.2, -0.1, True, "worse"),
        (-0.2, -0.1, False, "better"),
        (-0.1, 0.1, True, "not distinguishable"),
        (None, None, True, ""),
    ],
)
def test_a_difference_is_worded_by_its_interval(low, high, higher_is_better, words):
    assert compared({"difference_low": low, "difference_high": high}, higher_is_better) == words
