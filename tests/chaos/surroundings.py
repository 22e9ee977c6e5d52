"""What surrounds a server and changes while it runs: the clock, the disk, and people who remove files."""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path

from tests.e2e.system import System

_SITE = Path(__file__).with_name("site")
_SHOW = 'mount --bind "$CHAOS_STAT" /proc/stat && exec "$0" "$@"'
_STARTING_S = 60.0


class Surroundings:
    """Prepares a system before its start, and does things to it afterwards.

    The clock: the kernel shows a step as another time of boot, so the server sees a copy of /proc/stat of its own.
    """

    def __init__(self, folder: Path) -> None:
        self._stat = folder / "stat"
        self._faults = folder / "read-faults"
        self._faults.mkdir(parents=True)
        self.settings = {
            "PYTHONPATH": str(_SITE),
            "CHAOS_READ_FAULTS": str(self._faults),
            "CHAOS_STAT": str(self._stat),
        }

    @cached_property
    def wrapper(self) -> Sequence[str]:
        """The command that starts a server whose clock can be set; empty where the system forbids it."""
        proc = Path("/proc/stat")
        if not proc.exists():
            return ()
        self._stat.write_bytes(proc.read_bytes())
        wrapper = ("unshare", "--mount", "sh", "-c", _SHOW)
        environment = {**os.environ, **self.settings}  # noqa: TID251 (for a process)
        try:
            tried = subprocess.run([*wrapper, "true"], env=environment, capture_output=True, check=False)
        except FileNotFoundError:
            return ()
        return () if tried.returncode else wrapper

    def step_clock(self, seconds: int) -> None:
        shown = self._stat.read_text(encoding="ascii")
        self._stat.write_text(
            re.sub(r"(?m)^btime (\d+)$", lambda found: f"btime {int(found[1]) + seconds}", shown), encoding="ascii"
        )

    def fail_next_read(self, operation_id: str, name: str) -> None:
        """Let the next process that opens this file of an operation's folder fail."""
        (self._faults / f"{operation_id}+{name}").touch()


def copy_registry(home: Path, target: Path) -> None:
    """A copy as a backup takes it while the server runs."""
    source = sqlite3.connect(f"file:{home / 'registry.sqlite'}?mode=ro", uri=True)
    with closing(source), closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


def restore_registry(home: Path, copy: Path) -> None:
    for path in home.glob("registry.sqlite*"):
        path.unlink()
    shutil.move(copy, home / "registry.sqlite")


def registry_damage(home: Path) -> str | None:
    """What SQLite's own check finds in the registry of a server that has ended; None where it is whole."""
    with closing(sqlite3.connect(f"file:{home / 'registry.sqlite'}?mode=ro", uri=True)) as registry:
        answer: str = registry.execute("PRAGMA integrity_check").fetchone()[0]
    return None if answer == "ok" else answer


def start_second_server(system: System) -> int | None:
    """The exit code of another server on the same home; None when it serves, and is killed."""
    command = [system.python, "scripts/run_api_server.py"]
    environment = {**system.environment, "KTRDR_API_PORT": "0"}
    with subprocess.Popen(
        command, cwd=system.folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as second:
        try:
            return second.wait(_STARTING_S)
        except subprocess.TimeoutExpired:
            second.kill()
            return None


def random_step(chosen: random.Random) -> int:
    """Seconds forward or back: as NTP corrects, as a suspended machine wakes, as somebody mistypes a year."""
    return chosen.choice((-1, 1)) * chosen.choice((2, 60, 3600, 365 * 86_400))
