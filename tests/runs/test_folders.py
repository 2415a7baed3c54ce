"""A run's folder: its name, how it is opened, and what is refused."""

import errno
import json
from pathlib import Path

import pytest

from tutti import __version__
from tutti.core import InputError
from tutti.runs import FORMAT, Run, list_runs


def test_default_names_count_up(tmp_path: Path) -> None:
    made = [Run.create(None, "titanic", root=tmp_path).folder.name for _ in range(3)]
    assert made == ["titanic", "titanic-2", "titanic-3"]


@pytest.mark.parametrize(
    ("given", "tidy"),
    [
        ("sales 2024", "sales-2024"),
        ("../../etc/passwd", "etc-passwd"),
        ("con", "con-run"),
        ("NUL.csv", "NUL.csv-run"),
        ("...", "run"),
        ("Übung", "Übung"),
        ("a" * 100, "a" * 60),
    ],
)
def test_a_name_becomes_a_folder_that_every_system_takes(tmp_path: Path, given: str, tidy: str) -> None:
    run = Run.create(None, given, root=tmp_path)
    assert run.folder == tmp_path / tidy
    assert run.name == tidy


def test_a_folder_named_by_the_user_is_never_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    Run.create(folder, "ignored")  # an empty one is taken
    before = (folder / "run.json").read_bytes()
    with pytest.raises(InputError, match=r"mine exists and is not empty.*another --out"):
        Run.create(folder, "ignored")
    assert (folder / "run.json").read_bytes() == before


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x", encoding="utf8")
    with pytest.raises(InputError, match="mine is a file"):
        Run.create(tmp_path / "mine", "ignored")
    with pytest.raises(InputError, match=r"Cannot write .*mine"):
        Run.create(tmp_path / "mine" / "below", "ignored")


@pytest.mark.parametrize(("code", "words"), [(errno.ENOSPC, "No space left"), (errno.EACCES, "Cannot write")])
def test_a_failed_creation_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    def fail(_: int) -> None:
        raise OSError(code, "words of the system")

    monkeypatch.setattr("tutti.runs._atomic.os.fsync", fail)
    with pytest.raises(InputError, match=rf"{words}.*run\.json"):
        Run.create(None, "titanic", root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_run_offers_the_nearest(tmp_path: Path) -> None:
    Run.create(None, "titanic", root=tmp_path / "runs")
    with pytest.raises(InputError, match=r"There is no run .*titanik\. Did you mean .*titanic\?"):
        Run.open(tmp_path / "runs" / "titanik")
    with pytest.raises(InputError, match=r"Did you mean .*runs.titanic\?"):
        Run.open(tmp_path / "titanic")
    with pytest.raises(InputError, match=r"There is: .*titanic"):
        Run.open(tmp_path / "runs" / "something else")


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"is not a run folder: it has no run\.json"):
        Run.open(tmp_path / "folder")
    with pytest.raises(InputError, match="is a file; expected a run folder"):
        Run.open(tmp_path / "file")


def test_a_newer_layout_says_who_wrote_it(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "new", "new")
    head = json.loads((run.folder / "run.json").read_text(encoding="utf8"))
    assert (head["format"], head["tutti"]) == (FORMAT, __version__)
    head |= {"format": FORMAT + 1, "tutti": "9.9.9", "status": "a word of the future"}
    (run.folder / "run.json").write_text(json.dumps(head), encoding="utf8")
    with pytest.raises(InputError, match=r"written by tutti 9\.9\.9 in format 2.*Update tutti"):
        Run.open(run.folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": "1"}', '{"format": 1, "status": "odd"}'])
def test_a_damaged_head_is_named(tmp_path: Path, text: str) -> None:
    run = Run.create(tmp_path / "r", "r")
    (run.folder / "run.json").write_text(text, encoding="utf8")
    with pytest.raises(InputError, match=r"run\.json is damaged"):
        Run.open(run.folder)


def test_runs_are_listed_oldest_first(tmp_path: Path) -> None:
    for name, created in [("b", "2026-01-02T00:00:00+00:00"), ("a", "2026-01-03T00:00:00+00:00")]:
        run = Run.create(None, name, root=tmp_path)
        run.write_json("run.json", run.read_json("run.json") | {"created": created})
    (tmp_path / "other").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{", encoding="utf8")
    assert [r.name for r in list_runs(tmp_path)] == ["b", "a"]
    assert list_runs(tmp_path / "nowhere") == []


def test_the_environment_says_what_but_not_who(tmp_path: Path) -> None:
    import getpass
    import platform

    run = Run.create(tmp_path / "r", "r")
    data = run.read_json("environment.json")
    assert {"tutti", "python", "torch", "numpy", "system", "processor", "cores", "accelerators"} <= data.keys()
    words = " ".join(str(v) for v in data.values()).split()
    assert platform.node() not in words
    assert getpass.getuser() not in words
    assert str(tmp_path) not in (run.folder / "run.json").read_text(encoding="utf8")
