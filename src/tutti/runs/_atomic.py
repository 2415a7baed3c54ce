"""Writing a file so that a reader sees the old one or the new one, never half of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EDQUOT, ENOSPC
from pathlib import Path

from tutti.core import InputError

TEMPORARY = ".tmp"  # how our half-written files and folders end; they are never part of a run


def write_atomic(path: Path, data: bytes) -> None:
    """Writes `data` beside `path` under a temporary name, syncs it to disk, and renames it to `path`.

    A link stays one: what it leads to is written. A device, pipe or socket is no file that could be replaced; it is
    written to, in one go.

    When writing fails (no space, no permission), `path` is what it was, the temporary file is gone, and
    InputError names the path.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        with disk_errors(path), path.open("wb") as file:
            file.write(data)
        return
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    half = path.parent / f".{path.name}.{os.getpid()}{TEMPORARY}"
    with disk_errors(path):
        try:
            with half.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(half, path)
        except BaseException:
            with suppress(OSError):
                half.unlink()
            raise
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes a rename inside `folder` survive a power cut, where the system lets folders be synced."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns an OSError while writing `path` into an InputError that names it and the way out."""
    try:
        yield
    except OSError as error:
        if error.errno in (ENOSPC, EDQUOT):
            raise InputError(
                f"No space left to write {path}.", fix="Free some space, or choose another --out."
            ) from error
        reason = error.strerror or type(error).__name__
        raise InputError(f"Cannot write {path}: {reason}.", fix="Choose a place that you may write to.") from error
