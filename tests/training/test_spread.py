"""One population over two processes is the population of one process, bit for bit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tutti.core import InputError, Setting
from tutti.training import Ranks, Spread

from .conftest import SETTINGS, Make


def torchrun(folder: Path, *arguments: str, worker: str = "spread_worker.py", processes: int = 2) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [*command, str(Path(__file__).with_name(worker)), str(folder), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spread")
    torchrun(folder)
    return folder


def test_two_processes_train_the_members_of_one(make: Make, trained: Path) -> None:
    """Losses, rows of every setting, outputs and deaths, after a drop in the middle; the same on both processes."""
    wild = Setting(learning_rate=1e30)
    alone = make(settings=[*SETTINGS[:4], wild], dtype=torch.float32, horizon=40)
    losses = [alone.run(10)]
    alone.keep([0, 2, 3, 4])
    losses.append(alone.run(40))
    for rank in (0, 1):
        theirs = torch.load(trained / f"rank{rank}.pt", weights_only=True)
        assert torch.equal(theirs["diverged"], alone.diverged())
        assert torch.equal(theirs["outputs"], alone.outputs(1, alone.program.problem.streams[1].validation))
        for i, loss in enumerate(losses):
            torch.testing.assert_close(theirs[f"loss{i}"], loss, rtol=0, atol=0, equal_nan=True)
        for setting in range(4):
            assert torch.equal(theirs[f"rows{setting}"], alone.member_rows(setting))


def test_a_checkpoint_of_two_processes_goes_on_in_two(trained: Path) -> None:
    """The worker broke off at step 20, restored its own state and trained on: the rows are the straight run's."""
    for rank in (0, 1):
        theirs = torch.load(trained / f"rank{rank}.pt", weights_only=True)
        for setting in range(4):
            assert torch.equal(theirs[f"resumed{setting}"], theirs[f"rows{setting}"])


def test_a_checkpoint_of_two_processes_is_refused_by_one(make: Make) -> None:
    alone = make(settings=SETTINGS[:2])
    spread = Spread(alone.program.problem, SETTINGS[:2], alone.plan, alone.rules, alone._schedule, ranks=Ranks())
    tensors, plain = spread.state()
    with pytest.raises(InputError, match="written by 2 processes; 1 are resuming"):
        spread.restore(tensors, {**plain, "ranks": plain["ranks"] * 2})
    with pytest.raises(InputError, match="written by several processes"):
        alone.restore(tensors, {**plain, "ranks": plain["ranks"] * 2})
