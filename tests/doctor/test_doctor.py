"""What `ktrdr doctor` finds in a home, and what it makes of it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sqlalchemy import URL

from ktrdr.cache import FolderCache
from ktrdr.doctor.__main__ import main
from ktrdr.executors.identity import identify
from ktrdr.executors.outcome import Outcome, write_outcome
from ktrdr.findings import Backup
from ktrdr.home import Home, HomeLock
from ktrdr.ledger.store import Ledger
from ktrdr.market.provider import fetch
from ktrdr.market.providers.sample import SampleProvider
from ktrdr.market.store import BarStore
from ktrdr.operations.bridge import BridgeLayout, ProgressBridge
from ktrdr.operations.operation import Operation, WorkerIdentity
from ktrdr.operations.status import OperationStatus
from ktrdr.registry.store import SqlOperationStore, sqlite_url
from ktrdr.saved_models.writing import write_model
from ktrdr.training.checkpoint import Checkpoint, write
from tests.contracts.test_operation_stores import operation
from tests.damage import cut, fill
from tests.made_looks import request
from tests.postgres import Cluster
from tests.training.test_checkpoint import FINGERPRINT, state_of

DONE, LEFT = "op_training_a", "op_training_b"
MODEL, CHECKPOINT = f"models/{DONE}/model.safetensors", f"models/{LEFT}/checkpoints/epoch-000000.safetensors"


def training(name: str, status: OperationStatus, worker: WorkerIdentity | None = None) -> Operation:
    return replace(operation(name.removeprefix("op_")), status=status, worker=worker)


async def record(url: str | URL, *operations: Operation) -> None:
    store = SqlOperationStore(url)
    await store.open()
    for each in operations:
        await store.add(each)
        if each.status.is_terminal:
            await store.finish(each, {"status": "success"}, [{"epoch": 1}, {"epoch": 2}])
    await store.close()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with bars, a completed training, and one that was left running when everything was killed."""
    home = Home(tmp_path_factory.mktemp("sound"))
    left = training(LEFT, OperationStatus.RUNNING, WorkerIdentity(os.getpid(), 1.0))
    asyncio.run(record(sqlite_url(home.registry), training(DONE, OperationStatus.COMPLETED), left))
    for name in (DONE, LEFT):
        folder = home.operations / name
        folder.mkdir(parents=True)
        (home.models / name).mkdir(parents=True)
        ProgressBridge.create(folder / "bridge", BridgeLayout(phases=("Working",), total_steps=1))
        (folder / "job.json").write_text("{}")
    write_outcome(home.operations / DONE, Outcome("completed"))
    write_model(home.models / DONE, {"weights": torch.ones(8)}, {"format": 1})
    (home.models / DONE / "metrics.parquet").write_bytes(b"PAR1 something PAR1")
    write(home.models / LEFT / "checkpoints", Checkpoint.capture(state_of(), FINGERPRINT))
    bars = fetch(SampleProvider(), "AAPL", "1d")
    BarStore(home.bars).merge("AAPL", "1d", bars.frame, bars.provider)
    with closing(Ledger(home.ledger)) as ledger:
        ledger.open_look(request())
    return home.root


@pytest.fixture
def home(sound: Path, tmp_path: Path) -> Path:
    return shutil.copytree(sound, tmp_path / "home")


