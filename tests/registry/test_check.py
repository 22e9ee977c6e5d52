"""What a check finds in a registry, and what a repair makes of it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ktrdr.findings import Backup, Finding, Level
from ktrdr.operations.check import RecordedOperation
from ktrdr.operations.operation import Operation, WorkerIdentity
from ktrdr.operations.status import OperationStatus
from ktrdr.registry.check import RegistryCheck, check
from ktrdr.registry.store import SqlOperationStore, sqlite_url
from tests.contracts.test_operation_stores import operation
from tests.damage import Damage, cut, fill

pytestmark = pytest.mark.anyio

DONE, LEFT = "op_training_a", "op_training_b"
WORKER = WorkerIdentity(os.getpid(), 1.0)


async def record(path: Path, operations: Sequence[Operation]) -> None:
    store = SqlOperationStore(sqlite_url(path))
    await store.open()
    for one in operations:
        await store.add(one)
        if one.status.is_terminal:
            await store.finish(one, {"status": "success"}, [{"epoch": 1}, {"epoch": 2}])
    await store.close()


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    done = replace(operation(DONE.removeprefix("op_")), status=OperationStatus.COMPLETED)
    left = replace(operation(LEFT.removeprefix("op_")), status=OperationStatus.RUNNING, worker=WORKER)
    await record(tmp_path / "registry.sqlite", [done, left])
    return tmp_path / "registry.sqlite"


def change(statement: str) -> Damage:
    def damage(path: Path) -> None:
        with closing(sqlite3.connect(path)) as database:
            database.executescript(statement)

    return damage


def fault(examined: RegistryCheck) -> Finding:
    (finding,) = examined.findings
    assert finding.level is Level.FAULT
    return finding


async def test_a_sound_registry_tells_its_records(path: Path) -> None:
    examined = check(path)

    (sound,) = examined.findings
    assert (sound.level, sound.what.split(",")[0]) == (Level.OK, "2 operations")
    assert examined.records == [
        RecordedOperation(DONE, "TRAINING", "COMPLETED", None),
        RecordedOperation(LEFT, "TRAINING", "RUNNING", WORKER),
    ]
    assert (examined.recorded_ids, examined.completed_trainings) == ({DONE, LEFT}, {DONE})


def test_a_registry_that_is_not_there_is_no_fault(tmp_path: Path) -> None:
    examined = check(tmp_path / "registry.sqlite")

    assert [finding.level for finding in examined.findings] == [Level.NOTE]
    assert examined.recorded_ids is None


FAULTS: dict[str, tuple[Damage, str]] = {
    "an older layout": (
        change("PRAGMA legacy_alter_table=ON; ALTER TABLE operations DROP COLUMN started_at"),
        "older layout: it has no operations.started_at",
    ),
    "a column that checks need is missing": (
        change("PRAGMA legacy_alter_table=ON; ALTER TABLE operations DROP COLUMN worker_pid"),
        "older layout: it has no operations.worker_pid",
    ),
    "no table": (change("DROP TABLE metrics"), "has no table metrics"),
    "garbage": (fill, "not a database"),
    "cut off": (cut, "registry.sqlite is damaged"),
    "a record of garbage": (
        change(f"UPDATE operations SET details='{{' WHERE operation_id='{LEFT}'"),
        f"such as that of {LEFT}",
    ),
    "an unknown status": (
        change(f"UPDATE operations SET status='?' WHERE operation_id='{LEFT}'"),
        f"such as that of {LEFT}",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_repaired_and_the_file_as_it_was_is_kept(path: Path, name: str) -> None:
    damage, words = FAULTS[name]
    damage(path)
    before = path.read_bytes()

    finding = fault(check(path))
    assert words in finding.what
    assert finding.advice
    assert path.read_bytes() == before
    assert finding.repair
    backup = Backup(path.parent)
    done = finding.repair(backup)

    assert str(backup.folder) in done
    assert (backup.folder / path.name).read_bytes() == before
    assert [one.level for one in check(path).findings] == [Level.OK]


@pytest.mark.slow
async def test_a_locked_registry_is_looked_at_again_later(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=DELETE")
        database.execute("BEGIN EXCLUSIVE")
        database.execute("CREATE TABLE other (name TEXT)")
        path.with_name(f"{path.name}-wal").touch()  # as one that somebody has open: it may not be read as it lies

        finding = fault(check(path))

    assert (finding.what, finding.repair) == ("registry.sqlite is locked", None)


async def test_a_repair_takes_over_what_can_be_read_of_a_damaged_page(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    await record(
        path, [replace(operation(f"many_{number:03}"), status=OperationStatus.COMPLETED) for number in range(200)]
    )
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = bytes(4096)
    path.write_bytes(content)

    finding = fault(check(path))
    assert finding.repair
    done = finding.repair(Backup(tmp_path))

    with closing(sqlite3.connect(path)) as database:
        (operations,) = database.execute("SELECT count(*) FROM operations").fetchone()
        (metrics,) = database.execute("SELECT count(*) FROM metrics").fetchone()
    assert operations > 100
    assert metrics > 100
    assert f"{operations:,} operations and {metrics:,} metrics" in done
