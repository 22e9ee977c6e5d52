from __future__ import annotations

from pathlib import Path

import pytest

from ktrdr.errors import InputError
from ktrdr.settings import Settings, read_settings

NAMES = [name.upper() for name in Settings.model_fields]


@pytest.fixture(autouse=True)
def _bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("level", ["debug", "Debug", "DEBUG"])
def test_a_log_level_may_be_written_in_any_case(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", level)

    assert read_settings().log_level == "DEBUG"


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_variable_means_the_default(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    default = read_settings()

    monkeypatch.setenv(name, "")

    assert read_settings() == default


def test_an_empty_line_of_the_file_means_the_default(tmp_path: Path) -> None:
    default = read_settings()

    (tmp_path / ".env").write_text("".join(f"{name}=\n" for name in NAMES), encoding="utf-8")

    assert read_settings() == default


def test_an_empty_variable_leaves_the_line_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("LOG_LEVEL=debug\n", encoding="utf-8")
    monkeypatch.setenv("LOG_LEVEL", "")

    assert read_settings().log_level == "DEBUG"


def test_a_wrong_log_level_is_told_those_that_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "loud")

    with pytest.raises(InputError, match="LOG_LEVEL is 'loud': input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"):
        read_settings()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", ".env")

    (tmp_path / ".env").write_text("LOG_LEVEL=DEBUG\n", encoding="utf-8")
    monkeypatch.setattr("dotenv.main.open", refuse, raising=False)

    with pytest.raises(InputError, match=r"the settings cannot be read: .*Permission denied.*\.env"):
        read_settings()
