"""The table of kinds is whole: every job has its entry, and every entry what it names."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import get_args

import pytest

from ktrdr.jobs.kinds import KINDS, Kind, KindsTable, kind_of, strategy_text
from ktrdr.operations.bridge import ProgressBridge
from ktrdr.operations.operation import INITIAL_PROGRESS, Operation
from ktrdr.operations.status import OperationStatus
from ktrdr.payloads.jobs import AnyJob
from ktrdr.payloads.reading import AnyResults
from tests.payloads.test_jobs import JOBS


def operation_of(job: AnyJob, operation_id: str = "op_1") -> Operation:
    kind, instant = kind_of(job), datetime.now(UTC)
    payload = job.model_dump(mode="json")
    return Operation(
        operation_id,
        kind.operation_type,
        OperationStatus.PENDING,
        instant,
        instant,
        job.describe(),
        INITIAL_PROGRESS,
        payload=payload,
    )


def test_every_kind_of_job_has_an_entry() -> None:
    assert {job.model_fields["kind"].default for job in get_args(AnyJob)} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_a_worker_imports_is_there(kind: Kind) -> None:
    module, _, function = kind.run.partition(":")

    assert callable(getattr(import_module(module), function))


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.kind)
def test_every_kind_has_a_bridge_that_can_be_read(job: AnyJob, tmp_path: Path) -> None:
    KindsTable().create_bridge(operation_of(job), tmp_path / "bridge")

    with ProgressBridge(tmp_path / "bridge") as bridge:
        assert bridge.get_status()["percentage"] == 0.0
        assert bridge.get_metrics() == ([], 0)


def test_the_strategy_of_an_operation_is_the_text_that_it_was_given() -> None:
    texts = [strategy_text(operation_of(job)) for job in JOBS]

    assert texts == ["name: x\n"] * 7 + [None] * 5


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_results_of_a_kind_are_read_as_its_model(kind: Kind) -> None:
    assert kind.results.model_fields["kind"].default == kind.name
    assert kind.results in get_args(AnyResults)
