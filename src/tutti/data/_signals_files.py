"""Folders of recordings: which files, their classes or columns, and one rate and number of channels for all."""

from collections import Counter
from collections.abc import Sequence
from math import gcd
from pathlib import Path

import numpy as np
from jaxtyping import Num

from tutti.core import Finding, InputError
from tutti.data._file_names import FileNames
from tutti.data._signals_wav import Sound, read_wav

SUFFIXES = (".wav", ".wave")
LOOKED_AT = 200  # entries of a folder, and of each of its folders, to see whether it holds recordings


def holds_recordings(folder: Path) -> bool:
    """Whether one of the first entries of a folder, or of a folder in it, is a WAV file."""
    for place, entry in enumerate(sorted(folder.iterdir())):
        if place >= LOOKED_AT:
            return False
        if is_recording(entry):
            return True
        if entry.is_dir() and any(is_recording(e) for e, _ in zip(entry.iterdir(), range(LOOKED_AT), strict=False)):
            return True
    return False


def is_recording(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def list_recordings(source: Path, pattern: str | None) -> tuple[list[Path], dict[str, list[str]], tuple[str, ...]]:
    """Files in order of their names, columns beside them, and which of these are targets.

    With a pattern its names are columns, and "label", else the first, is the target; files anywhere below. Without,
    folders in the folder are classes (column "label"); files straight in it have none. "file" holds the names.
    """
    files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if is_recording(path))
    if not files:
        raise InputError(f"{source} holds no WAV file.")
    root = source if source.is_dir() else source.parent
    columns = {"file": [path.relative_to(root).as_posix() for path in files]}
    if pattern is not None:
        names = FileNames(pattern)
        found = names.columns(files)
        return files, {**columns, **found}, ("label",) if "label" in found else (names.names[0],)
    inside = [path.relative_to(root).parts for path in files]
    if source.is_file() or all(len(parts) == 1 for parts in inside):
        return files, columns, ()
    loose = [path for path, parts in zip(files, inside, strict=True) if len(parts) == 1]
    if loose:
        raise InputError(
            f"{len(loose)} recordings of {source.name} lie in no class's folder: {loose[0].name} is the first.",
            fix='Move them into folders, or read labels from names: target_from="{label}_*.wav" (--target-from).',
        )
    return files, {**columns, "label": [parts[0] for parts in inside]}, ("label",)


def read_recordings(files: Sequence[Path], *, skip: bool) -> tuple[list[Sound], list[int], list[Finding]]:
    """The sounds, the places of their files, and what was left out. Unreadable files are named, all at once."""
    sounds, kept, wrong = [], [], []
    for place, path in enumerate(files):
        try:
            sounds.append(read_wav(path))
            kept.append(place)
        except InputError as error:
            wrong.append(str(error).splitlines()[0])
    if not wrong:
        return sounds, kept, []
    told = " ".join(wrong[:5]) + (f" And {len(wrong) - 5} more." if len(wrong) > 5 else "")
    if not skip or not sounds:
        raise InputError(
            f"{len(wrong):,} of {len(files):,} recordings cannot be read. {told}",
            fix="skip=True (--skip) leaves them out." if sounds else "",
        )
    message = f"{len(wrong):,} of {len(files):,} recordings cannot be read and are left out. {told}"
    return sounds, kept, [Finding(kind="unreadable-files", where="files", message=message)]


def unified(sounds: Sequence[Sound], rate: float | None) -> tuple[list[np.ndarray], float, list[Finding]]:
    """The samples at one rate (the one asked for, else the commonest, of equally common ones the lowest) and with one
    number of channels (mixed ones become their mean); all int16 where all were."""
    findings: list[Finding] = []
    rates, channels = Counter(s.rate for s in sounds), Counter(len(s.samples) for s in sounds)
    wanted = rate if rate is not None else min(rates, key=lambda r: (-rates[r], r))
    if wanted != int(wanted) or wanted < 1:
        raise InputError(f"The rate is {wanted}; expected a whole number of samples a second.")
    off = sum(s.rate != wanted for s in sounds)
    samples = [s.samples for s in sounds]
    if len(channels) > 1:
        told = ", ".join(f"{n:,} with {c}" for c, n in sorted(channels.items()))
        message = f"Recordings have different numbers of channels ({told}): all became one channel, their mean."
        findings.append(Finding(kind="mixed-channels", where="files", message=message))
        samples = [_as(x.mean(0, keepdims=True, dtype=np.float64), x.dtype) for x in samples]
    if off:
        told = ", ".join(f"{n:,} of {r:,} Hz" for r, n in sorted(rates.items()))
        message = f"{off:,} of {len(sounds):,} recordings were brought to {wanted:,g} Hz ({told})."
        findings.append(Finding(kind="resampled", where="files", message=message))
        samples = [resample(x, s.rate, int(wanted)) for x, s in zip(samples, sounds, strict=True)]
    if len({x.dtype for x in samples}) > 1:
        samples = [x / np.float32(2**15) if x.dtype == np.int16 else x for x in samples]
    return samples, float(wanted), findings


def resample(x: Num[np.ndarray, "channel time"], rate: int, wanted: int) -> Num[np.ndarray, "channel time2"]:
    """Polyphase resampling (scipy.signal.resample_poly, its Kaiser window) by the ratio of the two rates."""
    if rate == wanted:
        return x
    from scipy.signal import resample_poly  # type: ignore[attr-defined]  # heavy: only here

    common = gcd(rate, wanted)
    return _as(resample_poly(x.astype(np.float64), wanted // common, rate // common, axis=1), x.dtype)


def _as(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """x as this type; what becomes 16-bit sound is rounded and clipped."""
    if dtype == np.int16:
        x = np.clip(np.rint(x), -(2**15), 2**15 - 1)
    same: np.ndarray = x.astype(dtype)
    return same
