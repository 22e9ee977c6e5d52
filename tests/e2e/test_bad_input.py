"""Bad input gets a clear error with the right code, and leaves nothing half-made."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.system import (
    REPOSITORY,
    STRATEGY,
    TERMINAL,
    System,
    check_problem,
    check_refusal,
    lengthened,
    until,
)

GOOD = (REPOSITORY / STRATEGY).read_text(encoding="utf-8")
HEADER = "timestamp,open,high,low,close,volume\n"


def bars(first: float = 100.0, step: float = 1.0, rows: int = 120) -> str:
    """CSV of daily bars that rise steadily."""
    lines = []
    for row in range(rows):
        price = first + row * step
        day = f"2023-{1 + row // 28:02d}-{1 + row % 28:02d}"
        lines.append(f"{day},{price},{price + 2},{price - 2},{price + 1},1000")
    return HEADER + "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("bad_input"), KTRDR_STANDBY_WORKERS="0")
    try:
        system.start()
        system.load_sample("--start-date", "2023-01-01", "--end-date", "2023-12-31")
        yield system
        system.stop()
    finally:
        system.close()


@pytest.fixture(autouse=True)
def _nothing_is_half_made(system: System) -> Iterator[None]:
    before = stored(system.home)
    yield
    assert stored(system.home) == before
    assert {operation["status"] for operation in system.operations()} <= TERMINAL


def stored(home: Path) -> Mapping[str, str]:
    """The bars, models and uploads there are, with their content."""
    files = [path for folder in ("bars", "models", "uploads") for path in (home / folder).rglob("*") if path.is_file()]
    return {
        str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if not path.name.endswith(".lock")
    }


def training(**changes: Any) -> dict[str, Any]:
    return {"strategy": GOOD, "symbols": ["AAPL"], "timeframes": ["1d"], **changes}


def replaced(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


# -- strategies ------------------------------------------------------------------------------------------------------

STRATEGIES = {
    "unknown indicator": (replaced("name: rsi", "name: rsx"), ["indicators[1].name", "rsx", "rsi"]),
    "unknown parameter": (replaced("period: 20", "perod: 20"), ["indicators[0]", "perod", "period"]),
    "unknown key": (replaced("epochs: 10", "epoch: 10"), ["training", "epoch", "epochs"]),
    "unknown model": (replaced("type: lstm", "type: lstn"), ["model.type", "lstn", "lstm"]),
    "period of 0": (replaced("period: 20", "period: 0"), ["indicators[0].period", "0"]),
    "split of 1.5": (replaced("validation_split: 0.2", "validation_split: 1.5"), ["training.validation_split", "1.5"]),
    "epochs of -1": (replaced("epochs: 10", "epochs: -1"), ["training.epochs", "-1"]),
    "a rate that is no number": (
        replaced("batch_size: 32", "learning_rate: .nan"),
        ["training.learning_rate", "nan"],
    ),
    "text for a number": (replaced("batch_size: 32", "batch_size: many"), ["training.batch_size", "many"]),
    "a list for the whole": ("- 1\n- 2\n", ["mapping"]),
    "no YAML": ("name: [unclosed\n", ["line"]),
    "a key twice": (GOOD + "\nname: again\n", ["name"]),
    "an object of Python": ("name: !!python/object/apply:os.system ['true']\n", ["python"]),
    "empty": ("", ["empty"]),
    "only a comment": ("# nothing\n", ["empty"]),
    "binary": ("\x00\x01\x02", ["line"]),
    "a cycle": ("name: &a [*a]\n", ["anchors and aliases"]),
    "nested bombs": (
        "a: &a [1,1,1,1,1,1,1,1,1]\n"
        + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        ["anchors and aliases"],
    ),
}


@pytest.mark.parametrize("fault", STRATEGIES)
def test_a_wrong_strategy_is_refused_with_place_and_nearest_name(system: System, fault: str) -> None:
    text, words = STRATEGIES[fault]

    verdict = system.post("/strategies/validate", {"strategy": text}).json()
    refused = system.post("/training/start", training(strategy=text))

    assert verdict["valid"] is False
    assert verdict["faults"]
    problem = check_problem(refused, 422, "invalid_strategy", *words)
    assert problem["faults"] == verdict["faults"]


def test_all_faults_of_a_strategy_are_told_at_once(system: System, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(
        replaced("name: rsi", "name: rsx").replace("type: lstm", "type: lstn").replace("epochs: 10", "epochs: -1"),
        encoding="utf-8",
    )

    checked = system.ktrdr("strategies", "validate", path)
    refused = system.ktrdr("models", "train", "--strategy", path, "--symbols", "AAPL", "--timeframes", "1d")

    assert checked.code == 2
    for told in (checked.out, refused.err):
        assert all(word in told for word in ("rsx", "lstn", "-1", "'rsi'", "'lstm'")), told
    check_refusal(refused, 2)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", ["empty"]), (b"\xff\xfe\x00", ["UTF-8"]), (b"#" * 1_000_001, ["1,000,001", "1,000,000"])],
    ids=["empty", "binary", "huge"],
)
def test_no_strategy_in_the_file(system: System, tmp_path: Path, content: bytes, words: list[str]) -> None:
    path = tmp_path / "strategy.yaml"
    path.write_bytes(content)

    refused = system.ktrdr("models", "train", "--strategy", path, "--symbols", "AAPL", "--timeframes", "1d")

    check_refusal(refused, 2, *words)


# -- what to train on ------------------------------------------------------------------------------------------------

TRAININGS: dict[str, tuple[dict[str, Any], int, str, list[str]]] = {
    "unknown symbol": ({"symbols": ["APPL"]}, 409, "conflict", ["APPL", "ktrdr data load APPL 1d"]),
    "unknown timeframe": ({"timeframes": ["1x"]}, 422, "invalid_input", ["1x", "1d"]),
    "no timeframe": ({"timeframes": []}, 422, "invalid_input", ["timeframe", "--timeframes 1d"]),
    "two timeframes": ({"timeframes": ["1d", "1h"]}, 409, "conflict", ["ktrdr data load AAPL 1h"]),
    "a timeframe that is not stored": ({"timeframes": ["1h"]}, 409, "conflict", ["ktrdr data load AAPL 1h"]),
    "a symbol that leaves its folder": ({"symbols": ["../../x"]}, 422, "invalid_input", ["../../x"]),
    "no symbols": ({"symbols": []}, 422, "invalid_request", ["symbols"]),
    "reversed dates": (
        {"start_date": "2023-06-30", "end_date": "2023-01-01"},
        422,
        "invalid_input",
        ["2023-06-30", "2023-01-01"],
    ),
    "no date": ({"start_date": "soon"}, 422, "invalid_request", ["start_date", "soon"]),
    "outside of what is stored": (
        {"start_date": "2031-01-01"},
        422,
        "invalid_input",
        ["2031-01-01", "2023-01-03", "2023-12-29"],
    ),
    "too few bars": ({"end_date": "2023-01-31"}, 422, "training_data", ["20", "need"]),
    "a key too many": ({"symbol": "AAPL"}, 422, "invalid_request", ["symbol"]),
    "wrong types": ({"symbols": "AAPL"}, 422, "invalid_request", ["symbols", "AAPL"]),
}


@pytest.mark.parametrize("fault", TRAININGS)
def test_an_impossible_training_is_refused_at_once(system: System, fault: str) -> None:
    changes, status, code, words = TRAININGS[fault]
    count = len(system.operations())

    check_problem(system.post("/training/start", training(**changes)), status, code, *words)

    assert len(system.operations()) == count


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--symbols", "APPL", "--timeframes", "1d"], ["APPL", "ktrdr data load APPL 1d"]),
        (["--symbols", "../../x", "--timeframes", "1d"], ["../../x"]),
        (["--symbols", "AAPL", "--timeframes", "1d", "--start-date", "31.12.2023"], ["31.12.2023", "YYYY-MM-DD"]),
        (
            ["--symbols", "AAPL", "--timeframes", "1d", "--start-date", "2023-12-31", "--end-date", "2023-01-01"],
            ["2023-12-31", "2023-01-01"],
        ),
        (["--symbols", "AAPL", "--timeframes", "1d", "--end-date", "2023-01-31"], ["20", "need"]),
    ],
    ids=["unknown symbol", "traversal", "no date", "reversed dates", "too few bars"],
)
def test_the_command_line_tells_it_too(system: System, arguments: list[str], words: list[str]) -> None:
    check_refusal(system.ktrdr("models", "train", "--strategy", STRATEGY, *arguments), 2, *words)


def test_bars_that_only_rise_have_one_class(system: System, tmp_path: Path) -> None:
    path = tmp_path / "rise.csv"
    path.write_text(bars(), encoding="utf-8")
    try:
        assert system.ktrdr("data", "import", path, "RISE", "1d").code == 0

        refused = system.post("/training/start", training(symbols=["RISE"]))

        check_problem(refused, 422, "training_data", "up", "class")
    finally:
        shutil.rmtree(system.home / "bars" / "RISE")


# -- imports ---------------------------------------------------------------------------------------------------------

ROWS = {
    "not a number": ("2023-01-03,abc,103,99,101,1000", ["(3)", "open", "abc"]),
    "NaN": ("2023-01-03,102,nan,100,103,1000", ["(3)", "high"]),
    "infinite": ("2023-01-03,102,inf,100,103,1000", ["(3)", "high", "infinite"]),
    "negative price": ("2023-01-03,102,104,-100,103,1000", ["(3)", "low", "negative"]),
    "negative volume": ("2023-01-03,102,104,100,103,-1", ["(3)", "volume"]),
    "duplicate": ("2023-01-02,102,104,100,103,1000", ["(3)", "seen before"]),
    "unsorted": ("2022-12-31,102,104,100,103,1000", ["(3)", "earlier"]),
    "high below low": ("2023-01-03,102,99,100,103,1000", ["(3)", "high is below"]),
    "a day that is none": ("2023-02-31,102,104,100,103,1000", ["(3)", "2023-02-31"]),
}


@pytest.mark.parametrize("fault", ROWS)
def test_an_import_with_a_bad_row_is_refused_whole(system: System, fault: str) -> None:
    row, words = ROWS[fault]
    lines = bars().splitlines()
    lines[3] = row

    started = system.post(
        "/data/ACME/1d/import", params={"filename": "bars.csv"}, content="\n".join(lines).encode()
    ).json()
    failed = system.ended(started["operation_id"], "FAILED")

    assert failed["error"]["code"] == "invalid_bars"
    assert all(word in failed["error"]["detail"] for word in ["bars.csv", *words]), failed["error"]
    assert system.results(started["operation_id"])["error"] == failed["error"]


def test_the_command_line_tells_the_rows(system: System, tmp_path: Path) -> None:
    path = tmp_path / "broken.csv"
    lines = bars().splitlines()
    lines[5] = lines[4]
    lines[9] = lines[9].replace("1000", "nan")
    path.write_text("\n".join(lines), encoding="utf-8")

    refused = system.ktrdr("data", "import", path, "ACME", "1d")

    check_refusal(refused, 1, "broken.csv", "(5)", "(9)", "nothing was stored")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("bars.csv", b"", ["empty"]),
        ("bars.csv", b"a,b\n1,2\n", ["timestamp", "close"]),
        ("bars.csv", b"\xff\x00\xfe", ["UTF-8"]),
        ("bars.parquet", b"no parquet", ["Parquet"]),
    ],
    ids=["empty", "other columns", "binary", "no Parquet"],
)
def test_a_file_that_holds_no_bars_is_refused(system: System, name: str, content: bytes, words: list[str]) -> None:
    started = system.post("/data/ACME/1d/import", params={"filename": name}, content=content).json()

    failed = system.ended(started["operation_id"], "FAILED")

    assert all(word in failed["error"]["detail"] for word in words), failed["error"]


def test_files_and_names_that_cannot_be_imported(system: System, tmp_path: Path) -> None:
    options: dict[str, Any] = {"content": bars().encode()}
    upload = "/data/{}/import"
    for name, series, words in (
        ("bars.xlsx", "AAPL/1d", ["bars.xlsx", ".csv"]),
        ("bars.csv", "AAPL/1x", ["1x", "1d"]),
        ("bars.csv", "..%5C..%5Cx/1d", ["..\\\\..\\\\x"]),
    ):
        refused = system.post(upload.format(series), params={"filename": name}, **options)
        check_problem(refused, 422, "invalid_input", *words)
    check_refusal(system.ktrdr("data", "import", tmp_path / "absent.csv", "AAPL", "1d"), 2, "absent.csv")
    (tmp_path / "bars.xlsx").touch()
    check_refusal(system.ktrdr("data", "import", tmp_path / "bars.xlsx", "AAPL", "1d"), 2, ".csv")


# -- names that try to leave their folder ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["..%2F..%2Fx", "%2e%2e%2f%2e%2e%2fregistry.sqlite", "..%5C..%5Cx"])
def test_no_name_leads_out_of_its_folder(system: System, path: str) -> None:
    loaded = next(o for o in system.operations() if o["status"] == "COMPLETED")

    for place in (f"/data/{path}/1d", f"/operations/{loaded['operation_id']}/artifacts/{path}", f"/models/{path}"):
        refused = system.get(place)
        check_problem(refused, refused.status_code, refused.json()["code"])
        assert refused.status_code in (404, 422)


def test_the_command_line_refuses_them_too(system: System) -> None:
    check_refusal(system.ktrdr("data", "show", "../../x", "1d"), 2, "../../x")
    check_refusal(system.ktrdr("data", "load", "../../x", "1d"), 2, "../../x")


# -- HTTP ------------------------------------------------------------------------------------------------------------


def test_malformed_bodies(system: System) -> None:
    for content, words in ((b'{"strategy": ', ["JSON"]), (b"\xff\xfe", ["JSON"]), (b"[]", []), (b"", ["required"])):
        refused = system.post("/training/start", content=content, headers={"content-type": "application/json"})
        check_problem(refused, 422, "invalid_request", *words)
    check_problem(system.post("/data/load", {"symbol": 1, "timeframe": None}), 422, "invalid_request", "symbol")


def test_an_oversized_body(system: System) -> None:
    large = json.dumps({"strategy": "#" * 3_000_000}).encode()

    refused = system.post("/strategies/validate", content=large, headers={"content-type": "application/json"})

    check_problem(refused, 413, "body_too_large")
    too_long = system.post("/strategies/validate", {"strategy": "#" * 1_000_001})
    check_problem(too_long, 422, "invalid_request", "strategy", "1000000")


@pytest.mark.parametrize("cursor", [-1, 2, 10**12])
def test_a_cursor_out_of_range(system: System, cursor: int) -> None:
    loaded = next(o for o in system.operations() if o["status"] == "COMPLETED")

    refused = system.get(f"/operations/{loaded['operation_id']}/metrics", cursor=cursor)

    problem = check_problem(refused, 422, "invalid_cursor", "cursor", "0", str(cursor))
    assert problem["valid_range"] == [0, 1]  # one page of bars


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/operations?limit=0", ["limit", "0"]),
        ("/operations?status=DONE", ["status", "DONE", "COMPLETED"]),
        ("/operations/{}/metrics?cursor=abc", ["cursor", "abc"]),
        ("/operations/{}/metrics?cursor=99999999999999999999999", ["cursor"]),
        ("/operations/{}?wait=-1", ["wait", "-1"]),
        ("/operations/{}?wait=nan", ["wait", "nan"]),
        ("/data/AAPL/1d?limit=-5", ["limit", "-5"]),
        ("/data/AAPL/1d?start=x", ["start", "x"]),
    ],
)
def test_wrong_queries(system: System, path: str, words: list[str]) -> None:
    loaded = next(o for o in system.operations() if o["status"] == "COMPLETED")

    refused = system.get(path.format(loaded["operation_id"]))

    check_problem(refused, 422, refused.json()["code"], *words)


@pytest.mark.parametrize("part", ["", "/metrics", "/results", "/artifacts/metrics_plot"])
def test_an_unknown_operation(system: System, part: str) -> None:
    unknown = "op_training_20250123_abc123"

    check_problem(system.get(f"/operations/{unknown}{part}"), 404, "operation_not_found", unknown)


def test_an_unknown_operation_on_the_command_line(system: System) -> None:
    unknown = "op_training_20250123_abc123"

    check_refusal(system.ktrdr("operations", "show", unknown), 2, unknown)
    check_problem(system.post(f"/operations/{unknown}/cancel"), 404, "operation_not_found", unknown)
    check_problem(system.post(f"/operations/{unknown}/resume"), 404, "operation_not_found", unknown)


def test_unknown_places(system: System) -> None:
    check_problem(system.get("/nowhere"), 404, "not_found", "/api/v1/nowhere")
    check_problem(system.post("/health"), 405, "method_not_allowed", "POST")
    check_problem(system.get("/data/AAPL/1h"), 404, "series_not_found", "ktrdr data load AAPL 1h")
    check_problem(system.get("/indicators/rsx"), 404, "indicator_not_found", "rsx", "did you mean 'rsi'")


def test_an_unknown_provider(system: System) -> None:
    refused = system.post("/data/load", {"symbol": "AAPL", "timeframe": "1d", "provider": "yaho"})

    check_problem(refused, 422, "invalid_input", "yaho", "yahoo")


def test_a_load_of_what_the_provider_does_not_have(system: System) -> None:
    refused = system.ktrdr("data", "load", "NOPE", "1d", "--provider", "sample")

    check_refusal(refused, 1, "NOPE", "AAPL")
    check_refusal(system.ktrdr("data", "load", "AAPL", "1x"), 2, "1x", "1d")


def test_no_server_at_the_address(system: System) -> None:
    refused = system.ktrdr("--api-url", "http://127.0.0.1:9", "data", "list")

    check_refusal(refused, 3, "no ktrdr server answers at http://127.0.0.1:9", "ktrdr serve")


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


def test_a_home_that_cannot_be_written(system: System, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    done = refused_server(system, KTRDR_HOME=str(tmp_path / "file" / "home"), KTRDR_API_PORT="0")

    check_start_refused(done, str(tmp_path / "file"), "KTRDR_HOME")


def test_a_registry_that_cannot_be_opened(system: System, tmp_path: Path) -> None:
    (tmp_path / "registry.sqlite").mkdir()

    done = refused_server(system, KTRDR_HOME=str(tmp_path), KTRDR_API_PORT="0")

    check_start_refused(done, "registry", "KTRDR_DATABASE_URL")


@pytest.mark.parametrize(
    ("name", "value"), [("KTRDR_API_PORT", "70000"), ("LOG_LEVEL", "LOUD"), ("KTRDR_DATABASE_URL", "nonsense")]
)
def test_settings_that_cannot_be(system: System, tmp_path: Path, name: str, value: str) -> None:
    done = refused_server(system, **{"KTRDR_HOME": str(tmp_path), "KTRDR_API_PORT": "0", name: value})

    check_start_refused(done, name)


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
