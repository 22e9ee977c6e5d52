"""Kill what changes a home besides trainings: an import, a resampling, a prune, a repair; and look at what is left."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from tests.e2e.system import System, until

_PRUNED_AT_ONCE = 40
_SIZES = (4_000, 9_000)
"""Rows of the two files that are imported in turn, each in the place of the other."""


@dataclass(slots=True)
class ToolReport:
    """What became of it: how often each was killed, how often before its end, and what was untrue afterwards."""

    kills: Counter[str] = field(default_factory=Counter)
    in_time: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


class Tools:
    """One home, on which tools are killed in turn."""

    def __init__(self, system: System, seed: int) -> None:
        self._system = system
        self._random = random.Random(seed)
        self._usually_s: dict[str, float] = {}
        self._weeks = 0
        self.report = ToolReport()
        self._files = [_write_bars(system.folder / f"bars{rows}.csv", rows) for rows in _SIZES]
        self.deeds: dict[str, Callable[[], None]] = {
            "import": self._kill_import,
            "resample": self._kill_resample,
            "prune": self._kill_prune,
            "doctor --repair": self._kill_repair,
        }

    def prove(self, kills: int, say: Callable[[str], None] = lambda _: None) -> ToolReport:
        self._system.load_sample()
        assert self._import(self._files[0]).wait() == 0
        assert self._system.post("/data/AAPL/1d/resample", {"to": "1w"}).status_code == 200
        self._weeks = self._rows("AAPL", "1w")
        for number in range(kills):
            name = list(self.deeds)[number % len(self.deeds)]
            self.deeds[name]()
            self.report.kills[name] += 1
            say(f"{self.report.kills.total()} tools killed, {len(self.report.faults)} broken promises, last: {name}")
        return self.report

    # -- deeds ---------------------------------------------------------------------------------------------------

    def _kill_import(self) -> None:
        """Its worker dies while bars are replaced: the series holds the old ones or the new ones, all of them."""
        before = self._rows("IMPORTED", "1h")
        file = self._random.choice(self._files)
        with self._import(file) as command:
            began = time.monotonic()
            until(lambda: bool(self._system.at_work()) or command.poll() is not None)
            time.sleep(self._instant("import"))
            for _, worker in self._system.at_work():
                self.report.in_time["import"] += 1
                with suppress(Exception):
                    worker.kill()
            command.wait()
            self._learn("import", began)
        self._check("an import", self._rows("IMPORTED", "1h"), {before, _rows_in(file)})

    def _kill_resample(self) -> None:
        """The server dies while it makes longer bars: there are none, or all."""
        before = self._rows("AAPL", "1w")
        self._kill_server_during("resample", "/data/AAPL/1d/resample", {"to": "1w", "replace": True})
        self._check("a resampling", self._rows("AAPL", "1w"), {before, self._weeks})

    def _kill_prune(self) -> None:
        """The server dies while it removes operations: of those that are left, every file is."""
        self._system.stop()
        names = self._add_ended(_PRUNED_AT_ONCE)
        self._system.start()
        self._kill_server_during("prune", "/operations/prune", {"older_than_days": 1.0})
        left = {operation["operation_id"] for operation in self._system.operations()} & names
        for name in left:
            if not (self._system.home / "operations" / name / "outcome.json").exists():
                self.report.faults.append(f"{name} is listed after a prune, and its files are gone")

    def _kill_repair(self) -> None:
        """It dies at any instant: a second repair ends, and no record is lost."""
        self._system.stop()
        before = self._records()
        self._damage()
        with self._system.popen("doctor", "--repair") as doctor:
            began = time.monotonic()
            time.sleep(self._instant("doctor --repair"))
            self.report.in_time["doctor --repair"] += doctor.poll() is None
            doctor.send_signal(signal.SIGKILL)
        again = self._system.ktrdr("doctor", "--repair")
        self._learn("doctor --repair", began)
        if again.code:
            self.report.faults.append(f"a repair after a killed one ends with {again.code}: {again.out[-500:]}")
        if (after := self._records()) != before:
            self.report.faults.append(f"after a killed repair the records {before ^ after} differ")
        self._system.start()

    def _kill_server_during(self, name: str, path: str, body: dict[str, object]) -> None:
        answered = threading.Event()

        def ask() -> None:
            with suppress(httpx.TransportError):
                self._system.post(path, body)
                answered.set()

        asking = threading.Thread(target=ask)
        began = time.monotonic()
        asking.start()
        time.sleep(self._instant(name))
        self.report.in_time[name] += not answered.is_set()
        self._system.kill()
        asking.join()
        self._learn(name, began)
        self._system.start()

    # -- when to kill --------------------------------------------------------------------------------------------

    def _instant(self, name: str) -> float:
        return self._random.uniform(0.0, self._usually_s.get(name, 0.5))

    def _learn(self, name: str, began: float) -> None:
        """Kills come at any instant of what the last one took, and sometimes after it."""
        self._usually_s[name] = min(4.0, 1.2 * (time.monotonic() - began))

    # -- what is there -------------------------------------------------------------------------------------------

    def _import(self, file: Path) -> subprocess.Popen[str]:
        return self._system.popen("data", "import", file, "IMPORTED", "1h", "--replace")

    def _rows(self, symbol: str, timeframe: str) -> int:
        series = self._system.get("/data").json()["series"]
        return next((s["rows"] for s in series if (s["symbol"], s["timeframe"]) == (symbol, timeframe)), 0)

    def _check(self, what: str, found: int, right: set[int]) -> None:
        if found not in right:
            self.report.faults.append(f"after {what} that was killed there are {found} rows; right are {right}")

    def _records(self) -> set[tuple[str, str]]:
        with closing(sqlite3.connect(self._system.home / "registry.sqlite")) as registry:
            return set(registry.execute("SELECT operation_id, status FROM operations"))

    def _damage(self) -> None:
        """A registry without its table of metrics, a damaged file, and a draft that a killed writer left."""
        home = self._system.home
        (home / "bars" / "AAPL" / ".1d.parquet.0.tmp").write_bytes(b"a draft")
        damaged = home / "operations" / "op_damaged"
        damaged.mkdir(exist_ok=True)
        (damaged / "outcome.json").write_bytes(b"{")
        with closing(sqlite3.connect(home / "registry.sqlite")) as registry:
            registry.execute("DROP TABLE metrics")

    def _add_ended(self, count: int) -> set[str]:
        """Copies of an operation that ended a month ago, with a folder."""
        names = {f"op_old_{self._random.getrandbits(40):x}" for _ in range(count)}
        long_ago = (datetime.now(UTC) - timedelta(days=30)).strftime("%Y-%m-%d %H:%M:%S.%f")
        for name in names:
            folder = self._system.home / "operations" / name
            folder.mkdir()
            (folder / "outcome.json").write_text('{"status": "completed"}')
            self._copy_record(name, created_at=long_ago, updated_at=long_ago, completed_at=long_ago)
        return names

    def _copy_record(self, name: str, **changes: str) -> None:
        with closing(sqlite3.connect(self._system.home / "registry.sqlite")) as registry:
            registry.row_factory = sqlite3.Row
            row = registry.execute("SELECT * FROM operations WHERE status = 'COMPLETED' LIMIT 1").fetchone()
            copy = {**dict(row), "operation_id": name, "idempotency_key": None, **changes}
            marks = ", ".join("?" for _ in copy)
            insert = f"INSERT OR REPLACE INTO operations ({', '.join(copy)}) VALUES ({marks})"
            registry.execute(insert, list(copy.values()))
            registry.commit()


def _write_bars(path: Path, rows: int) -> Path:
    began = datetime(2020, 1, 1, tzinfo=UTC)
    lines = (f"{began + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ},10,11,9,10,100" for hour in range(rows))
    path.write_text("\n".join(("timestamp,open,high,low,close,volume", *lines)) + "\n", encoding="ascii")
    return path


def _rows_in(path: Path) -> int:
    return int(path.stem.removeprefix("bars"))
