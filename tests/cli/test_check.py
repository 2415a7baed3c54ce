"""`tutti check` on files of the user's own."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tutti.cli._app import app
from tutti.core import InputError

SOUND = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 2))
"""
MIXING = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(6, 2)

    def forward(self, x):
        return self.last(x - x.mean(0))

def model(features, outputs):
    return nn.Linear(features, outputs)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("sound.py").write_text(SOUND, encoding="utf8")
    Path("mixing.py").write_text(MIXING, encoding="utf8")
    return tmp_path


def run(*arguments: str) -> tuple[int, dict]:
    done = CliRunner().invoke(app, ["check", *arguments, "--json"], catch_exceptions=False)
    return done.exit_code, json.loads(done.stdout)


def test_a_sound_model_passes_and_a_mixing_one_exits_with_2(folder: Path) -> None:
    code, said = run("sound.py", "--input", "6")
    assert (code, said["broken"]) == (0, 0)
    assert {law["name"] for law in said["laws"]} >= {"stacked = solo", "resume = uninterrupted"}
    code, said = run("mixing.py:Net", "--input", "6")
    assert code == 2
    assert said["broken"] >= 1
    assert run("mixing.py", "--input", "6")[0] == 0  # `model` is taken, a function of (features, outputs)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sound.py"], "The shape of a row is not known"),
        (["sound.py", "--input", "six"], "--input is 'six'"),
        (["none.py", "--input", "6"], "There is no file none.py"),
        (["mixing.py:Nett", "--input", "6"], "Net"),
        (["sound.py", "--input", "7"], "fails on rows of shape 7"),
    ],
)
def test_what_cannot_be_checked_is_told(folder: Path, arguments: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        CliRunner().invoke(app, ["check", *arguments], catch_exceptions=False)
