"""Chooses the device that a training computes on."""

from __future__ import annotations

import os

import torch

from ktrdr.errors import InputError


def choose_device(setting: str) -> torch.device:
    """The device for `training.device`; `auto` takes a CUDA GPU where there is one. Call it before using the GPU.

    Raises InputError when this machine lacks the device.
    """
    available = ["cpu"]
    available += ["cuda"] if torch.cuda.is_available() else []
    available += ["mps"] if torch.backends.mps.is_available() else []
    if setting == "auto":
        setting = "cuda" if "cuda" in available else "cpu"
    if setting not in available:
        raise InputError(
            f"training.device is {setting}, and there is none here",
            hint=f"This machine has {' and '.join(available)}: set training.device to one of these, or to auto.",
        )
    if setting == "cuda":
        # cuBLAS repeats its sums only with a fixed workspace, and torch refuses to use it without one.
        os.putenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return torch.device(setting)
