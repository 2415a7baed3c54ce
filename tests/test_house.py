import os
import subprocess
import sys
import tomllib
from importlib import import_module, metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "tutti"
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file())
DOORS = sorted(path.name for path in PACKAGE.glob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))


def skeleton(folder: Path, imports: dict[str, str]) -> Path:
    """A package with our rooms, our rules, and nothing in it but the imports given as {file: line}."""
    for room in ROOMS:
        (folder / "tutti" / room).mkdir(parents=True)
        (folder / "tutti" / room / "__init__.py").write_text("")
    for door in DOORS:
        (folder / "tutti" / door).write_text("")
    front = {"tutti/__init__.py": "from tutti import learn"}
    for name, line in (front | imports).items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(line + "\n", encoding="utf8")
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text(encoding="utf8"), encoding="utf8")
    return folder


def lint(folder: Path) -> tuple[bool, str]:
    """Whether the import rules hold in the folder, and what was said."""
    pytest.importorskip("importlinter")
    script = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", script, "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment(folder),
    )
    return done.returncode == 0, done.stdout + done.stderr


def environment(folder: Path) -> dict[str, str]:

    return os.environ | {"PYTHONPATH": str(folder), "PYTHONIOENCODING": "utf8"}


def test_the_import_rules_hold():
    kept, said = lint(ROOT)
    assert kept, said


def test_imports_from_lower_rows_are_legal(tmp_path):
    legal = {"tutti/training/_a.py": "from tutti import core", "tutti/report/_a.py": "import tutti.metrics"}
    kept, said = lint(skeleton(tmp_path, legal))
    assert kept, said


@pytest.mark.parametrize(
    "violation",
    [
        {"tutti/core/_a.py": "import tutti.nn"},
        {"tutti/models/_a.py": "from tutti.data import x"},
        {"tutti/training/_a.py": "import tutti.nn"},
        {"tutti/report/_a.py": "from tutti import tasks"},
        {"tutti/data/_a.py": "def f():\n    from tutti.learn import fit"},
        {"tutti/attic/__init__.py": ""},  # a room that the rules do not list
    ],
    ids=lambda violation: next(iter(violation)),
)
def test_each_violation_of_the_import_rules_fails(tmp_path, violation):
    kept, said = lint(skeleton(tmp_path, violation))
    assert not kept
    assert "BROKEN" in said or "not listed" in said, said


def test_every_room_says_in_one_sentence_what_it_holds():
    for room in ROOMS:
        words = import_module(f"tutti.{room}").__doc__
        assert words
        assert len(words) > 20, room


def test_the_version_is_that_of_the_package():
    import tutti

    assert metadata.version("tutti") == tutti.__version__


def test_the_front_door_offers_what_learn_has():
    import tutti

    learn = import_module("tutti.learn")
    for name in ("fit", "load", "TuttiClassifier", "TuttiRegressor"):
        assert getattr(tutti, name) is getattr(learn, name)
    with pytest.raises(AttributeError, match="Did you mean 'fit'"):
        _ = tutti.fitt
    with pytest.raises(AttributeError, match="Did you mean 'models'"):
        _ = tutti.model
    with pytest.raises(AttributeError, match=r"it has TuttiClassifier, .*, fit, inspection, .*, training"):
        _ = tutti.zzz


def test_every_room_is_there_when_it_is_asked_for():
    """In a process of its own: here other tests have imported the rooms."""
    offered = sorted(set(ROOMS) - {"cli"})  # the command line is no part of what Python is offered
    code = (
        "import tutti\n"
        f"missing = [name for name in {offered} if name not in dir(tutti)]\n"
        "assert not missing, missing\n"
        "print(tutti.models.InceptionTime, tutti.lab.palindrome, tutti.metrics.conformal_band)\n"
        f"print(*[getattr(tutti, name).__name__ for name in {offered}])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == [f"tutti.{name}" for name in offered]


def test_every_dependency_is_pinned_in_the_tested_set():
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf8").splitlines()
        if "==" in line
    }
    project = PROJECT["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    assert {name.partition(">=")[0] for name in wanted} <= pinned
