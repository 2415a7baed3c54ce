"""Signals as text: .ts files, .arff files, and the UCR archive's plain rows of numbers."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from tutti.core import InputError

Signal = Float[np.ndarray, "_channel _time"]  # each its own length


@dataclass(frozen=True, kw_only=True, eq=False)
class Written:
    """Signals [channel, time] with NaN for gaps, and their labels (None where the file says that it has none)."""

    signals: list[Signal] = field(default_factory=list)
    labels: list[str | None] | None = None
    name: str = "label"  # of the column of labels: "label", or "value" for numbers


def read_ts(path: Path) -> Written:
    """A .ts file (sktime, aeon): lines "@key value", "@data", then one signal a line.

    Channels stand between colons, samples between commas, "?" or NaN is a gap; the last part is the label where
    "@classLabel true …" (or "@targetLabel true": a number) says so. Channels and lines may differ in length; shorter
    channels of a signal end in gaps. Time stamps are not read. InputError names the line.
    """
    labelled, name, data = False, "label", False
    signals: list[Signal] = []
    labels: list[str | None] = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        line = line.strip()
        if not line or line.startswith(("#", "%")):
            continue
        if not data:
            key, _, value = line.partition(" ")
            told, key = value.strip().lower().startswith("true"), key.lower()
            if key == "@data":
                data = True
            elif key == "@timestamps" and told:
                raise InputError(
                    f"{path.name} gives a time stamp for each sample.",
                    fix="Bring the samples to equal steps, and write them without time stamps.",
                )
            elif key in ("@classlabel", "@targetlabel"):
                labelled, name = told, "label" if key == "@classlabel" else "value"
            elif not key.startswith("@"):
                raise InputError(f"Line {number} of {path.name} stands before @data: {line[:40]!r}.")
            continue
        parts = line.split(":")
        if labelled:
            label = parts.pop().strip()
            labels.append(None if label in ("", "?") else label)
            if not parts:
                raise InputError(f"Line {number} of {path.name} has no label behind a colon, or no signal before it.")
        signals.append(_channels([_samples(part, path, number) for part in parts]))
    if not signals:
        raise InputError(f"{path.name} holds no signal: {'nothing stands behind' if data else 'there is no'} @data.")
    return Written(signals=signals, labels=labels if labelled else None, name=name)


def read_rows(path: Path, *, labelled: bool | None = None, length: int | None = None) -> Written:
    """Rows of numbers, between commas, semicolons, tabs or spaces: the UCR archive's files. Also .arff (one channel).

    The first number of a row is its label, in .arff the last; unless `labelled` says no, or all rows have exactly
    `length` numbers. Labels that are whole numbers are written as such. NaN or "?" is a gap; gaps with which a row
    ends are no gaps: the archive fills shorter signals so.
    """
    arff = path.suffix.lower() == ".arff"
    lines = [(number, line.strip()) for number, line in enumerate(_text(path).splitlines(), 1)]
    begin = next((i for i, (_, line) in enumerate(lines) if line.lower() == "@data"), -1) if arff else -1
    rows = [
        (number, [cell.strip("'\"") for cell in re.split(r"\s*[,;\t]\s*|\s+", line)])
        for number, line in lines[begin + 1 :]
        if line and not line.startswith(("#", "%", "@"))
    ]
    if not rows:
        raise InputError(f"{path.name} holds no row of numbers.")
    if labelled is None:
        labelled = any(len(cells) != length for _, cells in rows)
    signals: list[Signal] = []
    labels: list[str | None] = []
    for number, cells in rows:
        if labelled:
            label = cells.pop() if arff else cells.pop(0)
            labels.append(None if label in ("", "?") else _plain(label))
        samples = _samples(",".join(cells), path, number)
        there = np.flatnonzero(~np.isnan(samples))
        signals.append(samples[None, : there[-1] + 1 if len(there) else 1])
    return Written(signals=signals, labels=labels if labelled else None)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf8", errors="replace")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error


def _plain(label: str) -> str:
    """ "4.0000000e+00" is class 4."""
    try:
        value = float(label)
    except ValueError:
        return label
    return str(int(value)) if value.is_integer() else label


def _samples(text: str, path: Path, number: int) -> Float[np.ndarray, " time"]:
    cells = text.split(",")
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        pass
    try:
        return np.array([np.nan if cell.strip() in ("", "?") else float(cell) for cell in cells])
    except ValueError as error:
        raise InputError(f"Line {number} of {path.name} holds what is no number: {str(error)[-40:]}.") from error


def _channels(channels: list[Float[np.ndarray, " _time"]]) -> Signal:
    longest = max(len(channel) for channel in channels)
    return np.stack([np.pad(channel, (0, longest - len(channel)), constant_values=np.nan) for channel in channels])
