"""Where a training computes."""

from __future__ import annotations

import os

import torch

from ktrdr.errors import InputError


def choose_device(setting: str) -> torch.device:
    """`auto` is a CUDA GPU where there is one. To be asked before anything computes on it.

    Raises InputError when the device that is asked for isn't there.
    """
    there = ["cpu"]
    there += ["cuda"] if torch.cuda.is_available() else []
    there += ["mps"] if torch.backends.mps.is_available() else []
    if setting == "auto":
        setting = "cuda" if "cuda" in there else "cpu"
    if setting not in there:
        raise InputError(
            f"training.device is {setting}, and there is none here",
            hint=f"Here there is {' and '.join(there)}; set training.device to one that is there, or to auto.",
        )
    if setting == "cuda":
        # With other workspaces cuBLAS does not repeat its sums, and torch refuses to use it.
        os.putenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return torch.device(setting)
