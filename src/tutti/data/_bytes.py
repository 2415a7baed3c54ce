"""The bytes of a file, compression undone: for us, and for pyarrow's threads."""

import bz2
import gzip
import io
import lzma
import shutil
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from tutti.core import InputError

_PIECE = 1 << 20  # bytes copied at a time


class _Unpacked(io.RawIOBase):
    """A compressed file, read plain; whatever is damaged in it is told as an OSError."""

    def __init__(self, packed: io.BufferedIOBase) -> None:
        self._packed = packed

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._packed.read(len(buffer))
        except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
            raise OSError(str(error)) from error
        buffer[: len(data)] = data
        return len(data)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._packed.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._packed.seek(offset, whence)

    def close(self) -> None:
        self._packed.close()
        super().close()


def open_plain(path: Path) -> io.BufferedIOBase:
    """The bytes of a file; gzip, bzip2, xz, and a ZIP that holds one file which is no array, undone."""
    packed = _packed(path)
    return path.open("rb") if packed is None else io.BufferedReader(_Unpacked(packed), _PIECE)


def _packed(path: Path) -> io.BufferedIOBase | None:
    """A compressed file, to be read plain; None of any other."""
    with path.open("rb") as file:
        head = file.read(10)
    if head[:2] == b"\x1f\x8b":
        return gzip.open(path)
    if head[:3] == b"BZh" and head[4:] == b"1AY&SY":
        return bz2.open(path)
    if head[:6] == b"\xfd7zXZ\x00":
        return lzma.open(path)
    if head[:4] == b"\x28\xb5\x2f\xfd":
        fix = "Unpack it first; gzip, bzip2 and xz are read."
        raise InputError(f"{path.name} is compressed by Zstandard.", fix=fix)
    names = names_in_zip(path) if head[:4] == b"PK\x03\x04" else []
    return _member(path, names[0]) if len(names) == 1 and not names[0].endswith(".npy") else None


def _is_packed(path: Path) -> bool:
    packed = _packed(path)
    if packed is not None:
        packed.close()
    return packed is not None


def names_in_zip(path: Path) -> list[str]:
    """The files that a ZIP holds; none where it is damaged."""
    try:
        with zipfile.ZipFile(path) as packed:
            return [f.filename for f in packed.infolist() if not (f.is_dir() or f.filename.startswith("__MACOSX/"))]
    except (zipfile.BadZipFile, OSError, ValueError):
        return []


def _member(path: Path, name: str) -> io.BufferedIOBase:
    try:
        with zipfile.ZipFile(path) as packed:
            return cast(io.BufferedIOBase, packed.open(name))
    except (RuntimeError, zipfile.BadZipFile) as error:  # of those that ask for a password, and unknown methods
        raise InputError(f"{name!r} in {path.name} cannot be read: {error}.", fix="Unpack it first.") from error


def for_arrow(path: Path) -> pa.NativeFile:
    """The same bytes as a file that holds nothing of Python's.

    pyarrow reads in threads that may outlive the call, where it raises above all. A thread that lets go of a
    Python object (a file, the bytes behind a buffer, a function called for bad rows) waits for the interpreter's
    lock; where the interpreter is ending, Python ends that thread instead, which aborts the process.
    """
    if not _is_packed(path):
        with suppress(UnicodeEncodeError):  # pyarrow opens names of valid Unicode only
            return pa.OSFile(str(path))
    with open_plain(path) as file:
        return copied(file)


def copied(file: io.BufferedIOBase) -> pa.NativeFile:
    """What is left of a file, in memory of pyarrow's own."""
    sink = pa.BufferOutputStream()
    shutil.copyfileobj(file, sink, _PIECE)
    return pa.BufferReader(sink.getvalue())
