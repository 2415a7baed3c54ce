"""Words and numbers as they stand on the screen."""

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

TASKS = {
    "regression": "Regression",
    "binary": "Binary classification",
    "multiclass": "Classification",
    "multilabel": "Multi-label classification",
    "language": "A language model",
}


def clean(text: str) -> str:
    """The text on one line, without what could steer a terminal (escape codes, direction marks, line ends)."""
    return "".join(c if c.isprintable() else " " for c in text)


def number(value: float | None, like: float | None = None) -> str:
    """Four decimals up to 1 (scores, rates of error), else four significant digits; `-` for none.

    `like` is a number whose size decides instead, so that numbers which stand together look alike.
    """
    if value is None:
        return "-"
    size = abs(value if like is None else like)
    return f"{value:.4f}" if 0.001 <= size <= 1 or value == 0 else f"{value:.4g}"


def signed(value: float | None) -> str:
    """A difference: always with its sign."""
    if value is None:
        return "-"
    return f"{'+' if value >= 0 else '-'}{number(abs(value))}"


def interval(low: float | None, high: float | None) -> str:
    """`low to high`, or nothing where there is no interval."""
    if low is None or high is None:
        return ""
    size = max(abs(low), abs(high))
    return f"{number(low, size)} to {number(high, size)}"


def duration(seconds: float) -> str:
    """`0.4 s`, `42 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def count(amount: int, noun: str) -> str:
    """`1 row`, `1,200 rows`."""
    return f"{amount:,} {noun}" + ("" if amount == 1 else "s")


def listed(names: Sequence[str], most: int = 6) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(clean(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def setting(values: Mapping[str, Any], usual: Mapping[str, Any]) -> str:
    """The optimizer where there are several, learning rate and weight decay always; other hyper-parameters where they
    differ from the usual value."""
    always = ("learning_rate", "weight_decay")
    chosen = [k for k in values if k in always or (k in usual and values[k] != usual[k])]
    numbers = [f"{name.replace('_', ' ')} {values[name]:.3g}" for name in chosen]
    return ", ".join([clean(str(values["optimizer"])), *numbers] if values.get("optimizer") else numbers)


def quoted(path: str) -> str:
    """The path as one word of the shell."""
    return subprocess.list2cmdline([path]) if os.name == "nt" else shlex.quote(path)
