from __future__ import annotations

import platform
import sys

import pytest
import torch

from ktrdr.training.allocator import keep_freed_memory

glibc = sys.platform == "linux" and platform.libc_ver()[0] == "glibc"


@pytest.mark.skipif(not glibc, reason="only glibc is tuned")
def test_freed_memory_is_used_again_without_asking_the_kernel() -> None:
    import resource

    assert keep_freed_memory()
    torch.ones(4_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    for _ in range(10):
        torch.ones(4_000_000)

    pages_of_one = 16_000_000 // resource.getpagesize()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 3 * pages_of_one
