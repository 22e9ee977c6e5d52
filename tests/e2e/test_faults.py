"""Files that are damaged, locked or deleted under a running system: a clear state, and the rest goes on."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.system import Done, System, until
from tests.refusals import check_problem

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="files in use cannot be deleted there")

GARBAGE = b"this is neither a database nor a bridge nor bars " * 200


@pytest.fixture(scope="module")
def system(narrow: System) -> System:
    return narrow


@pytest.fixture(autouse=True)
def _no_stack_trace(system: System) -> Iterator[None]:
    seen = system.mark()
    yield
    assert "Traceback" not in system.log(seen)
    assert system.get("/health/ready").json()["status"] == "ready"


def doctor(system: System, *options: str) -> Done:
    return system.ktrdr("doctor", *options)


def running(system: System, strategy: Path, epochs: int = 3) -> str:
    operation_id = system.train(strategy)
    system.wait_for_epochs(operation_id, epochs)
    return operation_id


def test_a_bridge_that_is_cut_off_ends_its_worker_and_not_the_server(system: System, endless: Path) -> None:
    operation_id = running(system, endless)
    worker = system.worker_of(operation_id)
    worker.suspend()
    os.truncate(system.home / "operations" / operation_id / "bridge", 0)

    shown = system.operation(operation_id, force_refresh=True)
    metrics = system.get(f"/operations/{operation_id}/metrics")
    worker.resume()
    failed = system.ended(operation_id, "FAILED")

    assert shown["status"] == "RUNNING"
    assert "cut off" in shown["progress"]["unreadable"]
    check_problem(metrics, 503, "bridge_failed", "cut off")
    assert "killed by SIGBUS" in failed["error"]["detail"]
    assert system.results(operation_id)["status"] == "failed"


def test_bars_that_are_damaged_are_told_and_the_others_are_served(system: System, brief: Path) -> None:
    damaged = system.home / "bars" / "BAD" / "1d.parquet"
    damaged.parent.mkdir()
    damaged.write_bytes(GARBAGE)
    body = {"strategy": brief.read_text(), "symbols": ["BAD"], "timeframes": ["1d"]}

    check_problem(system.get("/data/BAD/1d"), 503, "storage_failed", str(damaged), "damaged", "ktrdr data load BAD 1d")
    check_problem(system.post("/training/start", body), 503, "storage_failed", "damaged")
    symbols = {series["symbol"] for series in system.get("/data").json()["series"]}
    assert symbols & {"AAPL", "BAD"} == {"AAPL"}
    examined = doctor(system, "--repair")
    assert examined.code == 1
    assert "BAD/1d.parquet is damaged" in examined.out
    assert "stop it first" in examined.out
    damaged.unlink()
    damaged.parent.rmdir()


def test_a_damaged_checkpoint_is_passed_over_and_without_a_whole_one_nothing_is_resumed(
    system: System, endless: Path
) -> None:
    parent = running(system, endless, 60)
    checkpoints = system.home / "models" / parent / "checkpoints"
    until(lambda: len(list(checkpoints.glob("*.safetensors"))) > 1)
    system.post(f"/operations/{parent}/cancel")
    system.ended(parent, "CANCELLED")
    *_, before, newest = sorted(checkpoints.glob("*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:-1000])
    examined = doctor(system)
    assert examined.code == 1
    assert f"{newest.name} is damaged" in examined.out

    resumed = system.post(f"/operations/{parent}/resume").json()["operation_id"]
    system.wait_for_epochs(resumed, 1)
    system.post(f"/operations/{resumed}/cancel")
    system.ended(resumed, "CANCELLED")
    before.write_bytes(GARBAGE)
    hopeless = system.post(f"/operations/{parent}/resume").json()["operation_id"]

    failed = system.ended(hopeless, "FAILED")
    assert failed["error"]["code"] == "storage_failed"
    assert "checkpoint" in failed["error"]["detail"]
    for path in (before, newest):
        path.unlink()


def test_a_locked_registry_delays_ends_and_refuses_starts_and_serves_what_it_has(system: System, brief: Path) -> None:
    operation_id = system.train(brief)
    body = {"strategy": brief.read_text(), "symbols": ["AAPL"], "timeframes": ["1d"]}
    with closing(sqlite3.connect(system.home / "registry.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        refused = system.post("/training/start", body)
        listed = system.get("/operations")
        shown = system.operation(operation_id)
        unready = system.get("/health/ready")
        other.execute("ROLLBACK")

    check_problem(refused, 503, "storage_failed", "locked", "try again")
    assert listed.status_code == 200
    assert shown["status"] in {"RUNNING", "COMPLETED"}
    assert unready.status_code == 503
    assert "locked" in unready.json()["registry"]
    system.ended(operation_id)
    assert len(system.metrics(operation_id)["metrics"]) == 2


def test_a_registry_that_is_deleted_is_written_back(system: System, brief: Path) -> None:
    before = {operation["operation_id"]: operation["status"] for operation in system.operations()}
    for path in system.home.glob("registry.sqlite*"):
        path.unlink()

    operation_id = system.train(brief)
    system.ended(operation_id)
    system.stop()
    system.start()

    after = {operation["operation_id"]: operation["status"] for operation in system.operations()}
    assert after == {**before, operation_id: "COMPLETED"}
    assert len(system.metrics(operation_id)["metrics"]) == 2
    assert system.lines("WARNING The registry .* was deleted while in use")


def test_a_registry_of_garbage_keeps_the_server_from_starting_until_it_is_repaired(
    system: System, tmp_path: Path
) -> None:
    (tmp_path / "registry.sqlite").write_bytes(GARBAGE)
    environment = {**system.environment, "KTRDR_HOME": str(tmp_path), "KTRDR_API_PORT": "0"}
    command = [system.python, "scripts/run_api_server.py"]

    refused = subprocess.run(
        command, cwd=system.folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
    assert "error: the registry cannot be used: file is not a database\nhint: " in refused.stderr
    assert "ktrdr doctor" in refused.stderr
    repaired = doctor(system, "--home", str(tmp_path), "--repair", "--json")
    assert (repaired.code, json.loads(repaired.out)["healthy"]) == (0, True)


def test_a_registry_that_cannot_be_written_keeps_the_server_from_starting(system: System, tmp_path: Path) -> None:
    """A file that is bound read-only refuses root too."""
    with closing(sqlite3.connect(tmp_path / "registry.sqlite")) as database:
        database.execute("CREATE TABLE something (x)")
    bind = 'mount --bind "$F" "$F" && mount -o remount,ro,bind "$F"'
    inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", f'{bind} && exec "$0" "$@"']
    environment = {
        **system.environment,
        "KTRDR_HOME": str(tmp_path),
        "KTRDR_API_PORT": "0",
        "F": str(tmp_path / "registry.sqlite"),
    }
    try:
        possible = subprocess.run([*inside, "true"], env=environment, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        possible = False
    if not possible:
        pytest.skip("this system makes no file read-only for a process")

    refused = subprocess.run(
        [*inside, system.python, "scripts/run_api_server.py"],
        cwd=system.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert refused.returncode == 2, refused
    assert "readonly database" in refused.stderr
    assert "ktrdr doctor" in refused.stderr
    assert "Traceback" not in refused.stderr
