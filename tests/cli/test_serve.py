from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run


def test_serve_becomes_the_server(ktrdr: Run, commands: list[list[str]]) -> None:
    assert ktrdr("serve", "--host", "0.0.0.0", "--port", "0").code == 0
    assert ktrdr("serve").code == 0

    server = [sys.executable, "-P", "-m", "ktrdr.server"]
    assert commands == [[*server, "--host", "0.0.0.0", "--port", "0"], server]


def test_wrong_settings_are_told_before_the_server_starts(
    ktrdr: Run, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KTRDR_MAX_CONCURRENT", "0")

    ran = ktrdr("serve")

    assert (ran.code, commands) == (2, [])
    assert "KTRDR_MAX_CONCURRENT is '0'" in ran.err


def test_a_port_out_of_range_is_wrong_use(ktrdr: Run, commands: list[list[str]]) -> None:
    assert ktrdr("serve", "--port", "70000").code == 2
    assert commands == []
