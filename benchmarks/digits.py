"""`tutti fit digits`, the whole command, with 10 seeds: seconds, members, test accuracy.

Targets: at least 160 members, at most 20 s, a mean test accuracy of at least 97.5 %.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _bench import arguments, machine, spread, table, tell


def fit(seed: int, folder: Path) -> tuple[float, dict]:
    """Seconds of the whole command, start of Python included, and what it printed."""
    run = "import sys; from tutti.cli import main; sys.argv[0] = 'tutti'; main()"
    words = ["fit", "digits", "--seed", str(seed), "--out", str(folder / str(seed)), "--json", "--quiet"]
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", run, *words], check=True, capture_output=True, text=True)
    return time.perf_counter() - began, json.loads(done.stdout)


def main() -> None:
    given = arguments(__doc__ or "", repeats=10).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = [fit(seed, Path(folder)) for seed in range(given.repeats)]
    accuracy = [run["test"]["value"] for _, run in runs]
    members = [run["members"]["trained"] for _, run in runs]
    tested = runs[0][1]["test"]["n"]
    rows = [
        ["seconds, whole command", spread([seconds for seconds, _ in runs]), "20"],
        ["members trained", spread(members, digits=4), "160"],
        ["members dropped", spread([run["members"]["dropped"] for _, run in runs], digits=4), ""],
        ["test accuracy", spread(accuracy, digits=4), ""],
        ["test accuracy, mean", f"{statistics.mean(accuracy):.4f}", "0.975"],
    ]
    tell(
        "digits",
        "`tutti fit digits`",
        [
            f"Median and range over {given.repeats} seeds; each seed splits anew, {tested} test rows.",
            "",
            *table(["", "", "target"], rows),
        ],
        provenance=machine(["tutti", "torch", "numpy", "scikit-learn"], given.threads),
        write=given.write,
    )


if __name__ == "__main__":
    main()
