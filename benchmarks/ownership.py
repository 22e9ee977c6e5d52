"""Races of two servers for one PostgreSQL, and for one home whose lock file was deleted: one serves, one is refused.

The servers are forks that have everything imported, so that they arrive within milliseconds of each other.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.outcome import Figure, at_least
from ktrdr.bootstrap import serve
from ktrdr.errors import KtrdrError
from ktrdr.home import Home
from ktrdr.settings import Settings
from tests.postgres import WHY_NOT, Cluster, cluster

RACES = 100
_PATIENCE_S = 60.0
_REFUSED = 2
_CRASHED = 3


@dataclass(frozen=True, slots=True)
class Contender:
    """A server that takes part in a race.

    pid: its process
    output: the file of its log and of its refusal
    """

    pid: int
    output: Path

    def is_serving(self) -> bool:
        return "Serving on" in self.output.read_text()

    def is_refused(self) -> bool:
        """Whether it has ended, in words. Raises AssertionError when it has ended otherwise."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        code = os.waitstatus_to_exitcode(status) if pid else None
        assert code in (None, _REFUSED), self.output.read_text()
        return code is not None

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)


def run(races: int = RACES) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="ktrdr-bench-") as name:
        folder = Path(name)
        figures = _figures("one home, its lock file deleted", races, lambda place: _race_for_home(folder / f"h{place}"))
        if not WHY_NOT:
            with cluster() as postgres:
                figures += _figures(
                    "two homes, one PostgreSQL",
                    races,
                    lambda place: _race_for_database(folder / f"d{place}", postgres),
                )
    return figures


def _figures(name: str, races: int, race: Callable[[int], bool]) -> list[Figure]:
    began = time.perf_counter()
    decided = sum(race(place) for place in range(races))
    return [
        Figure(f"{name}: races that one server won and the other was refused in words", decided, "", at_least(races)),
        Figure(f"{name}: a race", (time.perf_counter() - began) / races, "s"),
    ]


def _race_for_home(folder: Path) -> bool:
    """Two at once, and then a third after the lock file was deleted under the winner."""
    home = folder / "home"
    contenders = [_start(home, folder / f"{name}.log") for name in ("first", "second")]
    winner = _decide(contenders)
    Home(home).lock_file.unlink()
    third = _start(home, folder / "third.log")
    _until(third.is_refused)
    winner.stop()
    return not third.is_serving()


def _race_for_database(folder: Path, postgres: Cluster) -> bool:
    url = postgres.new_database()
    contenders = [_start(folder / name, folder / f"{name}.log", url) for name in ("first", "second")]
    _decide(contenders).stop()
    return True


def _decide(contenders: Sequence[Contender]) -> Contender:
    """The one that serves. Raises AssertionError unless the other is refused in words."""
    refused: list[Contender] = []

    def is_decided() -> bool:
        refused.extend(one for one in contenders if one not in refused and one.is_refused())
        return len(refused) == len(contenders) - 1

    _until(is_decided)
    (winner,) = (one for one in contenders if one not in refused)
    _until(winner.is_serving)
    assert all("error: " in one.output.read_text() and not one.is_serving() for one in refused)
    return winner


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "the race is not decided"
        time.sleep(0.01)


def _start(home: Path, output: Path, database_url: str = "") -> Contender:
    output.parent.mkdir(parents=True, exist_ok=True)
    output.touch()
    pid = os.fork()
    if pid == 0:
        code = _CRASHED
        try:
            code = _serve(home, output, database_url)
        finally:
            os._exit(code)
    return Contender(pid, output)


def _serve(home: Path, output: Path, database_url: str) -> int:
    sys.stderr = output.open("a", buffering=1)
    settings = Settings(ktrdr_home=home, ktrdr_database_url=database_url, ktrdr_api_port=0, ktrdr_standby_workers=0)
    try:
        serve(settings)
    except KtrdrError as error:
        sys.stderr.write(f"error: {error.detail}\n")
        return _REFUSED
    return 0
