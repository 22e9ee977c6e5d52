"""Recognises worker processes by what neither a step of the clock nor a reused process id changes."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from functools import cache
from pathlib import Path

import psutil

from ktrdr.executors.outcome import crash_log_of
from ktrdr.operations.operation import WorkerIdentity

_HAS_PROC = sys.platform == "linux"
_DEAD = (psutil.STATUS_ZOMBIE, "Z", "X")
_ProcessGone = (FileNotFoundError, ProcessLookupError, psutil.NoSuchProcess)


class Liveness(Enum):
    ALIVE = auto()
    GONE = auto()
    UNKNOWN = auto()
    """The system could not say just now, for example because no descriptor was free."""


def identify(pid: int) -> WorkerIdentity:
    """The identity of an existing process, alive or a zombie. Raises psutil.Error or OSError where there is none."""
    _, started_at = _inspect(pid)
    return WorkerIdentity(pid, started_at, boot_id())


def liveness(worker: WorkerIdentity) -> Liveness:
    """Whether this process still runs; a later one with the same pid does not count, nor one of an earlier boot."""
    if worker.boot_id and worker.boot_id != boot_id():
        return Liveness.GONE
    try:
        state, started_at = _inspect(worker.pid)
    except _ProcessGone:
        return Liveness.GONE
    except (OSError, psutil.Error):
        return Liveness.UNKNOWN
    return Liveness.ALIVE if started_at == worker.started_at and state not in _DEAD else Liveness.GONE


def is_alive(worker: WorkerIdentity) -> bool:
    return liveness(worker) is Liveness.ALIVE


def is_gone(worker: WorkerIdentity) -> bool:
    return liveness(worker) is Liveness.GONE


def send_signal(worker: WorkerIdentity, number: signal.Signals) -> None:
    """Signal exactly this process; nothing happens when it has ended."""
    with suppress(ProcessLookupError), pidfd(worker.pid) as descriptor:
        if not is_alive(worker):
            return
        if descriptor is None:
            os.kill(worker.pid, number)
        else:
            signal.pidfd_send_signal(descriptor, number)


@contextmanager
def pidfd(pid: int) -> Iterator[int | None]:
    """A descriptor that stands for the process; None where the system has none to give.

    Raises ProcessLookupError when there is no such process.
    """
    try:
        descriptor = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    except ProcessLookupError:
        raise
    except OSError:
        descriptor = None
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def find_worker(folder: Path) -> WorkerIdentity | None:
    """The process that works in an operation's folder, which shows by the crash log that it holds open.

    This needs no record: it finds the workers of earlier versions, whose records have a wall-clock time, and those
    whose record was lost. Raises OSError when folder or processes cannot be examined just now.
    """
    file = _crash_log_file(folder)
    if file is None:
        return None
    for pid in psutil.pids():
        with suppress(*_ProcessGone, PermissionError, psutil.AccessDenied):  # of another user
            if pid != os.getpid() and file in _open_files(pid):
                return identify(pid)
    return None


def works_in(worker: WorkerIdentity, folder: Path) -> bool:
    """Whether this process works in this folder, and not in the one that it was copied from.

    A process that may not be examined is believed, and so is one whose job has not begun. Raises OSError when the
    folder cannot be examined.
    """
    file = _crash_log_file(folder)
    try:
        return not is_gone(worker) and (file is None or file in _open_files(worker.pid))
    except (OSError, psutil.Error):
        return True


@cache
def boot_id() -> str:
    """Distinguishes the runs of the operating system; empty where it has no such id."""
    if _HAS_PROC:
        with suppress(OSError):
            return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    if sys.platform == "darwin":
        buffer, size = ctypes.create_string_buffer(64), ctypes.c_size_t(64)
        if ctypes.CDLL(None).sysctlbyname(b"kern.bootsessionuuid", buffer, ctypes.byref(size), None, 0) == 0:
            return buffer.value.decode("ascii")
    return ""


def _inspect(pid: int) -> tuple[str, float]:
    """The state of a process and when it started: in seconds since boot, exact to the tick, on Linux.

    Elsewhere psutil gives the start as it was noted at the start, which does not change when the clock is set.
    """
    if not _HAS_PROC:
        process = psutil.Process(pid)
        return process.status(), float(process._ident[1])  # type: ignore[attr-defined]
    content = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    # Counted from behind field 2, which is in parentheses and may contain spaces: state is field 3, start field 22.
    fields = content.rpartition(")")[2].split()
    return fields[0], int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _crash_log_file(folder: Path) -> tuple[int, int] | None:
    """Device and inode of the crash log; None where there is none."""
    try:
        status = crash_log_of(folder).stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _open_files(pid: int) -> Iterator[tuple[int, int]]:
    """Device and inode of every file that the process has open. Raises OSError or psutil.Error."""
    if _HAS_PROC:
        paths = [f"/proc/{pid}/fd/{number}" for number in os.listdir(f"/proc/{pid}/fd")]
    else:
        paths = [file.path for file in psutil.Process(pid).open_files()]
    for path in paths:
        with suppress(FileNotFoundError):  # closed meanwhile
            status = os.stat(path)
            yield status.st_dev, status.st_ino
