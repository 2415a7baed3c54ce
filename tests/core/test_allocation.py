"""Memory that one step frees is there for the next."""

import platform
import subprocess
import sys

import pytest

STEP = """
import resource, torch
from tutti import core
core.keep_freed_memory()
def step():
    blocks = [torch.zeros(2**18) for _ in range(20)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    del blocks
    blocks = [torch.zeros(2**18) for _ in range(20)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(step(), step(), step())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have rules of their own")
def test_freed_memory_is_kept_for_the_next_step() -> None:
    def faults(code: str) -> int:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return int(done.stdout.split()[-1])

    assert faults(STEP) < 500
    assert faults(STEP.replace("core.keep_freed_memory()", "")) > 4000  # 20 MB in pages of 4 KB
