"""Runs what README.md shows: its `tutti …` commands, then its `python` blocks, in order, in an empty folder.

The files that the README names are made up here, small and seeded, so that nothing is downloaded.
A block after the line `<!-- not run -->` is left out.
"""

import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from made import make_files

BLOCK = re.compile(r"(<!-- not run -->\n+)?^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def examples(text: str) -> Iterator[list[str]]:
    """The commands to run: each `tutti …` of a shell block, then all python blocks as one, sharing their names."""
    python = []
    for skipped, language, body in BLOCK.findall(text):
        if skipped:
            continue
        if language == "python":
            python.append(body)
            continue
        for part in (part for line in body.splitlines() for part in line.removeprefix("$ ").split("&&")):
            words = shlex.split(part, comments=True)
            if words[:1] == ["tutti"]:
                yield [str(Path(sys.executable).with_name("tutti")), *words[1:]]
    if python:
        yield [sys.executable, "-c", "\n".join(python)]


def main() -> int:
    text = Path(sys.argv[1]).read_text(encoding="utf8")
    failed = ran = 0
    with tempfile.TemporaryDirectory() as folder:
        make_files(Path(folder))
        for command in examples(text):
            begin = time.monotonic()
            done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
            ran += 1
            failed += done.returncode != 0
            shown = "python blocks" if command[1] == "-c" else " ".join(["tutti", *command[1:]])
            print(f"{'ok' if done.returncode == 0 else 'FAILED':7} {time.monotonic() - begin:5.0f} s  {shown}")
            if done.returncode:
                print(done.stdout, done.stderr, sep="\n")
    print(f"{ran} examples, {failed} failed")
    return int(failed > 0 or ran == 0)


if __name__ == "__main__":
    sys.exit(main())
