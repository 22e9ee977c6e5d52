"""`ktrdr registry move`: all records arrive, or nothing has changed."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ktrdr.home import Home, HomeLock
from ktrdr.operations.operation import Operation, WorkerIdentity
from ktrdr.operations.status import OperationStatus
from ktrdr.operations.store import OperationPage
from ktrdr.payloads.runs import Annotations
from ktrdr.registry import moving
from ktrdr.registry.__main__ import main
from ktrdr.registry.check import check
from ktrdr.registry.runs import SqlRunStore
from ktrdr.registry.store import SqlOperationStore, sqlite_url
from tests.contracts.test_operation_stores import operation
from tests.postgres import Cluster

pytestmark = pytest.mark.processes

DONE = replace(operation("done", minutes=1), status=OperationStatus.COMPLETED, worker=WorkerIdentity(7, 1.25, "boot"))
OPERATIONS: tuple[Operation, ...] = (replace(operation("waiting"), idempotency_key="k"), DONE)
METRICS = [{"epoch": epoch, "val_loss": 1 / epoch, "word": "ü\u2028"} for epoch in range(1, 6)]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    home = Home(tmp_path / "home")
    home.root.mkdir()
    monkeypatch.setenv("KTRDR_HOME", str(home.root))
    monkeypatch.setattr(moving, "_BATCH", 2)
    asyncio.run(fill(home))
    return home


async def fill(home: Home) -> None:
    store = SqlOperationStore(sqlite_url(home.registry))
    await store.open(home)
    for one in OPERATIONS:
        await store.add(one)
    await store.finish(DONE, {"status": "success", "nothing": None}, METRICS)
    await SqlRunStore(store).put({DONE.operation_id: "{}"})
    await SqlRunStore(store).annotate({"op_waiting": Annotations(tags=("baseline",), note="ü")})
    await store.close()


def move(url: object) -> int:
    return main(["--to", str(url)])


def content(url: str, home: Home) -> tuple[OperationPage, object, object, object, object]:
    async def read() -> tuple[OperationPage, object, object, object, object]:
        store = SqlOperationStore(url)
        await store.open(home)
        try:
            results = await store.results_by_id([one.operation_id for one in OPERATIONS])
            metrics = await store.metrics(DONE.operation_id, 0, 9)
            runs = await SqlRunStore(store).all()
            return await store.list(), results, metrics, await store.find_by_key("k"), runs
        finally:
            await store.close()

    return asyncio.run(read())


def test_all_records_arrive_in_postgresql_and_come_back(
    home: Home, tmp_path: Path, postgres: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url, back = postgres.new_database(), f"sqlite+aiosqlite:///{tmp_path}/back.sqlite"
    before = content(str(sqlite_url(home.registry)), home)

    assert move(url) == 0

    printed = capsys.readouterr().out
    (kept,) = (home.root / "backup").iterdir()
    assert "Moved 2 operations and 5 metrics" in printed
    assert str(kept) in printed
    assert f"KTRDR_DATABASE_URL={url}" in printed
    assert not home.registry.exists()
    (finding,) = check(home.registry).findings
    assert f"it was moved: set KTRDR_DATABASE_URL to where it is now; backup/{kept.name}" in finding.advice
    with closing(sqlite3.connect(kept)) as database:
        assert database.execute("SELECT count(*) FROM operations").fetchone() == (2,)
    assert content(url, home) == before
    assert postgres.query("SELECT count(*) FROM operations WHERE results IS NULL", url) == "1"

    monkeypatch.setenv("KTRDR_DATABASE_URL", url)
    assert move(back) == 0
    assert content(back, home) == before


def refuse(url: object, capsys: pytest.CaptureFixture[str]) -> str:
    assert move(url) == 2
    return capsys.readouterr().err


def test_it_is_refused_while_a_server_runs(home: Home, postgres: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    with HomeLock(home):
        assert "a server is running on" in refuse(postgres.new_database(), capsys)


def test_a_target_that_is_not_empty_stays_as_it_is(
    home: Home, postgres: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgres.new_database()
    postgres.query("CREATE TABLE theirs (id INTEGER)", url)

    assert "is not empty: it has theirs" in refuse(url, capsys)

    assert postgres.query("SELECT count(*) FROM pg_tables WHERE schemaname='public'", url) == "1"
    assert home.registry.exists()


@pytest.mark.parametrize("url", ["nonsense", "sqlite:///x", "postgresql+asyncpg://nobody@127.0.0.1:1/x"])
def test_a_target_that_cannot_be_used_changes_nothing(home: Home, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "error: " in refuse(url, capsys)
    assert home.registry.exists()


def test_the_registry_in_use_is_no_target(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert "names the registry that is in use" in refuse(f"sqlite+aiosqlite:///{home.registry}", capsys)


def test_a_record_that_cannot_be_read_is_not_left_behind(
    home: Home, postgres: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgres.new_database()
    with closing(sqlite3.connect(home.registry)) as database:
        database.execute("UPDATE operations SET details='{' WHERE operation_id='op_waiting'")
        database.commit()

    assert "a record cannot be read" in refuse(url, capsys)

    assert postgres.query("SELECT count(*) FROM pg_tables WHERE schemaname='public'", url) == "0"
    assert home.registry.exists()


def test_a_move_that_is_interrupted_leaves_an_empty_target(
    home: Home, postgres: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgres.new_database()
    moved = moving._move_table

    async def die_at_metrics(*arguments: object) -> int:
        if str(arguments[2]) == "metrics":
            postgres.end_connections()
        return await moved(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(moving, "_move_table", die_at_metrics)
        assert "the registry cannot be moved" in refuse(url, capsys)

    assert postgres.query("SELECT count(*) FROM pg_tables WHERE schemaname='public'", url) == "0"
    assert home.registry.exists()
    assert move(url) == 0


def test_what_arrives_differently_is_taken_back(
    home: Home, postgres: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgres.new_database()
    monkeypatch.setattr(moving, "_insertable", lambda rows: [[dict(row) for row in rows[:1]]])

    assert "1 of 2 rows of operations arrived" in refuse(url, capsys)
    assert postgres.query("SELECT count(*) FROM pg_tables WHERE schemaname='public'", url) == "0"
