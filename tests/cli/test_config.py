from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ktrdr.settings import Settings

if TYPE_CHECKING:
    from tests.cli.conftest import Run


@pytest.fixture(autouse=True)
def _bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_every_setting_comes_with_its_source(ktrdr: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("LOG_LEVEL=DEBUG\nKTRDR_API_PORT=9000\n", encoding="utf-8")
    monkeypatch.setenv("KTRDR_API_PORT", "9001")

    rows = {row["setting"]: row for row in ktrdr("config", "show", "--json").json}

    assert set(rows) == {name.upper() for name in Settings.model_fields}
    assert (rows["LOG_LEVEL"]["value"], rows["LOG_LEVEL"]["source"]) == ("DEBUG", ".env")
    assert (rows["KTRDR_API_PORT"]["value"], rows["KTRDR_API_PORT"]["source"]) == (9001, "environment")
    assert (rows["KTRDR_API_URL"]["value"], rows["KTRDR_API_URL"]["source"]) == ("http://127.0.0.1:9001", "default")
    assert all(row["description"] for row in rows.values())


def test_the_table_names_every_setting(ktrdr: Run) -> None:
    out = ktrdr("config", "show").out

    assert [line.split()[0] for line in out.splitlines()[1:]] == [name.upper() for name in Settings.model_fields]


def test_passwords_are_masked(ktrdr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTRDR_DATABASE_URL", "postgresql+asyncpg://me:hunter2@db/ktrdr")

    out = ktrdr("config", "show").out

    assert "hunter2" not in out
    assert "postgresql+asyncpg://me:********@db/ktrdr" in out


def test_a_wrong_setting_is_named_with_its_value(ktrdr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPERATIONS_CACHE_TTL", "abc")

    ran = ktrdr("operations", "list")

    assert ran.code == 2
    assert ran.err.startswith("error: OPERATIONS_CACHE_TTL is 'abc': input should be a valid number")
