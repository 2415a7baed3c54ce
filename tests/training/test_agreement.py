"""Processes that were given different things say so, all of them, and none waits for the others."""

import json
import os
import subprocess
import sys
from pathlib import Path

WORKER = Path(__file__).with_name("agreement_worker.py")


def test_processes_that_disagree_say_in_what(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [*command, str(WORKER), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for rank in (0, 1):
        said = json.loads((tmp_path / f"rank{rank}.json").read_text("utf8"))
        assert said.pop("nothing") == ""
        for what, message in said.items():
            assert message.startswith(f"The processes of this run disagree: process 1 has another {what} than"), (
                message
            )
