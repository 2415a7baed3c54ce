"""How a process starts and ends: since when it runs, and what the collector of cycles need not look through."""

import gc
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

_IMPORTED = time.monotonic()
_LONGEST = 60.0  # seconds that an interpreter may take to get here; beyond them the clocks do not fit together


def process_began() -> float:
    """When this process began, in time.monotonic's seconds: a budget counts the interpreter's start as well.

    Linux tells it (proc(5), field 22 of /proc/self/stat: clock ticks after the boot). Elsewhere it is when this
    module was imported, before anything heavy.
    """
    try:
        with open("/proc/self/stat", encoding="ascii", errors="replace") as file:
            ticks = int(file.read().rsplit(")", 1)[1].split()[19])  # the name in brackets may hold blanks
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return _IMPORTED
    began = time.monotonic() - age
    return began if 0 <= _IMPORTED - began < _LONGEST else _IMPORTED


@contextmanager
def importing() -> Iterator[None]:
    """Around the import of heavy modules: looking for cycles among what they define, again and again while it
    grows, took a quarter of the time, and it all stays anyway."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def leave_unswept() -> None:
    """Before the process ends: its memory goes back as a whole. Python would first look through all objects for
    cycles, twice, which takes a second or more where torch is loaded."""
    gc.freeze()
