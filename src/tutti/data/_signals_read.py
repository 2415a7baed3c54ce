"""The reader of signals: .ts files, the UCR archive's rows, WAV recordings, arrays and lists of arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Num

from tutti.core import Finding, InputError
from tutti.data._reading import Reading
from tutti.data._sample import Found
from tutti.data._signals import Signals, as_dtype
from tutti.data._signals_arrays import Signal, check_axes, signals_of
from tutti.data._signals_files import holds_recordings, is_recording, list_recordings, read_recordings, unified
from tutti.data._signals_text import Written, read_rows, read_ts
from tutti.data._sources import as_array
from tutti.data._sources_library import arrays_in, holds_signals, in_parts, is_dataset

SAMPLES = ("x", "signals", "data")  # names of the signals in a dict or .npz, in any case
LABEL = "label"


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    """What a source held: signals [channel, time] with NaN for gaps, and columns beside them. unequal: whether
    signals of other lengths are to be expected later."""

    signals: Sequence[Signal]
    columns: Mapping[str, Any]
    targets: tuple[str, ...] = ()
    source: str = "arrays"
    rate: float | None = None
    unequal: bool = False
    findings: tuple[Finding, ...] = ()
    test: int = 0  # of the last rows

    @property
    def task(self) -> str | None:
        """Labels of files and folders are classes though they may be numbers; other columns tell by themselves."""
        return "classification" if self.targets == (LABEL,) else None


class SignalReader:
    """Reads whole signals as samples.

    Claimed: .ts files; WAV files and folders of them (classes are folders, or columns by target_from); arrays of
    floats [row, channel, time]; lists of arrays [time] of unequal length, or [channel, time] with as many channels
    each and unequal times; pairs (X, y) of these. With data="signals" also: the UCR archive's text files (a label,
    then samples, row by row), .arff, arrays [row, time], dicts and .npz files {"x": signals, "y": labels}, or
    {"x_train", "y_train", "x_test", "y_test"}.

    Arrays whose times look like channels ([row, time, channel]) are refused, or with data="signals" told.
    Gaps (NaN, "?", infinite) are filled by straight lines between their neighbours, in each channel, and said in a
    finding. `rate` brings recordings to one rate; of arrays and text it says what theirs is. `length`: samples that
    are kept. New signals must be as long as the fitted ones where those were equally long (and no recordings).
    """

    kind = "signals"

    def claims(self, source: Any, reading: Reading) -> bool:
        if isinstance(source, str | Path):
            path = Path(source)
            if path.suffix.lower() == ".ts" or is_recording(path):
                return path.is_file()
            return path.is_dir() and holds_recordings(path)
        first = next(iter(source.values())) if in_parts(source) else source
        if is_dataset(first):
            return holds_signals(first)
        if isinstance(source, tuple) and len(source) == 2:
            source = source[0]
        if isinstance(source, list | tuple):
            return _ragged(source)
        form = getattr(source, "dtype", None)
        return len(getattr(source, "shape", ())) == 3 and "float" in str(form)

    def read(self, source: Any, reading: Reading) -> Found:
        loaded = _load(source, reading, None)
        if not isinstance(source, str | Path):  # files of signals say themselves which axis is which
            odd = check_axes(loaded.signals, asked=reading.data is not None)
            loaded = replace(loaded, findings=(*loaded.findings, *odd))
        return _found(loaded, reading, sound=None, equal=None)

    def encode(self, description: Mapping[str, Any], source: Any, reading: Reading) -> Found:
        shape = description["shape"]
        told = replace(reading, rate=shape["rate"], length=None)
        loaded = _load(source, told, shape["length"])
        found = _found(loaded, told, sound=bool(description["sound"]), equal=bool(shape["equal"]))
        sample = found.sample
        assert isinstance(sample, Signals)
        if sample.values.shape[1] != shape["channels"]:
            raise InputError(
                f"These signals have {sample.values.shape[1]} channels; the model was fitted on {shape['channels']}.",
                fix="Give the same channels in the same order: [row, channel, time].",
            )
        other = np.flatnonzero(sample.lengths.numpy() != shape["length"])
        if shape["equal"] and len(other):
            raise InputError(
                f"Signal {other[0]} has {sample.lengths[other[0]]:,} samples; all that the model was fitted on have "
                f"{shape['length']:,}.",
                fix="Cut or pad it as those were.",
            )
        cut = description["cut"]
        return found if cut is None else replace(found, sample=sample.shortened(int(cut)))


def _ragged(source: Sequence[Any]) -> bool:
    shapes = {tuple(getattr(each, "shape", ())) for each in source}
    axes = {len(shape) for shape in shapes}
    if len(source) < 2 or len(shapes) < 2 or not (axes == {1} or axes == {2}):
        return False
    return axes == {1} or len({shape[0] for shape in shapes}) == 1


def _load(source: Any, reading: Reading, length: int | None) -> _Loaded:
    """`length`: of the signals that a model was fitted on; text files may then come without labels."""
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.exists():
            raise InputError(f"There is no file {str(path)!r}.")
        if path.is_dir() or is_recording(path):
            return _recordings(path, reading)
        if path.suffix.lower() == ".npz":
            return _npz(path, reading)
        written = read_ts(path) if path.suffix.lower() == ".ts" else read_rows(path, length=length)
        return _written(written, path, reading)
    if is_dataset(source) or in_parts(source):
        columns, targets, parts, sizes = arrays_in(source)
        test = sum(size for part, size in zip(parts, sizes, strict=True) if part == "test")
        return _Loaded(
            signals=signals_of(columns.pop("x")), columns=columns, targets=targets, source="dataset",
            rate=reading.rate, test=test if test < sum(sizes) else 0,
        )  # fmt: skip
    if isinstance(source, Mapping):
        return _mapping(source, "arrays", reading)
    if isinstance(source, tuple) and len(source) == 2:
        signals, target = signals_of(source[0]), as_array(source[1])
        target = np.asarray(source[1]) if target is None else target
        return _Loaded(signals=signals, columns={"target": target}, targets=("target",), rate=reading.rate)
    return _Loaded(signals=signals_of(source), columns={}, rate=reading.rate)


def _recordings(path: Path, reading: Reading) -> _Loaded:
    files, columns, targets = list_recordings(path, reading.target_from)
    sounds, kept, findings = read_recordings(files, skip=reading.skip)
    samples, rate, more = unified(sounds, reading.rate)
    return _Loaded(
        signals=samples,
        columns={name: [values[i] for i in kept] for name, values in columns.items()},
        targets=targets,
        source=path.name,
        rate=rate,
        unequal=True,
        findings=(*findings, *more),
    )


def _written(written: Written, path: Path, reading: Reading) -> _Loaded:
    columns: dict[str, Any] = {}
    if written.labels is not None:
        columns[written.name] = written.labels
        if written.name == "value":
            columns["value"] = np.array([np.nan if v is None else float(v) for v in written.labels])
    return _Loaded(
        signals=written.signals, columns=columns, targets=tuple(columns), source=path.name, rate=reading.rate
    )


def _npz(path: Path, reading: Reading) -> _Loaded:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return _mapping({name: stored[name] for name in stored.files}, path.name, reading)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read: {error}.") from error


def _mapping(source: Mapping[str, Any], name: str, reading: Reading) -> _Loaded:
    """{"x": signals, other columns}; or the same names ending in _train and _test."""
    given = {str(key).lower(): value for key, value in source.items()}
    parts = [{k.removesuffix(end): v for k, v in given.items() if k.endswith(end)} for end in ("_train", "_test")]
    parts = parts if all(parts) else [given]
    signals: list[Signal] = []
    columns: dict[str, list[Any]] = {}
    rows = []
    for part in parts:
        key = next((k for k in SAMPLES if k in part), None)
        if key is None:
            raise InputError(
                f"Among {', '.join(map(repr, source))} there are no signals.",
                fix='Call them "x" ("x_train" and "x_test" where there are two parts).',
            )
        own = signals_of(part.pop(key))
        signals += own
        rows.append(len(own))
        for column, values in part.items():
            columns.setdefault(column, []).extend(np.asarray(values).tolist())
    targets = tuple(columns) if len(columns) == 1 else tuple(c for c in ("y", "label", "target") if c in columns)[:1]
    return _Loaded(
        signals=signals, columns=columns, targets=targets, source=name, rate=reading.rate,
        test=rows[1] if len(rows) > 1 else 0,
    )  # fmt: skip


def _found(loaded: _Loaded, reading: Reading, *, sound: bool | None, equal: bool | None) -> Found:
    signals, columns, findings = list(loaded.signals), dict(loaded.columns), list(loaded.findings)
    counts = sorted({len(signal) for signal in signals})
    if len(counts) > 1:
        odd = next(i for i, signal in enumerate(signals) if len(signal) != len(signals[0]))
        across = len({signal.shape[1] for signal in signals}) == 1
        raise InputError(
            f"Signal {odd} has {len(signals[odd])} channels, signal 0 has {len(signals[0])}.",
            fix="Every signal needs the same channels."
            + (" Where they are [time, channel], give [x.T for x in X]." if across else ""),
        )
    signals, kept, more = _filled(signals, skip=reading.skip)
    findings += more
    columns = {
        name: [values[i] for i in kept] if len(kept) < len(values) else values for name, values in columns.items()
    }
    lengths = torch.tensor([signal.shape[1] for signal in signals])
    is_sound = all(signal.dtype == np.int16 for signal in signals) if sound is None else sound
    values = as_dtype(_padded(signals), torch.int16 if is_sound else torch.float32)
    alike = int(lengths.min()) == int(lengths.max()) and not loaded.unequal
    sample = Signals(values=values, lengths=lengths, rate=loaded.rate, equal=alike if equal is None else equal)
    if reading.length is not None:
        if reading.length < 1:
            raise InputError(f"length is {reading.length}; expected a number of samples, at least 1.")
        sample = sample.shortened(reading.length)
        sample = replace(sample, equal=bool((sample.lengths == reading.length).all()) and not loaded.unequal)
    test = np.flatnonzero(np.asarray(kept) >= len(loaded.signals) - loaded.test) if loaded.test else None
    return Found(
        sample=sample, columns=columns, targets=loaded.targets, task=loaded.task, test=test,
        source=loaded.source, findings=tuple(findings),
    )  # fmt: skip


def _padded(signals: Sequence[Signal]) -> Num[torch.Tensor, "row channel time"]:
    longest = max(signal.shape[1] for signal in signals)
    whole = all(signal.dtype == np.int16 for signal in signals)
    out = np.zeros((len(signals), len(signals[0]), longest), np.int16 if whole else np.float32)
    for place, signal in enumerate(signals):
        out[place, :, : signal.shape[1]] = signal if whole or signal.dtype != np.int16 else signal / 2**15
    return torch.from_numpy(out)


def _filled(signals: Sequence[Signal], *, skip: bool) -> tuple[list[Signal], list[int], list[Finding]]:
    """Signals without gaps, their places, and what was done."""
    full, kept, empty = [], [], []
    gaps = samples = touched = 0
    for place, signal in enumerate(signals):
        absent = ~np.isfinite(signal) if signal.dtype.kind == "f" else np.zeros(0, dtype=bool)
        if absent.any():
            if absent.all():
                empty.append(place)
                continue
            gaps, touched = gaps + int(absent.sum()), touched + 1
            signal = np.stack([_bridged(channel, hole) for channel, hole in zip(signal, absent, strict=True)])
        samples += signal.size
        full.append(signal)
        kept.append(place)
    findings = []
    if empty and (not skip or not full):
        raise InputError(
            f"{len(empty)} signals have no value at all: signal {empty[0]} is the first.",
            fix="skip=True (--skip) leaves them out." if full else "",
        )
    if empty:
        message = f"{len(empty)} signals have no value at all and are left out (signal {empty[0]} is the first)."
        findings.append(Finding(kind="empty-signals", where="signals", message=message))
    if gaps:
        message = (
            f"{touched:,} of {len(signals):,} signals have gaps ({gaps / samples:.1%} of all samples): they are "
            "filled by straight lines between what stands beside them."
        )
        findings.append(Finding(kind="gaps", where="signals", message=message))
    return full, kept, findings


def _bridged(channel: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """A channel with its gaps filled by straight lines, constant before the first and behind the last value; 0 where
    it has none."""
    there = np.flatnonzero(~hole)
    if not len(there):
        return np.zeros_like(channel)
    filled: np.ndarray = np.interp(np.arange(len(channel)), there, channel[there])
    return filled.astype(channel.dtype)
