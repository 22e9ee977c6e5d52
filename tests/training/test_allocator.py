from __future__ import annotations

import platform
import subprocess
import sys

import pytest

glibc = sys.platform == "linux" and platform.libc_ver()[0] == "glibc"

# In a process of its own, whose heap holds nothing of other tests.
COUNT_FAULTS = """
import resource, sys, torch
from ktrdr.training.allocator import keep_freed_memory
if sys.argv[1] == "tuned":
    assert keep_freed_memory()
torch.ones(4_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(4_000_000)
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize() // 16_000_000)
"""


def blocks_faulted_in(how: str) -> int:
    return int(subprocess.run([sys.executable, "-c", COUNT_FAULTS, how], capture_output=True, check=True).stdout)


@pytest.mark.skipif(not glibc, reason="only glibc is tuned")
def test_freed_memory_is_used_again_without_asking_the_kernel() -> None:
    assert blocks_faulted_in("tuned") <= 2 < blocks_faulted_in("untouched")
