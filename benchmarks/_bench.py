"""What every benchmark shares: interleaved timing, the machine in words, and a section of RESULTS.md.

A benchmark times its contenders in turns (a, b, c, a, b, c, …), so that a slow minute of the machine hits all
of them alike, and prints the median and the range of each, and of each ratio turn by turn.
"""

import argparse
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from importlib import import_module, metadata
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


def arguments(description: str, *, repeats: int = 5) -> argparse.ArgumentParser:
    """The options that all benchmarks take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--repeats", type=int, default=repeats, help="turns of each contender")
    parser.add_argument("--threads", type=int, default=2, help="torch threads")
    parser.add_argument("--write", action="store_true", help="put the result into RESULTS.md")
    return parser


def timed(contenders: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each contender in each turn. One turn before them warms up and is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(repeats + 1):
        for name, run in contenders.items():
            began = time.perf_counter()
            run()
            took = time.perf_counter() - began
            if turn:
                seconds[name].append(took)
    return seconds


def spread(values: Sequence[float], unit: str = "", digits: int = 3) -> str:
    """`median unit (least to greatest)`."""
    three = min(values), statistics.median(values), max(values)
    low, middle, high = (f"{v:,.0f}" if abs(v) >= 10**digits else f"{v:.{digits}g}" for v in three)
    return f"{middle}{' ' + unit if unit else ''} ({low} to {high})"


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """above / below, turn by turn."""
    return [a / b for a, b in zip(above, below, strict=True)]


def machine(packages: Sequence[str], threads: int) -> str:
    """Processor, cores, system, Python and the versions of these packages (those that are installed)."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        found = re.search(r"model name\s*: (.*)", info.read_text(encoding="utf8"))
        name = found[1] if found else name
    versions = []
    for package in packages:
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            if package == "tutti":  # run from the source tree
                versions.append(f"tutti {import_module('tutti').__version__}")
    python = f"Python {platform.python_version()}"
    return f"{name}, {os.cpu_count()} cores, {threads} threads; {platform.system()}; {python}, {', '.join(versions)}"


def missing(package: str, why: str) -> None:
    """Says that a peer is left out."""
    print(f"left out: {package} ({why})", file=sys.stderr)


def tell(name: str, title: str, lines: Sequence[str], *, provenance: str, write: bool) -> None:
    """Prints the result, and with `write` replaces the section `name` of RESULTS.md by it."""
    command = " ".join(["python", "benchmarks/" + Path(sys.argv[0]).name, *sys.argv[1:]])
    text = "\n".join([f"## {title}", "", *lines, "", f"{date.today()}. {provenance}. `{command}`"])
    print(text)
    if not write:
        return
    old = RESULTS.read_text(encoding="utf8") if RESULTS.is_file() else "# Results\n"
    section = f"<!-- {name} -->\n{text}\n<!-- end -->\n"
    place = re.compile(rf"<!-- {re.escape(name)} -->\n.*?<!-- end -->\n", re.DOTALL)
    new = place.sub(lambda _: section, old) if place.search(old) else f"{old.rstrip()}\n\n{section}"
    RESULTS.write_text(new, encoding="utf8")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    return lines
