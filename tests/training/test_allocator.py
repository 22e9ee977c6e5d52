from __future__ import annotations

import platform
import subprocess
import sys

import pytest

glibc = sys.platform == "linux" and platform.libc_ver()[0] == "glibc"

# In a process of its own, whose heap holds nothing of other tests; plain blocks, since torch's aligned ones take more
# than they ask for, so that whether the last one fits again depends on what happens to lie beside it.
COUNT_FAULTS = """
import resource, sys
from ktrdr.training.allocator import keep_freed_memory
if sys.argv[1] == "tuned":
    assert keep_freed_memory()
size = 40_000_000  # more than glibc ever keeps by itself
b"x" * size
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    b"x" * size
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize() // size)
"""


def blocks_faulted_in(how: str) -> int:
    return int(subprocess.run([sys.executable, "-c", COUNT_FAULTS, how], capture_output=True, check=True).stdout)


@pytest.mark.processes
@pytest.mark.skipif(not glibc, reason="only glibc is tuned")
def test_freed_memory_is_used_again_without_asking_the_kernel() -> None:
    assert blocks_faulted_in("tuned") <= 2 < blocks_faulted_in("untouched")
