"""Makes a process repeatable: the same inputs give the same bits."""

from __future__ import annotations

import torch

from ktrdr.training.allocator import keep_freed_memory


def make_repeatable(seed: int, threads: int) -> None:
    """Set threads, seed and deterministic algorithms of this process, and tune its allocator for speed."""
    keep_freed_memory()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(mode=True)
    # Deterministic mode turns this on. It fills every new tensor with NaN, which costs time and changes no result.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    seed_generators(seed)


def seed_generators(seed: int) -> None:
    """Set the seed of torch's own generators, those of the CPU and of an accelerator that is there."""
    torch.default_generator.manual_seed(seed)
    # For an accelerator that is not there torch would note the seed, with the whole stack, to set it later.
    if torch.accelerator.is_available():
        torch.manual_seed(seed)
