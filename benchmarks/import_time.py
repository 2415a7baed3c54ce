"""What `import tutti` adds to the interpreter's start, and how long `tutti --help` takes.

Targets: 0.05 s and 0.5 s.
"""

import subprocess
import sys
from collections.abc import Callable

from _bench import arguments, machine, spread, table, tell, timed


def command(*words: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    given = arguments(__doc__ or "", repeats=20).parse_args()
    run = "import sys; from tutti.cli import main; sys.argv = ['tutti', '--help']; main()"
    seconds = timed(
        {
            "start of the interpreter": command("-c", "pass"),
            "import tutti": command("-c", "import tutti"),
            "tutti --help": command("-c", run),
        },
        given.repeats,
    )
    bare = seconds["start of the interpreter"]
    extra = [a - b for a, b in zip(seconds["import tutti"], bare, strict=True)]
    rows = [
        ["import tutti, beyond the interpreter's start", spread(extra, "s"), "0.05 s"],
        ["tutti --help", spread(seconds["tutti --help"], "s"), "0.5 s"],
        ["the interpreter alone", spread(bare, "s"), ""],
    ]
    lines = [f"Median and range of {given.repeats} interleaved turns.", "", *table(["", "seconds", "target"], rows)]
    tell(
        "import_time",
        "Import and help",
        lines,
        provenance=machine(["tutti", "typer", "rich"], given.threads),
        write=given.write,
    )


if __name__ == "__main__":
    main()
