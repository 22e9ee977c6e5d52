"""What `POST /operations/prune` removes, and what it never does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from ktrdr.api.schemas.operations import Prune
from ktrdr.api.services.retention_service import RetentionService
from ktrdr.errors import ConflictError, OperationNotFound, OperationNotTerminal, StorageError
from ktrdr.home import Home
from ktrdr.operations.operation import INITIAL_PROGRESS, Operation
from ktrdr.operations.removal import Removal
from ktrdr.operations.service import OperationsService
from ktrdr.operations.status import OperationStatus
from ktrdr.operations.store import InMemoryOperationStore
from ktrdr.payloads.jobs import PredictionJob, TrainingJob
from tests.api.test_app import API, assert_problem

pytestmark = pytest.mark.anyio

NOW = datetime.now(UTC)
COMPLETED, FAILED, RUNNING = OperationStatus.COMPLETED, OperationStatus.FAILED, OperationStatus.RUNNING


class _BreakingStore(InMemoryOperationStore):
    """Fails at the removal of one operation."""

    breaks_at = ""

    async def remove(self, operation_id: str) -> None:
        if operation_id == self.breaks_at:
            raise StorageError("the disk is full")
        await super().remove(operation_id)


@dataclass
class Archive:
    store: _BreakingStore
    operations: OperationsService
    retention: RetentionService
    roots: tuple[Path, Path]

    async def keep(self, name: str, days: float, status: OperationStatus = COMPLETED, **changes: Any) -> None:
        """An operation that ended so many days ago, with its folders."""
        ended = NOW - timedelta(days=days)
        operation = Operation(
            operation_id=name,
            operation_type="TRAINING",
            status=status,
            created_at=ended,
            updated_at=ended,
            completed_at=ended if status.is_terminal else None,
            metadata={"strategy": "s", "symbols": ["AAPL"], "timeframes": ["1d"]},
            progress=INITIAL_PROGRESS,
        )
        metadata = {**operation.metadata, **changes.pop("metadata", {})}
        await self.store.add(replace(operation, metadata=metadata, **changes))
        for root in self.roots:
            (root / name / "checkpoints").mkdir(parents=True)
            (root / name / "checkpoints" / "file").write_bytes(b"x" * 100)

    async def prune(self, **request: Any) -> set[str]:
        pruned = await self.retention.prune(Prune(**request))
        return {operation.operation_id for operation in pruned.operations}

    async def remove(self, *names: str) -> list[str]:
        pruned = await self.retention.remove(names, dry_run=False)
        return [operation.operation_id for operation in pruned.operations]

    @property
    def folders(self) -> set[str]:
        first, second = ({folder.name for folder in root.iterdir()} for root in self.roots)
        assert first == second
        return first


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    roots = (tmp_path / "operations", tmp_path / "models")
    store = _BreakingStore()
    operations = OperationsService(store)
    retention = RetentionService(operations, Removal(operations, Home(tmp_path)))
    yield Archive(store, operations, retention, roots)
    await operations.close()


async def test_what_ended_long_ago_goes_with_its_folders(archive: Archive) -> None:
    await archive.keep("old", 31)
    await archive.keep("young", 29)
    await archive.keep("old_failed", 31, FAILED)
    await archive.keep("old_load", 31, operation_type="DATA_LOAD")
    await archive.keep("old_running", 31, RUNNING)

    assert await archive.prune(older_than_days=30) == {"old", "old_failed", "old_load"}

    assert archive.folders == {"young", "old_running"}
    assert await archive.store.get("old") is None
    assert (await archive.operations.list_operations()).total == 2


async def test_a_dry_run_says_what_would_go_and_touches_nothing(archive: Archive) -> None:
    await archive.keep("old", 31)
    await archive.keep("young", 1)

    told = await archive.retention.prune(Prune(older_than_days=30, dry_run=True))

    assert [(gone.operation_id, gone.size_bytes) for gone in told.operations] == [("old", 200)]
    assert (told.dry_run, told.size_bytes, told.kept) == (True, 200, 1)
    assert archive.folders == {"old", "young"}
    assert await archive.store.get("old")


async def test_the_best_of_each_strategy_symbols_and_timeframe_stay(archive: Archive) -> None:
    for name, loss in (("a", 0.7), ("b", 0.5), ("c", 0.6), ("no_loss", None), ("nan", float("nan"))):
        await archive.keep(name, 40, metadata={"best_val_loss": loss})
    await archive.keep("failed", 40, FAILED, metadata={"best_val_loss": 0.1})
    await archive.keep("other_symbols", 40, metadata={"best_val_loss": 0.9, "symbols": ["MSFT"]})
    await archive.keep("other_timeframe", 40, metadata={"best_val_loss": 0.9, "timeframes": ["1h"]})
    await archive.keep("other_strategy", 40, metadata={"best_val_loss": 0.9, "strategy": "t"})

    assert await archive.prune(older_than_days=30, keep_best=2) == {"a", "no_loss", "nan", "failed"}
    assert await archive.prune(older_than_days=30, keep_best=1) == {"c"}


async def test_what_is_just_being_recorded_as_ended_stays(archive: Archive) -> None:
    await archive.keep("ending", 0, RUNNING)
    running = await archive.operations.get_operation("ending")

    await archive.store.update(replace(running, status=COMPLETED, completed_at=NOW))

    assert await archive.prune(older_than_days=0) == set()
    assert await archive.store.get("ending")


async def test_families_stay_or_go_together(archive: Archive) -> None:
    await archive.keep("of_young", 50, FAILED)
    await archive.keep("between", 45, FAILED, parent_id="of_young")
    await archive.keep("young", 1, parent_id="between")
    await archive.keep("of_running", 50, FAILED)
    await archive.keep("running", 49, RUNNING, parent_id="of_running")
    await archive.keep("of_best", 50, FAILED)
    await archive.keep("best", 49, parent_id="of_best", metadata={"best_val_loss": 0.1})
    await archive.keep("parent", 50, FAILED)
    await archive.keep("child", 49, FAILED, parent_id="parent")

    assert await archive.prune(older_than_days=30, keep_best=1) == {"parent", "child"}


async def test_a_removal_cut_short_leaves_no_operation_without_its_files(archive: Archive) -> None:
    for number in range(4):
        await archive.keep(f"op_{number}", 40 - number)
    archive.store.breaks_at = "op_2"

    with pytest.raises(StorageError):
        await archive.prune(older_than_days=30)

    assert archive.folders == {"op_2", "op_3"}
    assert {o.operation_id for o in (await archive.operations.list_operations()).operations} == {"op_2", "op_3"}


async def test_a_folder_that_cannot_go_is_told(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    await archive.keep("old", 40)

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ktrdr.operations.removal.shutil.rmtree", refuse)

    pruned = await archive.retention.prune(Prune(older_than_days=30))

    assert pruned.leftovers == [str(root / "old") for root in archive.roots]
    assert await archive.store.get("old") is None


@pytest.mark.parametrize("name", ["..", ".", "../outside", "/etc"])
async def test_nothing_outside_the_home_is_removed(archive: Archive, name: str) -> None:
    await archive.keep("young", 1)
    young = await archive.store.get("young")
    assert young
    await archive.store.add(replace(young, operation_id=name, completed_at=NOW - timedelta(days=40)))

    with pytest.raises(StorageError):
        await archive.prune(older_than_days=30)

    assert archive.folders == {"young"}


async def test_what_the_filters_describe_goes(archive: Archive) -> None:
    for number in range(3):
        await archive.keep(f"failed_{number}", 10 + number, FAILED)
        await archive.keep(f"completed_{number}", 10 + number)
        await archive.keep(f"load_{number}", 10 + number, operation_type="DATA_LOAD", metadata={"strategy": "t"})

    assert await archive.prune(status="FAILED", keep_last=1, dry_run=True) == {"failed_1", "failed_2"}
    assert await archive.prune(type="DATA_LOAD", older_than_days=11.5, dry_run=True) == {"load_2"}
    assert await archive.prune(strategy="t", dry_run=True) == {"load_0", "load_1", "load_2"}
    assert len(await archive.prune(keep_last=8, dry_run=True)) == 1


def job_of(**payload: Any) -> dict[str, Any]:
    job = TrainingJob(strategy="", strategy_name="s", symbols=("AAPL",), timeframes=("1d",), **payload)
    return {"payload": job.model_dump(mode="json")}


async def test_a_whole_goes_with_its_parts_and_they_only_with_it(archive: Archive) -> None:
    await archive.keep("whole", 10, FAILED)
    await archive.keep("part_1", 9, parent_id="whole", **job_of(part=0))
    await archive.keep("part_2", 8, parent_id="whole", **job_of(part=1))

    with pytest.raises(ConflictError, match="part_1 is a part of whole"):
        await archive.remove("part_1")
    assert await archive.prune(status="COMPLETED") == set()

    assert await archive.remove("whole") == ["part_2", "part_1", "whole"]
    assert archive.folders == set()


async def test_what_was_resumed_goes_with_its_continuation(archive: Archive) -> None:
    await archive.keep("parent", 10, FAILED)
    await archive.keep("child", 9, parent_id="parent")

    with pytest.raises(ConflictError, match="parent was resumed as child") as refused:
        await archive.remove("parent")

    assert refused.value.hint == "remove both with: ktrdr operations rm parent child"
    assert archive.folders == {"parent", "child"}
    assert await archive.remove("parent", "child") == ["child", "parent"]


async def test_what_runs_or_is_needed_is_not_removed(archive: Archive) -> None:
    await archive.keep("model", 10)
    await archive.keep("running", 1, RUNNING)
    job = PredictionJob(model="model", folder="model", symbol="AAPL", last=1)
    await archive.keep("predicting", 1, RUNNING, operation_type="PREDICTION", payload=job.model_dump(mode="json"))

    with pytest.raises(OperationNotTerminal) as running:
        await archive.remove("running")
    with pytest.raises(ConflictError, match="uses the model of model"):
        await archive.remove("model")
    with pytest.raises(OperationNotFound, match="'nothing'"):
        await archive.remove("model", "nothing")

    assert running.value.hint == "end it first with: ktrdr operations cancel running"
    assert await archive.prune(older_than_days=0) == set()
    assert archive.folders == {"model", "running", "predicting"}


class _Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("dies_at", ["the list", "the first record", "the second record", "a folder"])
async def test_after_a_kill_an_operation_is_whole_or_goes_at_the_next_start(
    archive: Archive, dies_at: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        await archive.keep(name, 10)

    def die(*_: object) -> None:
        raise _Killed

    removed = archive.operations.remove_operation

    async def remove_or_die(operation_id: str) -> None:
        if dies_at == ("the first record" if operation_id == "two" else "the second record"):
            raise _Killed
        await removed(operation_id)

    async def die_at_folders(*_: object) -> None:
        raise _Killed

    monkeypatch.setattr(archive.operations, "remove_operation", remove_or_die)
    monkeypatch.setattr(Removal, "_remove_folders", die_at_folders)
    if dies_at == "the list":
        monkeypatch.setattr("ktrdr.operations.removal.write_atomically", die)
    with pytest.raises(_Killed):
        await archive.remove("one", "two")
    monkeypatch.undo()

    operations = OperationsService(archive.store)
    await Removal(operations, Home(tmp_path)).finish()

    recorded = {operation.operation_id for operation in (await operations.list_operations()).operations}
    assert archive.folders == recorded
    assert recorded == {"the second record": {"one"}, "a folder": set()}.get(dies_at, {"one", "two"})
    assert not (tmp_path / "removing.json").exists()


async def test_one_operation_over_http(client: httpx.AsyncClient, loaded: dict[str, Any], tmp_path: Path) -> None:
    path = f"{API}/operations/{loaded['operation_id']}"
    dry = (await client.delete(path, params={"dry_run": True})).json()
    assert (await client.get(path)).status_code == 200

    removed = (await client.delete(path)).json()

    assert removed == {**dry, "dry_run": False}
    assert [gone["has_model"] for gone in removed["operations"]] == [False]
    assert_problem(await client.delete(path), 404, "operation_not_found")
    assert_problem(await client.delete(f"{API}/operations"), 422, "invalid_request")
    assert not list((tmp_path / "home" / "operations").iterdir())


async def test_over_http(client: httpx.AsyncClient, loaded: dict[str, Any], tmp_path: Path) -> None:
    path = f"{API}/operations/{loaded['operation_id']}"
    dry = (await client.post(f"{API}/operations/prune", json={"older_than_days": 0, "dry_run": True})).json()
    assert (await client.get(path)).status_code == 200

    pruned = (await client.post(f"{API}/operations/prune", json={"older_than_days": 0})).json()

    assert pruned == {**dry, "dry_run": False}
    assert [gone["operation_id"] for gone in pruned["operations"]] == [loaded["operation_id"]]
    assert_problem(await client.get(path), 404, "operation_not_found")
    assert not list((tmp_path / "home" / "operations").iterdir())
    assert (await client.get(f"{API}/data/AAPL/1d")).json()["total"] == 1509


@pytest.mark.parametrize(
    "body", [{}, {"older_than_days": -1}, {"older_than_days": 1, "keep_best": -1}, {"older_than_days": True}]
)
async def test_an_age_must_be_given(client: httpx.AsyncClient, body: dict[str, float]) -> None:
    assert_problem(await client.post(f"{API}/operations/prune", json=body), 422, "invalid_request")
