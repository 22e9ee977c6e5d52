"""Registries of older versions are brought up to date, whole or not at all; those of newer ones stay untouched."""

from __future__ import annotations

import io
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, redirect_stderr
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.ext.asyncio import create_async_engine

from ktrdr.doctor.__main__ import main as doctor
from ktrdr.errors import StorageError
from ktrdr.findings import Level
from ktrdr.home import Home
from ktrdr.operations.operation import WorkerIdentity
from ktrdr.registry import migrations, schema
from ktrdr.registry.check import check
from ktrdr.registry.schema import NEWEST
from ktrdr.registry.sqlite_file import back_up, connected
from ktrdr.registry.store import SqlOperationStore, sqlite_url
from ktrdr.registry.tables import VERSION_TABLE, Base
from tests.postgres import Cluster
from tests.registry import old_registry

pytestmark = pytest.mark.anyio

DONE = old_registry.insert("op_training_old", "TRAINING", "COMPLETED", {"lane": "training"}, {"status": "success"})


NEWER = str(int(NEWEST) + 1)
OLD_TABLES = [("metrics",), ("operations",), ("ping",)]
NEW_TABLES = [("home",), ("metrics",), ("operations",), ("ping",), (VERSION_TABLE,), ("runs",)]


async def open_once(path: Path, home: Home | None = None) -> list[str]:
    """The ids of the operations in the registry."""
    store = SqlOperationStore(sqlite_url(path))
    await store.open(home)
    page = await store.list()
    await store.close()
    return [operation.operation_id for operation in page.operations]


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


@pytest.mark.parametrize("has_keys", [True, False])
async def test_an_old_registry_gets_the_tables_of_this_version_and_leaves_a_copy(
    tmp_path: Path, has_keys: bool
) -> None:
    path = tmp_path / "registry.sqlite"
    old_registry.write(path, DONE, has_keys=has_keys)
    before = rows(path, "SELECT * FROM operations")

    assert [finding.level for finding in check(path).findings] == [Level.NOTE]
    assert check(path).completed_trainings == {"op_training_old"}
    assert await open_once(path) == ["op_training_old"]

    (copy,) = (tmp_path / "backup").iterdir()
    assert copy.name.startswith("registry-0.1.0-2")
    assert rows(copy, "SELECT * FROM operations") == before
    assert [finding.level for finding in check(path).findings] == [Level.OK]
    assert rows(path, f"SELECT * FROM {VERSION_TABLE}") == [(NEWEST,)]
    assert await open_once(path) == ["op_training_old"]
    assert list((tmp_path / "backup").iterdir()) == [copy]


def test_the_migrations_make_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    old_registry.write(tmp_path / "registry.sqlite", DONE)
    with create_engine(f"sqlite:///{tmp_path}/registry.sqlite").begin() as connection:
        migrations.upgrade(connection)
        assert differences(connection) == []


