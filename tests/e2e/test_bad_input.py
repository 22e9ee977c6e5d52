"""Bad input gets a clear error on each way into the system, and what the machine refuses is told.

Every rule has its test in process: `test_bad_input.py` in `tests/api` and `tests/cli`, and `tests/test_bootstrap.py`.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.system import REPOSITORY, STRATEGY, TERMINAL, System, lengthened, until
from tests.refusals import check_problem, check_refusal, stored

GOOD = (REPOSITORY / STRATEGY).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def system(backend: System) -> System:
    return backend


@pytest.fixture(autouse=True)
def _nothing_is_half_made(system: System) -> Iterator[None]:
    before = stored(system.home)
    yield
    assert stored(system.home) == before
    assert {operation["status"] for operation in system.operations()} <= TERMINAL


def training(**changes: Any) -> dict[str, Any]:
    return {"strategy": GOOD, "symbols": ["AAPL"], "timeframes": ["1d"], **changes}


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """A strategy that asks for an indicator that there is none of."""
    path = tmp_path / "wrong.yaml"
    path.write_text(GOOD.replace("name: rsi", "name: rsx", 1), encoding="utf-8")
    return path


def test_over_http(system: System, wrong: Path) -> None:
    refused = system.post("/training/start", training(strategy=wrong.read_text(encoding="utf-8")))

    check_problem(refused, 422, "invalid_strategy", "indicators[1].name", "rsx", "did you mean 'rsi'")


def test_on_the_command_line(system: System, wrong: Path) -> None:
    refused = system.ktrdr("models", "train", "--strategy", wrong, "--symbols", "AAPL", "--timeframes", "1d")

    check_refusal(refused, 2, "indicators[1].name", "rsx", "did you mean 'rsi'")


def test_on_the_command_line_as_json(system: System, wrong: Path) -> None:
    checked = system.ktrdr("strategies", "validate", wrong, "--json")

    verdict = json.loads(checked.out)
    assert (checked.code, verdict["valid"]) == (2, False)
    assert [fault["path"] for fault in verdict["faults"]] == ["indicators[1].name"]


def test_by_a_worker(system: System, tmp_path: Path) -> None:
    lines = ["timestamp,open,high,low,close,volume", *(f"2023-01-{day:02d},10,12,9,11,1000" for day in range(2, 20))]
    lines[5] = lines[4]
    lines[9] = lines[9].replace("1000", "nan")
    path = tmp_path / "broken.csv"
    path.write_text("\n".join(lines), encoding="utf-8")

    refused = system.ktrdr("data", "import", path, "ACME", "1d")

    check_refusal(refused, 1, "broken.csv", "line 6", "line 10", "nothing was stored")


# -- what the machine refuses ----------------------------------------------------------------------------------------


def refused_server(system: System, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [system.python, "scripts/run_api_server.py"]
    environment = {**system.environment, **settings}
    return subprocess.run(
        command, cwd=system.folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def check_start_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done
    assert done.stderr.startswith("error: "), done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def test_a_port_in_use(system: System, tmp_path: Path) -> None:
    done = refused_server(system, KTRDR_HOME=str(tmp_path))

    check_start_refused(done, f"cannot listen on 127.0.0.1:{system.port}", "in use", "--port")
    assert system.get("/health").status_code == 200


def test_a_registry_that_cannot_be_opened(system: System, tmp_path: Path) -> None:
    (tmp_path / "registry.sqlite").mkdir()

    done = refused_server(system, KTRDR_HOME=str(tmp_path), KTRDR_API_PORT="0")

    check_start_refused(done, "registry", "KTRDR_DATABASE_URL")


def test_a_store_that_cannot_be_written(system: System) -> None:
    store, away = system.home / "bars", system.home / "bars.away"
    store.rename(away)
    store.touch()
    try:
        unready = system.get("/health/ready")
        refused = system.ktrdr("data", "load", "AAPL", "1d", "--provider", "sample")
    finally:
        store.unlink()
        away.rename(store)

    assert unready.status_code == 503
    assert str(store) in unready.json()["store"]
    check_refusal(refused, 1, str(store))
    assert system.get("/health/ready").json()["status"] == "ready"


# -- a full disk -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A server whose home is a small disk that only its processes see; it goes with them."""
    system = System(tmp_path_factory.mktemp("small_disk"), KTRDR_STANDBY_WORKERS="0", LOG_LEVEL="INFO")
    system.home.mkdir()
    mount = f'mount -t tmpfs -o size=16m tmpfs "{system.home}" && exec "$0" "$@"'
    before = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount]
    try:
        possible = subprocess.run([*before, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        possible = False
    if not possible:
        pytest.skip("this system gives no small disk to a process")
    try:
        system.start(before)
        system.load_sample("--start-date", "2023-01-01", "--end-date", "2023-12-31")
        yield system
        system.stop()
    finally:
        system.close()


def test_a_disk_that_fills_up_while_a_training_runs(small_disk: System, tmp_path: Path) -> None:
    strategy = lengthened(tmp_path, 100)
    home = Path(f"/proc/{small_disk.pid}/root{small_disk.home}")
    (load,) = small_disk.operations()
    kept = ["/data", "/data/AAPL/1d", f"/operations/{load['operation_id']}/results"]
    before = [small_disk.get(path).content for path in kept]
    operation_id = small_disk.train(strategy)
    small_disk.wait_for_epochs(operation_id, 2)
    (worker,) = small_disk.workers()
    worker.suspend()
    fill(home / "filler")
    worker.resume()

    failed = small_disk.ended(operation_id, "FAILED")
    refused = small_disk.post("/training/start", training())

    assert failed["error"]["code"] == "storage_failed"
    assert "disk is full" in failed["error"]["detail"]
    assert str(small_disk.home / "models" / operation_id) in failed["error"]["detail"]
    assert small_disk.results(operation_id)["status"] == "failed"
    assert small_disk.metrics(operation_id)["new_cursor"] >= 2
    check_problem(refused, 503, "storage_failed")
    assert [small_disk.get(path).content for path in kept] == before
    (home / "filler").unlink()
    until(lambda: all(operation["status"] in TERMINAL for operation in small_disk.operations()))
    small_disk.load_sample()
    assert not [path for path in home.rglob("*") if path.name.endswith((".new", ".tmp"))]


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
