"""Freed memory stays with the process once it is asked to."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource
from tutti.core import keep_memory

def faults() -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        bytearray(64 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

fresh = faults()
kept = keep_memory() and keep_memory()
faults()
print(int(kept), fresh, faults())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is Linux's")
def test_blocks_asked_for_again_are_not_faulted_in_again() -> None:
    answer = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    kept, fresh, again = map(int, answer.stdout.split())
    if kept:  # not with another C library
        assert again < fresh / 10