def differences(connection: Connection) -> list[object]:
    """What the tables differ in from those of the code."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    found = compare_metadata(context, Base.metadata)
    # A key is unique by a constraint in new registries, and by an index where a migration added it.
    return [each for each in found if "ping" not in str(each) and "idempotency_key" not in str(each)]


def test_the_newest_migration_is_that_of_the_code() -> None:
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(migrations.__file__).parent))
    scripts = ScriptDirectory.from_config(configuration)

    assert scripts.get_heads() == [NEWEST]
    assert [script.revision for script in scripts.walk_revisions()] == [
        str(number) for number in range(int(NEWEST), 0, -1)
    ]


@pytest.mark.processes
@pytest.mark.parametrize("has_keys", [True, False])
async def test_an_old_registry_in_postgresql_is_brought_up_to_date(postgres: Cluster, has_keys: bool) -> None:
    url = postgres.new_database()
    tables = old_registry.tables(old_registry.POSTGRES, has_keys=has_keys)
    postgres.query(";".join((*tables, DONE)), url)
    store = SqlOperationStore(url)

    await store.open()

    done = await store.get("op_training_old")
    assert done is not None
    assert done.worker == WorkerIdentity(4711, 1764144800.25)
    assert await store.add(replace(done, operation_id="op_new", idempotency_key="k"))
    assert not await store.add(replace(done, operation_id="op_newer", idempotency_key="k"))
    await store.close()
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


@pytest.mark.processes
async def test_a_newer_registry_in_postgresql_is_refused(postgres: Cluster) -> None:
    url = postgres.new_database()
    store = SqlOperationStore(url)
    await store.open()
    await store.close()
    postgres.query(f"UPDATE {VERSION_TABLE} SET version_num='{NEWER}'", url)

    with pytest.raises(StorageError, match=f"newer version of ktrdr: its layout is '{NEWER}'"):
        await SqlOperationStore(url).open()


@pytest.mark.parametrize("version", [NEWER, "99", "a1b2c3"])
async def test_a_registry_of_a_newer_version_is_refused_by_all_and_not_touched(tmp_path: Path, version: str) -> None:
    home = Home(tmp_path)
    await open_once(home.registry, home)
    with closing(sqlite3.connect(home.registry)) as database:
        database.executescript(f"UPDATE {VERSION_TABLE} SET version_num='{version}'; PRAGMA journal_mode=DELETE")
    before = home.registry.read_bytes()
    words = rf"newer version of ktrdr: its layout is '{version}'"

    with pytest.raises(StorageError, match=words):
        await open_once(home.registry, home)
    for options in ([], ["--repair"], ["--json"]):
        with redirect_stderr(io.StringIO()) as told:
            assert doctor(["--home", str(tmp_path), *options]) == 2
        assert f"its layout is '{version}'" in told.getvalue()

    assert home.registry.read_bytes() == before
    assert not (tmp_path / "backup").exists()


async def test_a_home_that_may_not_use_the_registry_brings_nothing_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "shared.sqlite"
    (tmp_path / "home").mkdir()
    old_registry.write(path, "CREATE TABLE home (home_id VARCHAR(32) PRIMARY KEY, location VARCHAR NOT NULL)")
    with closing(sqlite3.connect(path)) as database:
        database.execute("INSERT INTO home VALUES ('0f', '/elsewhere')")
        database.commit()

    with pytest.raises(Exception, match="serves another home"):
        await open_once(path, Home(tmp_path / "home"))

    assert rows(path, f"SELECT count(*) FROM sqlite_master WHERE name='{VERSION_TABLE}'") == [(0,)]


def killed_at(step: int, path: Path) -> bool:
    """Open in a process that is killed before its statement, rename or removal number `step`; whether it was."""
    child = os.fork()
    if child == 0:
        try:
            remaining = iter(range(step - 1, -1, -1))

            def count(*_: object) -> None:
                if next(remaining, 1) == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            def count_statement(connection: object, cursor: object, statement: str, *_: object) -> None:
                if not statement.lstrip().startswith(("SELECT", "PRAGMA")):
                    count()

            event.listen(Engine, "before_cursor_execute", count_statement)
            event.listen(Engine, "commit", count)
            sys.addaudithook(lambda name, _: count() if name in ("os.rename", "os.remove", "sqlite3.connect") else None)
            with connected(path, writes=True) as connection:
                schema.prepare(connection, partial(back_up, path))
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.processes
async def test_a_start_that_is_killed_at_any_instant_leaves_the_old_layout_or_the_new(tmp_path: Path) -> None:
    step = 1
    while True:
        folder = tmp_path / str(step)
        folder.mkdir()
        path = folder / "registry.sqlite"
        old_registry.write(path, DONE)
        if not killed_at(step, path):
            break
        tables = rows(path, "SELECT name FROM sqlite_master WHERE type='table' ORDER BY 1")
        assert tables in (OLD_TABLES, NEW_TABLES)
        if step % 10 == 0 or tables == NEW_TABLES:
            assert await open_once(path, Home(folder)) == ["op_training_old"]
        step += 1

    assert step > 12
    assert rows(path, f"SELECT * FROM {VERSION_TABLE}") == [(NEWEST,)]


@pytest.mark.processes
def test_nothing_of_alembic_is_imported_while_there_is_nothing_to_migrate(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path; from ktrdr.registry.store import SqlOperationStore, sqlite_url;"
        f"store = SqlOperationStore(sqlite_url(Path({str(tmp_path)!r}) / 'registry.sqlite'));"
        "asyncio.run(store.open()); print('alembic' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "False\n"
