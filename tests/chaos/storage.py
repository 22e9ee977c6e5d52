"""Faults of the disk on real processes: system calls that fail, by strace, and writes that end early, by a limit."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_DETACHING_S = 5.0
_CALLS: dict[str, tuple[str, tuple[int, ...]]] = {
    "open": ("openat", (errno.EIO, errno.ENOSPC, errno.EMFILE)),
    "read": ("pread64", (errno.EIO,)),
    "write": ("pwrite64", (errno.EIO, errno.ENOSPC)),
    "sync": ("fsync,fdatasync", (errno.EIO, errno.ENOSPC)),
    "rename": ("rename,renameat,renameat2", (errno.EIO, errno.ENOSPC)),
}
# Of a worker also calls that a server makes for its event loop, which is not on a disk.
_CALLS_OF_WORKERS = {"read": "read,pread64", "write": "write,pwrite64"}
SHORT = "short write"
KINDS = (*_CALLS, SHORT)
TEXTS = (
    *(os.strerror(number) for number in (errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EFBIG)),
    *("disk I/O error", "disk is full", "unable to open database file", "database disk image is malformed"),
    "exit code 127",
    "its fonts cannot be read",
    "the disk took neither the results nor the reason",
)
"""How errors are named that come from these faults; by SQLite, by the loader of a process, and by FreeType too.

SQLite calls a file malformed also where a read has failed; whether it is, is checked at the end.
"""


def can_inject() -> bool:
    """Whether this system has strace and lets it attach to processes."""
    if shutil.which("strace") is None:
        return False
    tried = subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, check=False)
    return tried.returncode == 0


@dataclass(frozen=True, slots=True)
class Injection:
    """Faults in one process.

    kind: one of KINDS
    is_in_worker: whether the process is a worker, and not a server
    seconds: for how long calls may fail
    times: how many calls fail at most
    """

    kind: str
    is_in_worker: bool
    seconds: float
    times: int

    @classmethod
    def draw(cls, kind: str, chosen: random.Random, *, is_in_worker: bool) -> Injection:
        return cls(kind, is_in_worker, chosen.uniform(0.5, 3.0), chosen.choice((1, 1, 2, 5, 1000)))

    def happen(self, process: psutil.Process, chosen: random.Random, folder: Path) -> int:
        """Let it happen, and return how many calls have failed; zero when there was none to fail, or no process."""
        with suppress(psutil.NoSuchProcess):
            return self._limit(process, chosen) if self.kind == SHORT else self._trace(process, chosen, folder)
        return 0

    def _limit(self, process: psutil.Process, chosen: random.Random) -> int:
        """A write beyond the limit is cut short there, and the next one fails."""
        before = process.rlimit(psutil.RLIMIT_FSIZE)
        limit = chosen.randrange(1, 100_000), before[1]
        process.rlimit(psutil.RLIMIT_FSIZE, limit)
        try:
            time.sleep(self.seconds)
        finally:
            _replace_limit(process, limit, before)
        return 1

    def _trace(self, process: psutil.Process, chosen: random.Random, folder: Path) -> int:
        calls, numbers = _CALLS[self.kind]
        if self.is_in_worker:
            calls = _CALLS_OF_WORKERS.get(self.kind, calls)
        first, number = chosen.choice((1, 1, 2)), errno.errorcode[chosen.choice(numbers)]
        log = folder / "strace.log"
        command = ["strace", "-f", "-o", str(log), "-p", str(process.pid), "-e", f"trace={calls}"]
        command += ["-e", f"inject={calls}:error={number}:when={first}..{first + self.times - 1}"]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as strace:
            assert strace.stderr
            strace.stderr.readline()  # "Process … attached"
            time.sleep(self.seconds)
            strace.terminate()
            try:
                strace.communicate(timeout=_DETACHING_S)
            except subprocess.TimeoutExpired:  # it waits for a process that does not stop; the kernel lets that go
                strace.kill()
        process.resume()
        return log.read_text(errors="replace").count("(INJECTED)")


def _replace_limit(process: psutil.Process, limit: tuple[int, int], before: tuple[int, int]) -> None:
    """Also in the processes that it has started meanwhile, and those that they have."""
    with suppress(psutil.NoSuchProcess):
        if process.rlimit(psutil.RLIMIT_FSIZE) == limit:
            process.rlimit(psutil.RLIMIT_FSIZE, before)
        for child in process.children():
            _replace_limit(child, limit, before)
