from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run


def test_doctor_becomes_the_program_that_examines(ktrdr: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[list[str]] = []

    def execv(_: str, command: list[str]) -> None:
        seen.append(command)
        raise SystemExit(0)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setattr(sys, "platform", "linux")

    assert ktrdr("doctor").code == 0
    assert ktrdr("doctor", "--home", "there", "--repair", "--json").code == 0

    program = [sys.executable, "-P", "-m", "ktrdr.doctor"]
    assert seen == [program, [*program, "--home", "there", "--repair", "--json"]]
