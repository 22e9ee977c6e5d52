"""The state of a process from which the same inputs give the same bits."""

from __future__ import annotations

import torch

from ktrdr.training.allocator import keep_freed_memory


def make_repeatable(seed: int, threads: int) -> None:
    """Put this process in the state from which the same inputs give the same bits, and quickly."""
    keep_freed_memory()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(mode=True)
    # On by default under determinism; it fills every fresh tensor with NaN to show reads of unset memory.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.manual_seed(seed)
