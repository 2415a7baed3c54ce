"""Memory that is freed and asked for again at every step should not travel to the operating system and back."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # the names of glibc's mallopt, from malloc.h


def keep_memory() -> bool:
    """Asks the C library to keep what this process frees for its next allocation; says whether it will.

    Activations and the state that is kept are large: glibc maps blocks beyond 32 MiB afresh each time and gives the
    end of its heap back, and every page is then faulted in and zeroed again at every step (a third to four fifths of
    the time of a stacked convolution, docs/LOG.md 2026-11-21). Afterwards the process holds on to the most that it
    ever used.

    Linux with glibc only; elsewhere nothing happens and the answer is False. May be called at any time, repeatedly.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, -1))
