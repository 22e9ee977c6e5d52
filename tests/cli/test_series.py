from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.cli.conftest import problem

if TYPE_CHECKING:
    from tests.cli.conftest import FakeServer, Run

GAP = {"first": "2025-08-07T13:30:00Z", "last": "2025-08-07T19:55:00Z", "bars": 78}
REPORT: dict[str, Any] = {
    "symbol": "AAPL",
    "timeframe": "5m",
    "verdict": "doubtful",
    "score": 99.5,
    "coverage": 0.99999,
    "calendar": {"name": "XNYS", "why": "nothing speaks for another exchange", "is_guess": True},
    "rows": 45993,
    "first": "2024-08-09T08:00:00Z",
    "last": "2025-08-08T23:55:00Z",
    "expected": 19392,
    "present": 19314,
    "missing": 78,
    "faults": [
        {
            "kind": "missing_sessions",
            "severity": "warning",
            "count": 1,
            "message": "1 session missing whole: 2025-08-07",
            "instants": [],
            "bars": 0,
        }
    ],
    "gap_count": 2,
    "longest_gap": 78,
    "gaps": [GAP, {**GAP, "bars": 1}],
}


def test_check_shows_score_guess_faults_and_the_longest_gaps(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", "/data/AAPL/5m/quality", REPORT)

    ran = ktrdr("data", "check", "AAPL", "5m")

    assert ran.code == 0
    assert "99.5 of 100, doubtful" in ran.out
    assert "99.99 %: 19,314 of 19,392" in ran.out  # never 100 % of what is not whole
    assert "XNYS (a guess: nothing speaks for another exchange)" in ran.out
    assert "1 session missing whole: 2025-08-07" in ran.out
    assert ran.out.splitlines()[-2].split() == ["2025-08-07", "13:30", "2025-08-07", "19:55", "78"]
    assert ktrdr("data", "check", "AAPL", "5m", "--json").json["longest_gap"] == 78


def test_check_writes_the_picture_and_passes_the_calendar_on(server: FakeServer, ktrdr: Run, tmp_path: Path) -> None:
    server.on("GET", "/data/AAPL/5m/quality", REPORT | {"faults": [], "gap_count": 0, "gaps": []})
    server.on("GET", "/data/AAPL/5m/quality.png", b"a picture")
    server.on("PUT", "/data/AAPL/calendar", {"calendar": "XNYS"})

    ran = ktrdr("data", "check", "AAPL", "5m", "--calendar", "XNYS", "--plot", "aapl.png")

    assert ran.code == 0
    assert ran.err == "Nothing is wrong with these bars.\n"
    assert (tmp_path / "aapl.png").read_bytes() == b"a picture"
    assert server.asked[0].json == {"calendar": "XNYS"}
    ktrdr("data", "check", "AAPL", "5m", "--calendar", "guess")
    assert server.asked[-2].json == {"calendar": None}
    assert ktrdr("data", "check", "AAPL", "5m", "--plot", "aapl.svg").code == 2


def test_resample_tells_what_it_made_and_what_it_left_out(server: FakeServer, ktrdr: Run) -> None:
    made = {
        "symbol": "AAPL",
        "timeframe": "1h",
        "source": "5m",
        "provider": "resampled from 5m (csv)",
        "calendar": "XNYS",
        "rows_new": 1734,
        "rows_changed": 0,
        "rows_total": 1734,
        "first": "2024-08-09T13:30:00Z",
        "last": "2025-08-08T19:30:00Z",
        "note": "the last 1h bar was not whole and is left out",
    }
    server.on("POST", "/data/AAPL/5m/resample", made)

    ran = ktrdr("data", "resample", "AAPL", "5m", "1h", "--calendar", "XNYS", "--replace")

    assert server.asked[0].json == {"to": "1h", "calendar": "XNYS", "replace": True}
    assert "resampled from 5m (csv)" in ran.out
    assert ran.err == "note: the last 1h bar was not whole and is left out\n"


def test_export_writes_the_file_whole_or_not_at_all(server: FakeServer, ktrdr: Run, tmp_path: Path) -> None:
    server.on("GET", "/data/AAPL/1d/export", b"timestamp,open\n")

    ran = ktrdr("data", "export", "AAPL", "1d", "-o", "aapl.csv", "--start-date", "2023-01-01")

    assert (ran.code, ran.err) == (0, "Wrote aapl.csv (15 B)\n")
    assert server.asked[0].query == {"format": "csv", "start": "2023-01-01"}
    assert (tmp_path / "aapl.csv").read_bytes() == b"timestamp,open\n"
    server.on("GET", "/data/AAPL/1d/export", problem(404, "series_not_found", "no bars of AAPL 1d are stored"))
    assert ktrdr("data", "export", "AAPL", "1d", "-o", "aapl.csv").code == 2
    assert ktrdr("data", "export", "AAPL", "1d", "-o", "no/aapl.csv").code == 1
    assert ktrdr("data", "export", "AAPL", "1d", "-o", "aapl.xlsx").code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["aapl.csv"]
    assert (tmp_path / "aapl.csv").read_bytes() == b"timestamp,open\n"
