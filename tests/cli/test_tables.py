from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import FakeServer, Run

EPS = {
    "name": "eps",
    "columns": ["eps"],
    "rows": 3,
    "symbols": 2,
    "periods": 2,
    "revisions": 1,
    "first_period": "2024-01-01T00:00:00Z",
    "last_period": "2024-01-01T00:00:00Z",
    "first_known": "2024-04-26T04:00:00Z",
    "last_known": "2024-06-03T04:00:00Z",
    "source": "eps.csv",
    "layout": "read as: comma-separated, known at the end of the day in America/New_York, periods by quarter",
    "warnings": ["1 row of 3 were known before their period was over"],
    "sha256": "0" * 64,
    "imported_at": "2024-06-04T00:00:00Z",
}
ROWS = [
    {"known_at": "2024-05-03T04:00:00Z", "period": "2024-01-01T00:00:00Z", "symbol": "AAPL", "values": [1.53]},
    {"known_at": "2024-06-03T04:00:00Z", "period": "2024-01-01T00:00:00Z", "symbol": "MSFT", "values": [None]},
]


def test_an_import_sends_the_file_and_says_how_it_was_read(server: FakeServer, ktrdr: Run, tmp_path: Path) -> None:
    server.on("POST", "/tables/eps_2024/import", EPS)
    (tmp_path / "eps 2024.csv").write_text("symbol,quarter,filed,eps\n")

    ran = ktrdr("data", "import-table", "eps 2024.csv", "--known-at", "filed", "--timezone", "America/New_York")

    assert ran.code == 0, ran.err
    assert ran.out.splitlines() + ran.err.splitlines() == [
        f"eps: {EPS['layout']}",
        "warning: 1 row of 3 were known before their period was over",
        "3 rows of 2 periods, 1 revision, known from 2024-04-26 04:00 to 2024-06-03 04:00",
        "Use it in a strategy: {table: eps, column: eps}",
    ]
    (request,) = server.asked
    assert request.query == {"known_at": "filed", "timezone": "America/New_York", "filename": "eps 2024.csv"}


def test_tables_are_listed_shown_and_removed(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", "/tables", {"tables": [EPS]})
    server.on("GET", "/tables/eps", {"table": EPS, "rows": ROWS})
    server.on("DELETE", "/tables/eps", EPS)

    assert ktrdr("data", "tables", "list").out.splitlines() == [
        "table  rows  revisions  symbols  known from  to          columns",
        "eps       3          1        2  2024-04-26  2024-06-03  eps",
    ]
    assert ktrdr("data", "tables", "show", "eps", "--limit", "2").out.splitlines() == [
        "known at          period      symbol   eps",
        "2024-05-03 04:00  2024-01-01  AAPL    1.53",
        "2024-06-03 04:00  2024-01-01  MSFT       -",
    ]
    removed = ktrdr("data", "tables", "rm", "eps", "--yes")
    assert "Removed eps (3 rows)" in removed.out + removed.err
