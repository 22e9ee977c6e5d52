from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.cli.conftest import LOAD, operation, problem, started

if TYPE_CHECKING:
    from tests.cli.conftest import FakeServer, Run

BAR = {
    "timestamp": "2023-01-03T00:00:00Z",
    "open": 130.28,
    "high": 130.9,
    "low": 124.17,
    "close": 125.07,
    "volume": 1.1e8,
}
LOADED = {
    "status": "success",
    "symbol": "AAPL",
    "timeframe": "1d",
    "provider": "sample",
    "note": "yahoo could not be reached; these are the bars that ship with ktrdr",
    "rows_fetched": 250,
    "rows_new": 250,
    "rows_changed": 0,
    "rows_total": 1250,
    "first": "2023-01-03T00:00:00Z",
    "last": "2023-12-29T00:00:00Z",
}


def loading(status: str, percentage: float, **changes: Any) -> dict[str, Any]:
    progress = {
        "percentage": percentage,
        "message": "Loading AAPL 1d from sample",
        "current_step": 1,
        "items_processed": 9,
    }
    return operation(status, operation_id=LOAD, operation_type="DATA_LOAD", progress=progress, **changes)


def serve_load(server: FakeServer) -> None:
    server.on("GET", f"/operations/{LOAD}", loading("RUNNING", 10), loading("RUNNING", 50), loading("COMPLETED", 100))
    server.on("GET", f"/operations/{LOAD}/metrics", {"metrics": [], "new_cursor": 0})
    server.on("GET", f"/operations/{LOAD}/results", LOADED)


def test_load_waits_and_says_plainly_which_provider_served(server: FakeServer, ktrdr: Run) -> None:
    server.on("POST", "/data/load", started(LOAD, "Load started"))
    serve_load(server)

    ran = ktrdr("data", "load", "AAPL", "1d", "--start-date", "2023-01-01", "--end-date", "2023-12-31")

    assert ran.code == 0
    assert server.asked[0].json == {
        "symbol": "AAPL",
        "timeframe": "1d",
        "start_date": "2023-01-01",
        "end_date": "2023-12-31",
        "provider": "auto",
        "replace": False,
    }
    assert [line.split(maxsplit=1)[1] for line in ran.out.splitlines()][:2] == ["AAPL 1d", "sample"]
    assert "rows total    1,250" in ran.out
    assert "2023-01-03 to 2023-12-29" in ran.out
    assert f"note: {LOADED['note']}" in ran.err


def test_a_failed_load_is_exit_code_1(server: FakeServer, ktrdr: Run) -> None:
    server.on("POST", "/data/load", started(LOAD, "Load started"))
    error = {"code": "provider_failed", "detail": "yahoo knows no XXXX", "hint": "check the symbol"}
    server.on("GET", f"/operations/{LOAD}", loading("FAILED", 0, error=error))
    server.on("GET", f"/operations/{LOAD}/metrics", {"metrics": [], "new_cursor": 0})
    server.on("GET", f"/operations/{LOAD}/results", {"status": "failed"})

    ran = ktrdr("data", "load", "XXXX", "1d")

    assert ran.code == 1
    assert ran.err.endswith("error: yahoo knows no XXXX\nhint: check the symbol\n")


def test_show_prints_the_last_bars_and_how_many_there_are(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", "/data/^GSPC/1d", {"symbol": "^GSPC", "timeframe": "1d", "total": 250, "bars": [BAR]})

    ran = ktrdr("data", "show", "^GSPC", "1d", "--start-date", "2023-01-01")

    assert server.asked[0].query == {"start": "2023-01-01", "limit": "5"}
    assert ran.out.splitlines()[1].split() == [
        "2023-01-03",
        "130.2800",
        "130.9000",
        "124.1700",
        "125.0700",
        "110,000,000",
    ]
    assert ran.err == "1 of 250 rows of ^GSPC 1d\n"
    assert ktrdr("data", "show", "^GSPC", "1d", "--json").json["bars"] == [BAR]


def test_import_sends_the_bytes_of_the_file(server: FakeServer, ktrdr: Run, tmp_path: Path) -> None:
    content = b"timestamp,open\n" * 100_000
    (tmp_path / "my bars.csv").write_bytes(content)
    server.on("POST", "/data/MSFT/1d/import", started(LOAD, "Import started"))
    serve_load(server)

    ran = ktrdr("data", "import", "my bars.csv", "MSFT", "1d")

    assert ran.code == 0
    assert server.asked[0].query == {"filename": "my bars.csv"}
    assert server.asked[0].body == content


def test_replacing_is_asked_of_the_server(server: FakeServer, ktrdr: Run, tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_bytes(b"x")
    server.on("POST", "/data/load", started(LOAD, "Load started"))
    server.on("POST", "/data/AAPL/1d/import", started(LOAD, "Import started"))
    serve_load(server)

    ktrdr("data", "load", "AAPL", "1d", "--provider", "synthetic", "--replace")
    ktrdr("data", "import", "bars.csv", "AAPL", "1d", "--replace")

    assert server.asked[0].json["replace"] is True
    imports = [asked.query for asked in server.asked if asked.query and "filename" in asked.query]
    assert imports == [{"filename": "bars.csv", "replace": "true"}]


def test_a_refused_file_shows_the_rows(server: FakeServer, ktrdr: Run, tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_bytes(b"x")
    server.on("POST", "/data/MSFT/1d/import", problem(422, "invalid_bars", "rows 3, 7: high below low"))

    ran = ktrdr("data", "import", "bars.csv", "MSFT", "1d")

    assert (ran.code, ran.err.splitlines()[-1]) == (2, "error: rows 3, 7: high below low")


def test_import_takes_csv_and_parquet_alone(server: FakeServer, ktrdr: Run, tmp_path: Path) -> None:
    (tmp_path / "bars.xlsx").write_bytes(b"x")

    assert ktrdr("data", "import", "bars.xlsx", "MSFT", "1d").code == 2
    assert server.asked == []


def test_list_shows_days_without_hours(server: FakeServer, ktrdr: Run) -> None:
    series = {"symbol": "AAPL", "timeframe": "1d", "rows": 1250, "provider": "sample", "size_bytes": 35_400}
    series |= {"first": "2019-01-02T00:00:00Z", "last": "2023-12-29T00:00:00Z"}
    server.on("GET", "/data", {"series": [series]})

    row = ktrdr("data", "list").out.splitlines()[1].split()

    assert row == ["AAPL", "1d", "1,250", "2019-01-02", "2023-12-29", "sample", "35.4", "kB"]
