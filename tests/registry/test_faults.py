"""A registry whose file is deleted, exchanged, locked or of another version."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from ktrdr.errors import StorageError
from ktrdr.registry.layout import log_files
from ktrdr.registry.store import SqlOperationStore, sqlite_url
from tests.contracts.test_operation_stores import operation

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.sqlite"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqlOperationStore]:
    store = SqlOperationStore(sqlite_url(path))
    await store.open()
    await store.add(operation("early"))
    yield store
    await store.close()


@pytest.mark.parametrize("with_its_log", [True, False])
async def test_a_deleted_file_is_written_back_before_the_next_change(
    store: SqlOperationStore, path: Path, with_its_log: bool
) -> None:
    for gone in (path, *log_files(path)) if with_its_log else (path,):
        gone.unlink(missing_ok=True)

    assert await store.get("op_early") == operation("early")
    await store.add(operation("late"))
    await store.close()

    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = database.execute("SELECT operation_id FROM operations ORDER BY 1").fetchall()
    assert rows == [("op_early",), ("op_late",)]


async def test_a_file_in_its_place_is_left_alone_and_nothing_is_recorded_beside_it(
    store: SqlOperationStore, path: Path
) -> None:
    path.rename(path.with_name("moved"))
    path.write_text("somebody else's")

    with pytest.raises(StorageError, match="another file has taken the place"):
        await store.add(operation("late"))

    assert path.read_text() == "somebody else's"
    assert await store.get("op_early") == operation("early")


async def test_one_of_an_older_layout_is_refused_with_the_command_that_mends_it(path: Path) -> None:
    first = SqlOperationStore(sqlite_url(path))
    await first.open()
    await first.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("ALTER TABLE operations DROP COLUMN started_at")

    second = SqlOperationStore(sqlite_url(path))
    with pytest.raises(StorageError, match=r"older layout: it has no operations\.started_at") as refused:
        await second.open()

    assert "ktrdr doctor --repair" in refused.value.hint
    await second.close()


async def test_a_record_of_garbage_is_an_error_of_the_registry(store: SqlOperationStore, path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE operations SET details='{'")
        database.commit()

    with pytest.raises(StorageError, match="holds a record that cannot be read") as told:
        await store.get("op_early")

    assert "ktrdr doctor" in told.value.hint
