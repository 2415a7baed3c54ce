"""The bytes of a file, compression undone: for us, and for pyarrow's threads."""

import gzip
import io
import shutil
from pathlib import Path

import pyarrow as pa

_PIECE = 1 << 20  # bytes copied at a time


def open_plain(path: Path) -> io.BufferedIOBase:
    """The bytes of a file, gzip undone."""
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if zipped else path.open("rb")


def for_arrow(path: Path) -> pa.NativeFile:
    """The same bytes as a file that holds nothing of Python's.

    pyarrow reads in threads that may outlive the call, where it raises above all. A thread that lets go of a
    Python object (a file, the bytes behind a buffer, a function called for bad rows) waits for the interpreter's
    lock; where the interpreter is ending, Python ends that thread instead, which aborts the process.
    """
    with open_plain(path) as file:
        if not isinstance(file, io.BufferedReader):
            return copied(file)
        try:
            return pa.OSFile(str(path))
        except UnicodeEncodeError:  # pyarrow opens names of valid Unicode only
            return copied(file)


def copied(file: io.BufferedIOBase) -> pa.NativeFile:
    """What is left of a file, in memory of pyarrow's own."""
    sink = pa.BufferOutputStream()
    shutil.copyfileobj(file, sink, _PIECE)
    return pa.BufferReader(sink.getvalue())
