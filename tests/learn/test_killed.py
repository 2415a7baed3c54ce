"""Killed at random moments, again and again: what comes out in the end is the uninterrupted run, bit for bit."""

import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tutti
from tutti.learn import rerun, resume
from tutti.runs import Run
from tutti.search import _search as search

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")


def checkpoints_at_every_segment() -> None:
    search.CHECKPOINT_SECONDS = 0.0


def begin(reference: str, out: str) -> None:
    checkpoints_at_every_segment()
    torch.set_num_threads(1)
    rerun(reference, out=out)


def go_on(out: str) -> None:
    checkpoints_at_every_segment()
    torch.set_num_threads(1)
    resume(out)


def killed(target: Any, arguments: tuple[str, ...], after: float) -> bool:
    """Whether the process had to be killed; it is given so many seconds. A failure of its own fails the test."""
    process = multiprocessing.get_context("fork").Process(target=target, args=arguments)
    process.start()
    process.join(after)
    if process.is_alive():
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        return True
    assert process.exitcode == 0, f"{target.__name__}{arguments} failed of itself"
    return False


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A finished run whose search drops settings at rungs and grows its grid, and the seconds that it takes again."""
    folder = tmp_path_factory.mktemp("killed")
    before = os.getcwd()
    os.chdir(folder)
    try:
        rows = np.random.default_rng(0).normal(size=(240, 6))
        y = np.where(rows[:, 0] * rows[:, 1] + 0.3 * rows[:, 2] > 0, "yes", "no")
        np.savetxt("x.csv", np.c_[rows, y == "yes"], delimiter=",", header="a,b,c,d,e,f,y", comments="", fmt="%.6f")
        tutti.fit(
            "x.csv", target="y", folds=2, learning_rates=[1e-4, 3e-4, 1e-3, 3e-3], weight_decays=[0.0, 0.1],
            epochs=16, batch_size=16, baselines=False, out="reference", model={"name": "mlp", "hidden": [8]},
        )  # fmt: skip
        decided = {d["kind"] for d in Run.open("reference").read_json("plan.json")["decisions"]}
        assert {"drop", "grow"} <= decided
        began = time.monotonic()
        assert not killed(begin, ("reference", "timed"), 300)
        return folder, time.monotonic() - began
    finally:
        os.chdir(before)


def survive(reference: tuple[Path, float], kills: int, seed: int) -> list[str]:
    """One chain of kills and resumes after another until so many kills have hit; a line about each chain."""
    folder, seconds = reference
    chance, lines, hit, chain = random.Random(seed), [], 0, 0  # noqa: S311
    expected = Run.open(folder / "reference").read_tensors("model.safetensors", "torch")
    os.chdir(folder)
    while hit < kills:
        chain += 1
        out, here, phases = f"chain-{seed}-{chain}", 0, []
        alive = killed(begin, ("reference", out), chance.uniform(0, 1.1 * seconds))
        while alive:
            hit, here = hit + 1, here + 1
            phases.append(_phase(Path(out)))
            if phases[-1] == "at the very end":
                break
            if phases[-1] == "before the plan":
                alive = killed(begin, ("reference", f"{out}-{here}"), 300)
                out = f"{out}-{here}"
            else:
                patience = 300 if hit >= kills or here > 12 else chance.uniform(0, 1.1 * seconds)
                alive = killed(go_on, (out,), patience)
        found = Run.open(out).read_tensors("model.safetensors", "torch")
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert torch.equal(found[name], value), f"{out}: {name} after {here} kills"
        lines.append(f"chain {chain}: {here} kills ({', '.join(phases) or 'none'}), every bit of the weights equal")
    return lines


def _phase(folder: Path) -> str:
    """How far the run had come when it was killed."""
    if not (folder / "plan.json").exists() or not (folder / "run.json").exists():
        return "before the plan"
    if Run.open(folder).sealed:
        return "at the very end"
    found = Run.open(folder).latest_checkpoint()
    if found is None:
        return "before a checkpoint"
    return f"stage {found.state['stage']} step {found.state['population']['step']}"


@pytest.mark.timeout(300)
def test_a_run_killed_a_few_times_ends_in_the_same_weights(
    reference: tuple[Path, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(reference[0])
    survive(reference, kills=2, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_two_hundred_kills_at_random_moments_change_no_bit(
    reference: tuple[Path, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(reference[0])
    lines = survive(reference, kills=200, seed=2026)
    Path(os.environ.get("TUTTI_KILL_LOG", os.devnull)).write_text("\n".join(lines) + "\n", encoding="utf8")
