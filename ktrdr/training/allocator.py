"""glibc's allocator, tuned so that the memory of one batch is reused by the next."""

from __future__ import annotations

import ctypes
import platform
import sys

# From glibc's <malloc.h>.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3


def keep_freed_memory() -> bool:
    """Stop glibc from returning freed blocks to the kernel and from mapping large ones anew; False without glibc.

    A training frees and allocates the same few megabytes in every batch. By default glibc returns them each time, and
    the kernel hands them out again page by page, filled with zeros.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_THRESHOLD, 1 << 30)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
