"""How the C library treats the memory that a step of training takes and gives back."""

from functools import cache

import torch


@cache
def keep_freed_memory() -> None:
    """Has glibc keep up to 64 MB of freed memory for the next step, once per process.

    glibc hands freed memory above twice the largest block that was ever freed (up to 32 MB) back to the system, and
    the next step pays a page fault for every 4 KB of it anew: half of the time of a small recurrent step. One block
    of almost 32 MB, taken and given back untouched, raises that bound. Other C libraries take no notice.
    """
    torch.empty(2**25 - 2**16, dtype=torch.uint8)
