from __future__ import annotations

import os

import pytest
import torch

from ktrdr.errors import InputError
from ktrdr.training.device import choose_device


def machine(monkeypatch: pytest.MonkeyPatch, *, cuda: bool = False, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(os, "putenv", lambda *_: None)


@pytest.mark.parametrize(("cuda", "mps", "found"), [(False, False, "cpu"), (True, False, "cuda"), (False, True, "cpu")])
def test_auto_is_a_cuda_gpu_or_the_processor(
    cuda: bool, mps: bool, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, cuda=cuda, mps=mps)

    assert choose_device("auto") == torch.device(found)
    assert choose_device("cpu") == torch.device("cpu")


def test_a_device_that_is_not_there_is_refused_and_what_is_there_named(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, mps=True)

    assert choose_device("mps") == torch.device("mps")
    with pytest.raises(InputError, match=r"training\.device is cuda, and there is none here") as refused:
        choose_device("cuda")
    assert "cpu and mps" in refused.value.hint
