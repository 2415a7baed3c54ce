"""Names of run folders: safe on every system, counted up where taken."""

import re
from pathlib import Path

from tutti.runs._atomic import disk_errors

_RESERVED = {"con", "prn", "aux", "nul"} | {f"{port}{i}" for port in ("com", "lpt") for i in range(1, 10)}


def tidy_name(name: str) -> str:
    """`name` as a folder name that Windows, macOS and Linux all take, at most 60 characters long.

    Letters, digits, `.`, `_` and `-` stay; any other run of characters becomes one `-`.
    """
    tidy = re.sub(r"[^\w.-]+", "-", name).strip("-. ")[:60].strip("-. ")
    return f"{tidy}-run" if tidy.partition(".")[0].lower() in _RESERVED else tidy or "run"


def free_folder(root: Path, name: str) -> Path:
    """Makes root/name, or the first free of root/name-2, root/name-3, …; two processes never get the same."""
    with disk_errors(root / name):
        root.mkdir(parents=True, exist_ok=True)
        count = 1
        while True:
            folder = root / (name if count == 1 else f"{name}-{count}")
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                count += 1
