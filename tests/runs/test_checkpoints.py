"""Checkpoints: all or nothing, the last two, and what a kill leaves behind."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tutti.runs import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "r", "r")


def _steps(run: Run) -> list[str]:
    return sorted(p.name for p in (run.folder / "checkpoint").iterdir())


def test_the_newest_comes_back_and_two_are_kept(run: Run) -> None:
    assert run.latest_checkpoint() is None
    for step in (9, 10, 100):  # numbers, not words: 100 is after 9
        run.checkpoint(step, {"weights": torch.full((2,), float(step))}, {"plan": [step]})
    found = run.latest_checkpoint()
    assert found is not None
    assert (found.step, found.state) == (100, {"plan": [100]})
    torch.testing.assert_close(found.tensors["weights"], torch.full((2,), 100.0))
    assert _steps(run) == ["step-00000010-1", "step-00000100-1"]


def test_a_step_may_be_written_again(run: Run) -> None:
    run.checkpoint(5, {"w": torch.zeros(1)}, {"turn": 1})
    run.checkpoint(5, {"w": torch.ones(1)}, {"turn": 2})
    found = run.latest_checkpoint()
    assert found is not None
    assert found.state == {"turn": 2}
    assert len(_steps(run)) == 1


@pytest.mark.parametrize("file", ["tensors.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("harm", ["cut", "gone", "flipped"])
def test_a_broken_newest_falls_back(run: Run, file: str, harm: str) -> None:
    for step in (1, 2):
        run.checkpoint(step, {"w": torch.ones(4)}, {"step": step})
    path = run.folder / "checkpoint" / "step-00000002-1" / file
    if harm == "gone":
        path.unlink()
    elif harm == "flipped":
        data = bytearray(path.read_bytes())
        data[-3] ^= 1
        path.write_bytes(data)
    else:
        path.write_bytes(path.read_bytes()[:-3])
    found = run.latest_checkpoint()
    assert found is not None
    assert found.step == 1


def test_a_finished_run_keeps_none_and_an_interrupted_one_does(run: Run) -> None:
    run.checkpoint(3, {"w": torch.ones(1)}, {})
    run.seal("interrupted")
    opened = Run.open(run.folder)
    assert opened.latest_checkpoint() is not None
    opened.seal("finished")
    assert not (run.folder / "checkpoint").exists()


WRITER = """
import sys, torch
from tutti.runs import Run
run = Run.create(sys.argv[1], "killed")
for step in range(100_000):
    run.append({"event": "board", "step": step, "filler": "x" * 2000})
    run.write_json("result.json", {"step": step, "numbers": list(range(2000))})
    run.checkpoint(step, {"w": torch.full((5000,), float(step))}, {"step": step})
    if step == 2:
        print("going", flush=True)
"""


def test_a_killed_writer_leaves_a_readable_run(tmp_path: Path) -> None:
    for wait in (0.0, 0.017):
        folder = tmp_path / f"wait-{wait}"
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        assert writer.stdout.readline().strip() == b"going"
        time.sleep(wait)
        writer.kill()
        writer.wait()
        writer.stdout.close()

        run = Run.open(folder)
        assert run.status == "running"
        steps = [event["step"] for event in run.read_log()]
        assert steps == list(range(len(steps)))
        result = run.read_json("result.json")
        assert result["step"] in (steps[-1], steps[-1] - 1, steps[-1] + 1)
        found = run.latest_checkpoint()
        assert found is not None
        assert found.step >= steps[-1] - 2
        assert found.state == {"step": found.step}
        torch.testing.assert_close(found.tensors["w"], torch.full((5000,), float(found.step)))

        run.checkpoint(10**6, {"w": torch.ones(1)}, {})  # going on sweeps up what was left half-written
        run.seal("interrupted")
        leftovers = [str(p) for p in folder.rglob("*") if p.name.endswith(".tmp")]
        assert leftovers == []
        assert json.loads((folder / "manifest.json").read_text(encoding="utf8"))["files"]
