"""What a check finds in a registry, and what a repair makes of it."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ktrdr.findings import Backup, Finding, Level, finish_repairs, is_interrupted
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
    "no column": (
        change("PRAGMA legacy_alter_table=ON; ALTER TABLE operations DROP COLUMN started_at"),
        "damaged: it has no operations.started_at",
    ),
    "no column that a migration adds": (
        change("DROP TABLE registry_version; ALTER TABLE operations DROP COLUMN worker_pid"),
        "damaged: it has no operations.worker_pid",
    ),
    "no table": (change("DROP TABLE metrics"), "it has no metrics.operation_id, metrics.position, metrics.record"),
    "garbage": (fill, "not a database"),
    "cut off": (cut, "registry.sqlite is damaged"),
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


UNREADABLE = {
    "details='{'": "Expecting property name",
    "details='[]'": "its details lack",
    "details=json_set(details, '$.colour', 1)": "colour",
    "details=json_remove(details, '$.metadata')": "metadata",
    "details=json_set(details, '$.metadata', 1)": "hold no JSON object under metadata",
    "details=json_remove(details, '$.progress.message')": "its progress has no message",
    "status='PAUSED'": "its status is 'PAUSED', which this version does not know",
    "created_at='noon'": "noon",
    "results='{'": "its results are no JSON",
}


@pytest.mark.parametrize("change_of_it", UNREADABLE)
async def test_an_unreadable_record_is_named_and_never_repaired_away(path: Path, change_of_it: str) -> None:
    change(f"UPDATE operations SET {change_of_it} WHERE operation_id='{LEFT}'")(path)

    finding = fault(check(path))

    assert finding.what.startswith(f"the record of {LEFT} is unreadable: ")
    assert UNREADABLE[change_of_it] in finding.what
    assert finding.repair is None
    assert check(path).recorded_ids == {DONE, LEFT}


async def test_a_repair_takes_over_the_records_that_cannot_be_read(path: Path) -> None:
    change("ALTER TABLE operations DROP COLUMN started_at")(path)
    change(f"UPDATE operations SET status='PAUSED', details='{{' WHERE operation_id='{LEFT}'")(path)

    finding = fault(check(path))
    assert finding.repair
    finding.repair(Backup(path.parent))

    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT operation_id, status FROM operations ORDER BY 1").fetchall()
    assert rows == [(DONE, "COMPLETED"), (LEFT, "PAUSED")]


def test_a_registry_without_tables_is_filled_by_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "registry.sqlite").touch()

    assert [finding.level for finding in check(tmp_path / "registry.sqlite").findings] == [Level.NOTE]


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


def killed_at(step: int, path: Path) -> bool:
    """Repair in a process that is killed before its rename or removal number `step`; whether it was."""
    child = os.fork()
    if child == 0:
        remaining = step

        def count(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal remaining
            if event in ("os.rename", "os.remove"):  # a replacement is a rename
                remaining -= 1
                if remaining == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            fault(check(path)).repair(Backup(path.parent))  # type: ignore[misc]
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.processes
@pytest.mark.parametrize("has_log", [False, True])
async def test_a_repair_that_is_killed_at_any_rename_is_finished_by_the_next(path: Path, has_log: bool) -> None:
    change("ALTER TABLE operations DROP COLUMN started_at")(path)
    if has_log:  # of a process that was killed; it belongs to the damaged file alone
        path.with_name(f"{path.name}-wal").write_bytes(b"")
    damaged = path.read_bytes()

    step = 1
    while killed_at(step, path):
        finish_repairs(path.parent)
        if check(path).findings[0].level is Level.OK:  # it was past the decision
            assert {record.operation_id for record in check(path).records or ()} == {DONE, LEFT}
            path.write_bytes(damaged)
        assert path.read_bytes() == damaged
        assert not is_interrupted(path.parent)
        step += 1

    assert step > 3
    assert {record.operation_id for record in check(path).records or ()} == {DONE, LEFT}
    assert any(kept.read_bytes() == damaged for kept in path.parent.glob("backup/*/registry.sqlite"))


async def test_a_registry_that_cannot_be_read_just_now_is_not_rebuilt(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(sqlite3, "connect", refuse)

    finding = fault(check(path))

    assert (finding.what, finding.repair) == ("registry.sqlite cannot be read just now: disk I/O error", None)
