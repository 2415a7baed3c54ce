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
PLAIN = """
from torch import nn

made = nn.Linear(6, 2)

class Bare(nn.Module):
    def forward(self, x):
        return x

class Inherited(nn.Linear):
    pass

class Varying(nn.Linear):
    def __init__(self, *sizes, bias=True):
        super().__init__(*(sizes or (6, 2)), bias=bias)

class Demanding(nn.Module):
    def __init__(self, a, b, c):
        super().__init__()

def attend():
    return Attend()

class Attend(nn.MultiheadAttention):
    def __init__(self):
        super().__init__(4, 2, batch_first=True)

    def forward(self, x, key_padding_mask):
        seen = super().forward(x, x, x, key_padding_mask=key_padding_mask, need_weights=False)[0]
        return seen.masked_fill(key_padding_mask[..., None], 0.0).sum(1)
"""
ALONE = """
from torch import nn

net = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 2))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("sound.py").write_text(SOUND, encoding="utf8")
    Path("mixing.py").write_text(MIXING, encoding="utf8")
    Path("plain.py").write_text(PLAIN, encoding="utf8")
    Path("alone.py").write_text(ALONE, encoding="utf8")
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
    "name", ["plain.py:made", "plain.py:Inherited", "plain.py:Varying", "alone.py", "alone.py:net"]
)
def test_instances_are_found_and_classes_take_what_they_need(folder: Path, name: str) -> None:
    assert run(name, "--input", "6")[0] == 0


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # of vmap, at torch's attention
def test_a_mask_for_torchs_attention_is_true_where_there_is_padding(folder: Path) -> None:
    code, said = run("plain.py:attend", "--input", "5x4", "--input", "padding:5")
    law = next(law for law in said["laws"] if law["name"] == "padding changes nothing")
    assert (code, law["status"]) == (0, "kept")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plain.py:Bare", "--input", "6"], "has no parameters"),
        (["plain.py:Demanding", "--input", "6"], "Demanding takes a, b, c; expected none"),
        (["plain.py:attend", "--input", "5x4", "--input", "mask:5"], "True where there is padding"),
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
