"""WAV files: their samples and their rate, without a library."""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Num

from tutti.core import InputError

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
MOST_BYTES = 2**31  # of one file


@dataclass(frozen=True, eq=False)
class Sound:
    """samples [channel, time]: int16 of 8- and 16-bit files, else float32 with full scale 1; rate in samples a
    second."""

    samples: Num[np.ndarray, "channel time"]
    rate: int


def read_wav(path: Path) -> Sound:
    """A WAV file of PCM samples (8, 16, 24 or 32 bits) or floats (32 or 64), of any number of channels.

    RIFF chunks are walked one by one, and any but "fmt " and "data" passed over. Data that end early (an interrupted
    recording, a header that says 0 or 2³² − 1) are read as far as they go, in whole frames. Raises InputError, which
    names the file, for whatever else is no such file, and for one without samples.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path.name} is larger than 2 GiB.", fix="Cut the recording.")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror}.") from error
    if not content:
        raise InputError(f"{path.name} is empty (0 bytes).")
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise InputError(f"{path.name} is no WAV file: it does not begin with RIFF … WAVE.")
    form: tuple[int, int, int, int] | None = None  # tag, channels, rate, bits
    at = 12
    while at + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, at)
        at += 8
        if name == b"fmt ":
            form = _form(path, content[at : at + size])
        elif name == b"data":
            if form is None:
                raise InputError(f"{path.name} has samples before it says how they are coded.")
            return _decode(path, content[at:] if size in (0, 2**32 - 1) else content[at : at + size], *form)
        at += size + size % 2
    raise InputError(f"{path.name} holds no samples: it ends before them.")


def _form(path: Path, chunk: bytes) -> tuple[int, int, int, int]:
    if len(chunk) < 16:
        raise InputError(f"{path.name} is cut off within its header.")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        tag = struct.unpack_from("<H", chunk, 24)[0]
    known = (tag == _PCM and bits in (8, 16, 24, 32)) or (tag == _FLOAT and bits in (32, 64))
    if not known:
        raise InputError(
            f"{path.name} is coded in a way that is not read (format {tag}, {bits} bits).",
            fix="Convert it to 16-bit PCM.",
        )
    if not channels or not rate:
        raise InputError(f"{path.name} says that it has {channels} channels at {rate} samples a second.")
    return tag, channels, rate, bits


def _decode(path: Path, data: bytes, tag: int, channels: int, rate: int, bits: int) -> Sound:
    frame = channels * bits // 8
    data = data[: len(data) // frame * frame]
    if not data:
        raise InputError(f"{path.name} holds no samples.")
    flat: np.ndarray
    if tag == _FLOAT:
        flat = np.frombuffer(data, f"<f{bits // 8}").astype(np.float32)
        if not np.isfinite(flat).all():
            raise InputError(f"{path.name} holds samples that are no finite numbers.")
    elif bits == 8:  # unsigned, 128 is silence
        flat = (np.frombuffer(data, np.uint8).astype(np.int16) - 128) * 256
    elif bits == 16:
        flat = np.frombuffer(data, "<i2").astype(np.int16)
    elif bits == 24:
        low, middle, high = np.frombuffer(data, np.uint8).reshape(-1, 3).T.astype(np.int32)
        flat = ((low << 8 | middle << 16 | high << 24) / 2.0**31).astype(np.float32)
    else:
        flat = (np.frombuffer(data, "<i4") / 2.0**31).astype(np.float32)
    return Sound(np.ascontiguousarray(flat.reshape(-1, channels).T), rate)
