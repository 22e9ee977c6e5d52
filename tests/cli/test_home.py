"""`ktrdr home backup`, and the program that it becomes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ktrdr.backup.__main__ import main
from ktrdr.home import Home
from ktrdr.registry.store import SqlOperationStore, sqlite_url
from tests.cli.conftest import Run


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.chdir(tmp_path)
    found = Home(tmp_path / "home")
    found.root.mkdir()
    registry = SqlOperationStore(sqlite_url(found.registry))
    await registry.open()
    await registry.close()
    monkeypatch.setenv("KTRDR_HOME", str(found.root))
    return found


def test_backup_becomes_the_program_that_copies(ktrdr: Run, commands: list[list[str]]) -> None:
    assert ktrdr("home", "backup", "there", "--home", "here", "--json").code == 0

    assert commands == [[sys.executable, "-P", "-m", "ktrdr.backup", "--to", "there", "--home", "here", "--json"]]
    assert ktrdr("home", "backup").code == 2


@pytest.mark.anyio
async def test_the_home_of_the_settings_is_backed_up(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--to", "backup"]) == 0

    target = home.root.parent / "backup"
    assert capsys.readouterr().out.splitlines()[0] == f"Backed up 0 operations to {target}"
    assert Home(target).registry.exists()
    assert main(["--to", "backup"]) == 2
    assert capsys.readouterr().err == f"error: {target} is there already\nhint: name a folder that is not there yet\n"
    assert main(["--to", "second", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unfinished"] == []


@pytest.mark.anyio
async def test_a_database_is_left_to_its_own_tools(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KTRDR_DATABASE_URL", "postgresql+asyncpg://nobody@127.0.0.1:1/ktrdr")

    assert main(["--to", "backup"]) == 0

    assert "with pg_dump" in capsys.readouterr().err
    assert not Home(home.root.parent / "backup").registry.exists()


@pytest.mark.anyio
async def test_a_damaged_registry_is_not_backed_up(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.registry.write_bytes(b"no database at all" * 500)

    assert main(["--to", "backup"]) == 1

    assert "cannot be copied: file is not a database" in capsys.readouterr().err
    assert sorted(path.name for path in home.root.parent.iterdir()) == ["home"]
