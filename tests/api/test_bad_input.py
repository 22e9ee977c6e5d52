"""Bad input gets a clear error with the right code, and leaves nothing half-made."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.live import Live, with_a_year
from tests.refusals import check_problem, stored

GOOD = (Path(__file__).parents[2] / "config" / "strategies" / "test_e2e.yaml").read_text(encoding="utf-8")
UNKNOWN = "op_training_20250123_abc123"
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
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with with_a_year(tmp_path_factory.mktemp("bad_input") / "home") as server:
        yield server


@pytest.fixture(autouse=True)
def _nothing_is_half_made(server: Live) -> Iterator[None]:
    before = stored(server.home)
    yield
    assert stored(server.home) == before
    assert not server.unfinished()


def upload(server: Live, content: bytes, filename: str = "bars.csv", symbol: str = "ACME") -> dict[str, Any]:
    """The import of this file, ended."""
    started = server.post(f"/data/{symbol}/1d/import", params={"filename": filename}, content=content).json()
    return server.end_of(started["operation_id"])


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
def test_a_wrong_strategy_is_refused_with_place_and_nearest_name(server: Live, fault: str) -> None:
    text, words = STRATEGIES[fault]

    verdict = server.post("/strategies/validate", {"strategy": text}).json()
    refused = server.post("/training/start", training(strategy=text))

    assert verdict["valid"] is False
    assert verdict["faults"]
    problem = check_problem(refused, 422, "invalid_strategy", *words)
    assert problem["faults"] == verdict["faults"]


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
def test_an_impossible_training_is_refused_at_once(server: Live, fault: str) -> None:
    changes, status, code, words = TRAININGS[fault]
    count = server.count()

    check_problem(server.post("/training/start", training(**changes)), status, code, *words)

    assert server.count() == count


def test_bars_that_only_rise_have_one_class(server: Live) -> None:
    imported = upload(server, bars().encode(), symbol="RISE")
    try:
        assert imported["status"] == "COMPLETED"

        refused = server.post("/training/start", training(symbols=["RISE"]))

        check_problem(refused, 422, "training_data", "up", "class")
    finally:
        shutil.rmtree(server.home / "bars" / "RISE")


# -- imports ---------------------------------------------------------------------------------------------------------

ROWS = {
    "not a number": ("2023-01-03,abc,103,99,101,1000", ["line 4", "open", "abc"]),
    "NaN": ("2023-01-03,102,nan,100,103,1000", ["line 4", "high"]),
    "infinite": ("2023-01-03,102,inf,100,103,1000", ["line 4", "high", "infinite"]),
    "negative price": ("2023-01-03,102,104,-100,103,1000", ["line 4", "low", "negative"]),
    "negative volume": ("2023-01-03,102,104,100,103,-1", ["line 4", "volume"]),
    "duplicate": ("2023-01-02,102,104,100,103,1000", ["line 4", "seen before"]),
    "unsorted": ("2022-12-31,102,104,100,103,1000", ["line 4", "earlier"]),
    "high below low": ("2023-01-03,102,99,100,103,1000", ["line 4", "high is below"]),
    "a day that is none": ("2023-02-31,102,104,100,103,1000", ["line 4", "2023-02-31"]),
}


@pytest.mark.parametrize("fault", ROWS)
def test_an_import_with_a_bad_row_is_refused_whole(server: Live, fault: str) -> None:
    row, words = ROWS[fault]
    lines = bars().splitlines()
    lines[3] = row

    failed = upload(server, "\n".join(lines).encode())

    assert (failed["status"], failed["error"]["code"]) == ("FAILED", "invalid_bars")
    assert all(word in failed["error"]["detail"] for word in ["bars.csv", *words]), failed["error"]
    assert server.get(f"/operations/{failed['operation_id']}/results").json()["error"] == failed["error"]


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
def test_a_file_that_holds_no_bars_is_refused(server: Live, name: str, content: bytes, words: list[str]) -> None:
    failed = upload(server, content, name)

    assert failed["status"] == "FAILED"
    assert all(word in failed["error"]["detail"] for word in words), failed["error"]


@pytest.mark.parametrize(
    ("filename", "series", "words"),
    [
        ("bars.xlsx", "AAPL/1d", ["bars.xlsx", ".csv"]),
        ("bars.csv", "AAPL/1x", ["1x", "1d"]),
        ("bars.csv", "..%5C..%5Cx/1d", ["..\\\\..\\\\x"]),
    ],
)
def test_files_and_names_that_cannot_be_imported(server: Live, filename: str, series: str, words: list[str]) -> None:
    refused = server.post(f"/data/{series}/import", params={"filename": filename}, content=bars().encode())

    check_problem(refused, 422, "invalid_input", *words)


# -- names that try to leave their folder ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["..%2F..%2Fx", "%2e%2e%2f%2e%2e%2fregistry.sqlite", "..%5C..%5Cx"])
def test_no_name_leads_out_of_its_folder(server: Live, path: str) -> None:
    for place in (f"/data/{path}/1d", f"/operations/{server.load}/artifacts/{path}", f"/models/{path}"):
        refused = server.get(place)
        check_problem(refused, refused.status_code, refused.json()["code"])
        assert refused.status_code in (404, 422)


# -- HTTP ------------------------------------------------------------------------------------------------------------


def test_malformed_bodies(server: Live) -> None:
    for content, words in ((b'{"strategy": ', ["JSON"]), (b"\xff\xfe", ["JSON"]), (b"[]", []), (b"", ["required"])):
        refused = server.post("/training/start", content=content, headers={"content-type": "application/json"})
        check_problem(refused, 422, "invalid_request", *words)
    check_problem(server.post("/data/load", {"symbol": 1, "timeframe": None}), 422, "invalid_request", "symbol")


def test_an_oversized_body(server: Live) -> None:
    large = json.dumps({"strategy": "#" * 3_000_000}).encode()

    refused = server.post("/strategies/validate", content=large, headers={"content-type": "application/json"})

    check_problem(refused, 413, "body_too_large")
    too_long = server.post("/strategies/validate", {"strategy": "#" * 1_000_001})
    check_problem(too_long, 422, "invalid_request", "strategy", "1000000")


@pytest.mark.parametrize("cursor", [-1, 2, 10**12])
def test_a_cursor_out_of_range(server: Live, cursor: int) -> None:
    refused = server.get(f"/operations/{server.load}/metrics", cursor=cursor)

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
def test_wrong_queries(server: Live, path: str, words: list[str]) -> None:
    refused = server.get(path.format(server.load))

    check_problem(refused, 422, refused.json()["code"], *words)


@pytest.mark.parametrize("part", ["", "/metrics", "/results", "/artifacts/metrics_plot"])
def test_an_unknown_operation(server: Live, part: str) -> None:
    check_problem(server.get(f"/operations/{UNKNOWN}{part}"), 404, "operation_not_found", UNKNOWN)


@pytest.mark.parametrize("what", ["cancel", "resume"])
def test_an_unknown_operation_can_be_asked_nothing(server: Live, what: str) -> None:
    check_problem(server.post(f"/operations/{UNKNOWN}/{what}"), 404, "operation_not_found", UNKNOWN)


def test_unknown_places(server: Live) -> None:
    check_problem(server.get("/nowhere"), 404, "not_found", "/api/v1/nowhere")
    check_problem(server.post("/health"), 405, "method_not_allowed", "POST")
    check_problem(server.get("/data/AAPL/1h"), 404, "series_not_found", "ktrdr data load AAPL 1h")
    check_problem(server.get("/indicators/rsx"), 404, "indicator_not_found", "rsx", "did you mean 'rsi'")


def test_an_unknown_provider(server: Live) -> None:
    refused = server.post("/data/load", {"symbol": "AAPL", "timeframe": "1d", "provider": "yaho"})

    check_problem(refused, 422, "invalid_input", "yaho", "yahoo")
