"""A registry whose file is deleted, exchanged, locked or of another version."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from ktrdr.errors import StorageError
from ktrdr.operations.store import UnreadableRecord
from ktrdr.registry.sqlite_file import log_files
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


async def test_one_that_lacks_a_column_is_refused_with_the_command_that_mends_it(path: Path) -> None:
    first = SqlOperationStore(sqlite_url(path))
    await first.open()
    await first.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("ALTER TABLE operations DROP COLUMN started_at")

    second = SqlOperationStore(sqlite_url(path))
    with pytest.raises(StorageError, match=r"damaged: it has no operations\.started_at") as refused:
        await second.open()

    assert "ktrdr doctor --repair" in refused.value.hint
    await second.close()


async def test_a_record_of_garbage_is_an_error_of_the_registry(store: SqlOperationStore, path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE operations SET details='{'")
        database.commit()

    with pytest.raises(StorageError, match="the record of op_early cannot be read: Expecting") as refused:
        await store.get("op_early")

    assert "ktrdr doctor" in refused.value.hint


async def test_an_unreadable_record_costs_a_list_that_record_only(store: SqlOperationStore, path: Path) -> None:
    for minute, name in enumerate(("odd", "late"), start=1):
        await store.add(operation(name, minutes=minute))
        await store.finish(operation(name, minutes=minute), {"name": name}, [])
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE operations SET status='PAUSED', results='{' WHERE operation_id='op_odd'")
        database.commit()

    page = await store.list()
    assert [readable.operation_id for readable in page.operations] == ["op_late", "op_early"]
    assert page.unreadable == [UnreadableRecord("op_odd", "its status is 'PAUSED', which this version does not know")]
    assert (page.total, page.last_id) == (3, None)
    assert (await store.list(limit=2)).last_id == "op_odd"
    assert [o.operation_id for o in (await store.list(limit=2, before="op_odd")).operations] == ["op_early"]
    assert await store.results_by_id(["op_late", "op_odd", "op_early"]) == {"op_late": {"name": "late"}}