def examined(home: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """The exit code and what is told as JSON."""
    with redirect_stdout(io.StringIO()) as out:
        code = main(["--home", str(home), "--json", *options])
    report: dict[str, Any] = json.loads(out.getvalue())
    return code, report


def faults(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [finding for finding in report["findings"] if finding["level"] == "fault"]


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_sound_home_is_healthy_and_left_as_it_is(home: Path) -> None:
    before = files(home)

    code, report = examined(home)

    assert (code, report["healthy"], report["server_pid"]) == (0, True, None)
    notes = [finding["what"] for finding in report["findings"] if finding["level"] == "note"]
    assert notes == [f"{LEFT} is RUNNING and no worker is at it"]
    assert {finding["subject"] for finding in report["findings"]} >= {
        "folder",
        "registry",
        "ledger",
        "operations",
        "bars",
        "models",
    }
    assert files(home) == before


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version=99")


def _without_bars(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("DELETE FROM tracks")
        database.commit()


@pytest.mark.parametrize(
    ("damage", "what", "advice"),
    [
        (fill, "is damaged: file is not a database", "restore a copy of it"),
        (_newer, "was written by a newer ktrdr (layout 99; this one reads 1)", "use the newer ktrdr"),
        (_without_bars, "is damaged: 1 reference to rows that are gone", "restore a copy of it"),
    ],
)
def test_a_faulty_ledger_is_named_with_what_mends_it(
    home: Path, damage: Callable[[Path], object], what: str, advice: str
) -> None:
    damage(Home(home).ledger)

    code, report = examined(home, "--repair")

    (fault,) = faults(report)
    assert (code, fault["subject"]) == (1, "ledger")
    assert what in fault["what"]
    assert advice in fault["advice"]


def test_a_ledger_that_others_can_read_and_one_that_is_not_there_are_noted(home: Path) -> None:
    ledger = Home(home).ledger
    ledger.chmod(0o644)
    assert any(f"chmod 600 {ledger}" in finding["advice"] for finding in examined(home)[1]["findings"])

    ledger.unlink()

    _, report = examined(home)
    assert "ledger.sqlite does not exist" in {finding["what"] for finding in report["findings"]}
    assert not faults(report)


MENDABLE = {
    "registry": "registry.sqlite",
    "operations": f"operations/{DONE}/outcome.json",
    "bars": "bars/AAPL/1d.parquet",
    "models": CHECKPOINT,
}


@pytest.mark.parametrize("subject", MENDABLE)
def test_a_fault_is_told_and_repaired_with_a_backup(home: Path, subject: str) -> None:
    fill(home / MENDABLE[subject])
    before = files(home)

    code, report = examined(home)
    assert (code, report["healthy"]) == (1, False)
    (fault,) = faults(report)
    assert (fault["subject"], fault["repairable"], fault["repaired"]) == (subject, True, None)
    assert Path(MENDABLE[subject]).name in fault["what"]
    assert fault["advice"]
    assert files(home) == before

    code, report = examined(home, "--repair")
    assert (code, report["healthy"]) == (0, True)
    assert all(fault["repaired"] for fault in faults(report))
    kept = files(Path(report["backup"]))
    after = files(home)
    assert all(content in (kept.get(path), after.get(path)) for path, content in before.items())

    assert examined(home)[0] == 0


class Killed(BaseException):
    """Nothing cleans up after it."""


def test_an_interrupted_repair_is_named_and_finished(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry, fresh = home / "registry.sqlite", home / "registry.sqlite.new"
    shutil.copy(registry, fresh)
    fill(registry)
    rename = os.rename

    def die_after(source: Path, target: Path) -> None:
        rename(source, target)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", die_after)
        with pytest.raises(Killed):
            Backup(home).replace(registry, fresh)

    code, report = examined(home)
    assert (code, [fault["what"] for fault in faults(report)]) == (1, ["a repair was interrupted between its renames"])
    code, report = examined(home, "--repair")
    assert (code, report["healthy"]) == (0, True)
    assert examined(home)[0] == 0
    assert registry.exists()


def test_what_cannot_be_repaired_is_told_with_advice(home: Path) -> None:
    shutil.rmtree(home / "models" / DONE)

    code, report = examined(home, "--repair")

    assert code == 1
    (fault,) = faults(report)
    assert (fault["what"], fault["repairable"]) == (f"{DONE} is COMPLETED and its folder is gone", False)
    assert "train again" in fault["advice"]


def test_what_is_missing_once_it_was_moved_away_stays_a_fault(home: Path) -> None:
    cut(home / MODEL)

    code, report = examined(home, "--repair")

    assert code == 1
    moved, missing = faults(report)
    assert (moved["what"].split(" is damaged")[0], bool(moved["repaired"])) == (f"{DONE}/model.safetensors", True)
    assert (missing["what"], missing["repaired"]) == (f"{DONE}/model.safetensors is gone", None)


def test_a_cached_dataset_that_is_damaged_is_a_note_and_is_moved_away_when_asked(home: Path) -> None:
    cache = FolderCache(Home(home).datasets, 10**9)
    for key in ("sound", "damaged"):
        cache.add(key, lambda folder: np.save(folder / "values.npy", np.arange(3)))
    assert [f["what"][:12] for f in examined(home)[1]["findings"] if f["subject"] == "cache"] == ["2 datasets, "]
    (cache.root / "damaged" / "values.npy").write_bytes(b"")

    code, report = examined(home)
    _, repaired = examined(home, "--repair")

    assert code == 0
    assert [f["what"] for f in report["findings"] if f["subject"] == "cache"] == [
        "1 dataset in the cache damaged, such as cache/datasets/damaged"
    ]
    assert [entry.folder.name for entry in cache.entries()] == ["sound"]
    assert "cache/datasets/damaged/values.npy" in files(Path(repaired["backup"]))


def test_leftovers_do_no_harm_and_are_moved_away_when_asked(home: Path) -> None:
    draft, upload = home / "bars" / "AAPL" / ".1d.parquet.0f.tmp", home / "uploads" / "0f.csv"
    upload.parent.mkdir()
    for path in (draft, upload):
        path.write_text("half")

    code, report = examined(home)
    assert code == 0
    assert [f["what"][:30] for f in report["findings"] if f["subject"] == "leftovers"] == [
        "1 temporary files of writers t",
        "1 uploads that never ended, 4 ",
    ]

    _, report = examined(home, "--repair")
    assert not draft.exists()
    assert not upload.exists()
    assert set(files(Path(report["backup"]))) == {"bars/AAPL/.1d.parquet.0f.tmp", "uploads/0f.csv"}


def test_a_home_in_use_is_examined_and_not_repaired(home: Path) -> None:
    fill(home / "bars/AAPL/1d.parquet")
    before = files(home)

    with HomeLock(Home(home)):
        code, report = examined(home, "--repair")

    assert (code, report["server_pid"], report["backup"]) == (1, os.getpid(), None)
    assert "stop it first" in report["note"]
    after = files(home)
    assert {path: after[path] for path in before} == before


def test_a_worker_without_a_server_keeps_a_home_from_repair_too(home: Path) -> None:
    worker = identify(os.getpid())
    asyncio.run(record(sqlite_url(Home(home).registry), training("op_live", OperationStatus.RUNNING, worker)))
    fill(home / "bars/AAPL/1d.parquet")

    code, report = examined(home, "--repair")

    assert code == 1
    assert any(finding["subject"] == "workers" and "op_live" in finding["what"] for finding in report["findings"])
    assert "stop it first" in report["note"]


def test_it_is_told_in_words(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(home / "bars/AAPL/1d.parquet")

    assert main(["--home", str(home)]) == 1

    out = capsys.readouterr().out
    assert "FAULT  bars        AAPL/1d.parquet is damaged" in out
    assert "ktrdr data load AAPL 1d --replace" in out
    assert out.endswith("1 fault.\nWhat can be repaired is repaired by: ktrdr doctor --repair\n")


def test_a_walk_forward_is_healthy_without_weights_of_its_own(home: Path) -> None:
    whole = "op_training_folds"
    asyncio.run(record(sqlite_url(Home(home).registry), training(whole, OperationStatus.COMPLETED)))
    for root in (home / "models", home / "operations"):
        (root / whole).mkdir()
    (home / "models" / whole / "model.json").write_text(json.dumps({"operation_ids": [DONE, LEFT]}))

    code, report = examined(home)

    assert (code, faults(report)) == (0, [])


def examined_with(url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, dict[str, Any]]:
    """As a server with this KTRDR_DATABASE_URL would be examined."""
    monkeypatch.setenv("KTRDR_HOME", str(home))
    monkeypatch.setenv("KTRDR_DATABASE_URL", url)
    with redirect_stdout(io.StringIO()) as out:
        code = main(["--json", "--repair"])
    report: dict[str, Any] = json.loads(out.getvalue())
    return code, report


@pytest.mark.processes
def test_a_registry_in_postgresql_is_examined_and_not_repaired(
    home: Path, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.new_database()
    assert examined_with(url, home, monkeypatch)[0] == 0, "a database without tables is a new one"
    asyncio.run(record(url, training(DONE, OperationStatus.COMPLETED), training(LEFT, OperationStatus.CANCELLED)))

    code, report = examined_with(url, home, monkeypatch)
    assert (code, [finding["what"] for finding in report["findings"] if finding["subject"] == "registry"]) == (
        0,
        ["2 operations"],
    )

    shutil.rmtree(home / "models" / DONE)
    postgres.query(f"UPDATE operations SET status='PAUSED' WHERE operation_id='{LEFT}'", url)
    code, report = examined_with(url, home, monkeypatch)
    assert code == 1
    unreadable, gone = faults(report)
    assert (unreadable["what"].split(":")[0], unreadable["repairable"]) == (
        f"the record of {LEFT} is unreadable",
        False,
    )
    assert gone["what"] == f"{DONE} is COMPLETED and its folder is gone"

    postgres.query("UPDATE registry_version SET version_num='99'", url)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert main(["--repair"]) == 2


def test_a_database_that_does_not_answer_is_a_fault(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("asyncpg")

    code, report = examined_with("postgresql+asyncpg://nobody@127.0.0.1:1/ktrdr", home, monkeypatch)

    assert code == 1
    assert "the database that KTRDR_DATABASE_URL names cannot be read: " in faults(report)[0]["what"]


def test_a_sqlite_registry_outside_the_home_is_examined_and_not_repaired(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "outside.sqlite")

    code, report = examined_with(f"sqlite+aiosqlite:///{tmp_path}/outside.sqlite", home, monkeypatch)

    assert (code, faults(report)[0]["repairable"]) == (1, False)
    assert "outside.sqlite is damaged" in faults(report)[0]["what"]


def test_a_folder_that_is_not_there_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--home", str(tmp_path / "none")]) == 2
    assert "there is no folder" in capsys.readouterr().err


@pytest.mark.processes
def test_torch_is_not_needed(home: Path) -> None:
    script = "import sys; from ktrdr.doctor.__main__ import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", script, "--home", str(home)], capture_output=True, check=False)

    assert done.returncode == 0, done.stderr
