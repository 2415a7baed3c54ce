"""`tutti optimizers`: the list, one of them, JSON, and names that are none."""

import io
import json
import sys
import warnings

import pytest

from tutti.cli import main
from tutti.core import Board, BoardRow, Setting

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("pytorch_optimizer")


@pytest.fixture
def tutti(monkeypatch, capsys):
    def call(*words):
        monkeypatch.setattr(sys, "argv", ["tutti", *words])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        out, err = capsys.readouterr()
        return code, out, err

    return call


# catalogue: L6
def test_all_are_listed_with_memory_paper_and_formula(tutti):
    code, out, _ = tutti("optimizers")
    lines = out.splitlines()
    assert code == 0
    assert (
        next(line for line in lines if line.startswith("  AdamW "))
        .split(None, 1)[1]
        .startswith("memory 2; Loshchilov & Hutter, 2019; w ← w(1 − η·weight_decay)")
    )
    assert any("KFAC" in line and "Martens & Grosse, 2015: it needs" in line for line in lines)
    headings = [int(line.rpartition(": ")[2]) for line in lines if line and not line.startswith((" ", "memory"))]
    assert len(headings) == 4
    assert sum(headings) == sum(line.startswith("  ") for line in lines) >= 240


def test_one_is_told_in_full(tutti):
    code, out, _ = tutti("optimizers", "Muon")
    assert code == 0
    for said in (
        "--optimizer muon",
        "orthogonalise",
        "Jordan et al. 2024",
        "2 numbers for each weight",
        "iterations",
    ):
        assert said in out


def test_namesakes_are_all_told(tutti):
    code, out, _ = tutti("optimizers", "sadam")
    assert code == 0
    assert "Wang et al., 2020b" in out
    assert "Tong et al., 2019" in out


def test_one_that_is_not_here_says_why(tutti):
    code, out, _ = tutti("optimizers", "kfac")
    assert code == 0
    assert "Not here" in out
    assert "arXiv 1503.05671" in out


def test_json_holds_what_is_known(tutti):
    code, out, _ = tutti("optimizers", "soap", "--json")
    assert code == 0
    (entry,) = json.loads(out)["optimizers"]
    assert entry["from"] == "tutti"
    assert entry["rules"]["soap"]["memory"] > 5
    assert "2409.11321" in entry["rules"]["soap"]["paper"]


def test_an_unknown_name_is_the_users_mistake(tutti):
    code, _, err = tutti("optimizers", "adamm")
    assert code == 2
    assert "Did you mean" in err


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("torch.Nonsense", "tutti optimizers lists all that there are"),
        ("torch.optim.Adam", "Did you mean 'torch.Adam'"),
        ("torch.Admaw", "Did you mean 'torch.AdamW'"),
        ("pytorch_optimizer.Foo", "tutti optimizers lists all that there are"),
        ("pytorch_optimizer.Rangr", "Did you mean 'pytorch_optimizer.Ranger'"),
        ("pytorch_optimizer:Rangr", "Did you mean 'pytorch_optimizer.Ranger'"),
    ],
)
def test_a_class_that_its_package_does_not_have_is_not_told_of(tutti, name, near):
    code, out, err = tutti("optimizers", name)
    assert code == 2
    assert out == ""
    assert near in err


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("cautious", ("'c_adamw'", "'c_lion'")),
        ("schedule", ("'schedulefree_sgd'", "'schedulefree_adamw'")),
        ("hessian", ("'ADAHESSIAN'",)),
        ("adamm", ("'Adam'",)),
    ],
)
def test_names_that_hold_what_was_given_are_near(tutti, name, near):
    code, _, err = tutti("optimizers", name)
    assert code == 2
    for other in near:
        assert other in err


def test_the_list_has_whole_formulas(tutti):
    _, out, _ = tutti("optimizers")
    lines = {line.split()[0]: line for line in out.splitlines() if line.startswith("  ")}
    assert "w ← w − ηm̂" in lines["RADam"]
    assert "d ← d′" in lines["prodigy"]
    assert "w ← w − η Q_L((Q_Lᵀ m̂ Q_R)/(√v̂ + ε))Q_Rᵀ" in lines["soap"]


def test_fit_names_the_nearest_optimizer_before_it_reads_a_row(tutti):
    code, _, err = tutti("fit", "digits", "--optimizer", "adam,moun")
    assert code == 2
    assert "Did you mean 'muon'" in err


def test_the_board_shows_the_optimizer_where_there_are_several():
    from rich.console import Console

    from tutti.cli._board import draw, leads

    rows = [
        BoardRow(
            setting=Setting(learning_rate=r, weight_decay=d, optimizer=n), score=s, status="training", diverged=0
        )
        for n, s in (("adam", 0.8), ("muon", 0.9))
        for r in (1e-3, 1e-2)
        for d in (0.0, 0.1)
    ]
    board = Board(
        metric="accuracy",
        higher_is_better=True,
        rows=rows,
        folds=3,
        step=10,
        horizon=20,
        seconds=1.0,
        seconds_left=1.0,
    )
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(draw(board, 100))
    shown = console.export_text()
    assert "muon" in shown
    assert "adam" in shown
    assert leads(board).startswith("muon, learning rate")
