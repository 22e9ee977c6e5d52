"""A server that cannot start says why before it serves, in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from ktrdr import bootstrap


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """What a start that is refused prints."""
    assert bootstrap.main([]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert "hint: " in printed.err
    return printed.err


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KTRDR_HOME", str(tmp_path))
    monkeypatch.setenv("KTRDR_API_PORT", "0")


def test_a_home_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("KTRDR_HOME", str(tmp_path / "file" / "home"))

    told = refusal(capsys)

    assert str(tmp_path / "file") in told
    assert "KTRDR_HOME" in told


@pytest.mark.parametrize(
    ("name", "value"), [("KTRDR_API_PORT", "70000"), ("LOG_LEVEL", "LOUD"), ("KTRDR_DATABASE_URL", "nonsense")]
)
def test_settings_that_cannot_be(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)

    assert name in refusal(capsys)
