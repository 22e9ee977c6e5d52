"""What a check finds in the folders of operations."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ktrdr.executors.check import WORKERS, check
from ktrdr.executors.identity import identify
from ktrdr.executors.outcome import Outcome, begin_job, write_outcome
from ktrdr.findings import Backup, Finding, Level
from ktrdr.operations.bridge import BridgeLayout, ProgressBridge
from ktrdr.operations.check import RecordedOperation
from ktrdr.operations.operation import WorkerIdentity
from tests.damage import Damage, cut, fill

DONE, LEFT = "op_training_a", "op_training_b"
RECORDS = [
    RecordedOperation(DONE, "TRAINING", "COMPLETED", None),
    RecordedOperation(LEFT, "TRAINING", "RUNNING", WorkerIdentity(os.getpid(), 1.0)),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (DONE, LEFT):
        folder = tmp_path / "operations" / name
        folder.mkdir(parents=True)
        ProgressBridge.create(folder / "bridge", BridgeLayout(phases=("Working",), total_steps=1))
        (folder / "job.json").write_text("{}")
    write_outcome(tmp_path / "operations" / DONE, Outcome("completed"))
    return tmp_path / "operations"


def messages(findings: list[Finding], level: Level = Level.NOTE) -> list[str]:
    return [finding.what for finding in findings if finding.level is level]


def test_what_was_left_running_is_settled_by_the_next_server(root: Path) -> None:
    findings = check(root, RECORDS)

    assert messages(findings, Level.OK) == ["2 folders"]
    assert messages(findings) == [f"{LEFT} is RUNNING and no worker is at it"]


def test_a_living_worker_is_named(root: Path) -> None:
    worker = identify(os.getpid())
    findings = check(root, [RECORDS[0], RecordedOperation(LEFT, "TRAINING", "RUNNING", worker)])

    assert messages(findings) == [f"1 at work: {LEFT}"]
    assert [finding.subject for finding in findings if finding.level is Level.NOTE] == [WORKERS]


HOLD = "import sys; held = open(sys.argv[1]); print('open', flush=True); sys.stdin.read()"


@pytest.mark.processes
@pytest.mark.parametrize("status", ["RUNNING", "PENDING"])
def test_a_worker_is_known_by_what_it_holds_open_where_its_record_is_of_no_use(root: Path, status: str) -> None:
    begin_job(root / LEFT).close()
    record = RecordedOperation(LEFT, "TRAINING", status, WorkerIdentity(os.getpid(), 1.7e9))
    command = [sys.executable, "-c", HOLD, str(root / LEFT / "crash.log")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout
        worker.stdout.readline()

        findings = check(root, [RECORDS[0], record])

        worker.kill()
    assert messages(findings) == [f"1 at work: {LEFT}"]


def test_records_without_folders_are_no_faults(root: Path) -> None:
    findings = check(root.parent / "none", RECORDS)

    assert messages(findings, Level.FAULT) == []
    assert messages(findings) == [
        f"{LEFT} is RUNNING and no worker is at it; it has no folder",
        f"1 have no folder any more, such as {DONE}",
    ]


def test_a_folder_without_record_is_moved_away_when_asked(root: Path) -> None:
    lost = root / "op_training_lost"
    lost.mkdir()
    (lost / "job.json").write_text("{}")

    (finding,) = [finding for finding in check(root, RECORDS) if finding.repair]

    assert (finding.level, finding.what) == (Level.NOTE, "op_training_lost has a folder but no record")
    assert finding.repair
    backup = Backup(root.parent)
    finding.repair(backup)
    assert not lost.exists()
    assert (backup.folder / "operations" / lost.name / "job.json").exists()


def test_folders_are_compared_with_records_only_where_these_are_known(root: Path) -> None:
    assert messages(check(root, None)) == []
    assert len(messages(check(root, []))) == 2


FAULTS: dict[str, tuple[str, Damage, str]] = {
    "bridge cut off": (f"{LEFT}/bridge", cut, "bridge is damaged: its head"),
    "bridge of garbage": (f"{LEFT}/bridge", fill, "not a bridge of this version"),
    "bridge of garbage of what has ended": (f"{DONE}/bridge", fill, "not a bridge of this version"),
    "outcome of garbage": (f"{DONE}/outcome.json", fill, "outcome.json is damaged"),
    "outcome without status": (f"{DONE}/outcome.json", lambda path: fill(path, b"[1]"), "has no valid status"),
    "job of garbage": (f"{DONE}/job.json", lambda path: fill(path, b"\xff"), "job.json is damaged"),
    "job that is no object": (f"{DONE}/job.json", lambda path: fill(path, b"[]"), "it is not a JSON object"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_damaged_file_is_moved_away_when_asked(root: Path, name: str) -> None:
    place, damage, words = FAULTS[name]
    damage(root / place)
    content = (root / place).read_bytes()

    (fault,) = [finding for finding in check(root, RECORDS) if finding.level is Level.FAULT]

    assert fault.what.startswith(place)
    assert words in fault.what
    assert ("its content is in the registry" in fault.advice) == (DONE in place)
    assert fault.repair
    backup = Backup(root.parent)
    fault.repair(backup)
    assert (backup.folder / "operations" / place).read_bytes() == content
    assert messages(check(root, RECORDS), Level.FAULT) == []


def test_an_ended_operation_may_have_a_bridge_of_an_earlier_version(root: Path) -> None:
    for name in (DONE, LEFT):
        bridge = root / name / "bridge"
        bridge.write_bytes(b"KTRDRBR1" + bridge.read_bytes()[8:])

    faults = messages(check(root, RECORDS), Level.FAULT)

    assert [fault.split("/")[0] for fault in faults] == [LEFT]


def test_a_whole_that_waits_for_its_parts_misses_no_worker(root: Path) -> None:
    waits = RecordedOperation("op_training_whole", "TRAINING", "RUNNING", None)
    part = RecordedOperation(LEFT, "TRAINING", "RUNNING", WorkerIdentity(os.getpid(), 1.0), "op_training_whole")

    assert not [what for what in messages(check(root, [waits, part])) if what.startswith("op_training_whole is")]
    assert [what for what in messages(check(root, [waits])) if what.startswith("op_training_whole is")]
