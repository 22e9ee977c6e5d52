"""The worker process: it warms up, waits for a job on its standard input, runs it and ends, or waits for the next.

While it waits it ends when the server closes its standard input. Once it has a job it runs independently of the server.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import json
import logging
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Self, TextIO

from ktrdr import logs
from ktrdr.errors import KtrdrError, StorageError
from ktrdr.executors.outcome import JOB, Outcome, begin_job, read_job, write_outcome
from ktrdr.masking import masked

logger = logging.getLogger(__name__)

# Exit codes, as of <sysexits.h> where there is one.
ALREADY_BEGUN = 73
OUTCOME_UNWRITABLE = 74
JOB_UNREADABLE = 75

# What it writes to its standard input once a job has ended and the next may come.
ENDED = b"ended\n"
# Then it ends anyway, so that no leak of a library grows for ever.
_MOST_JOBS = 1000


@dataclass(slots=True)
class StopSignal:
    """Becomes true when the process gets a stop signal; batch loops read it, nothing is interrupted.

    requested: whether a stop was requested
    """

    requested: bool = field(default=False)

    def __call__(self) -> bool:
        return self.requested

    def catch(self, number: signal.Signals) -> None:
        """Install the handler and unblock the signal, which the parent has blocked."""
        signal.signal(number, self._on_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})

    def _on_signal(self, *_: object) -> None:
        self.requested = True


JobFunction = Callable[[str, dict[str, Any], Path, StopSignal], Outcome]
"""(operation id, payload, folder, stop) -> outcome"""


def resolve(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    resolved: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return resolved


@dataclass(frozen=True, slots=True)
class Order:
    """The job that a worker runs; one line of JSON on its standard input.

    job: the function, a `JobFunction` named as `package.module:function`
    operation_id: the operation; empty for a job that is not an operation
    folder: the operation's folder, which holds `job.json`
    keeps_worker: whether the worker, once it has completed the job, waits for another one
    """

    job: str
    operation_id: str
    folder: Path
    keeps_worker: bool = False

    def to_line(self) -> bytes:
        return json.dumps([self.job, self.operation_id, str(self.folder), self.keeps_worker]).encode() + b"\n"

    @classmethod
    def from_line(cls, line: str) -> Self:
        job, operation_id, folder, keeps_worker = json.loads(line)
        return cls(job, operation_id, Path(folder), keeps_worker)


def main() -> None:
    """`python -m ktrdr.executors.worker LOG_FILE LOG_LEVEL WARM_UP_FUNCTION`"""
    log_file, log_level, warm_up = sys.argv[1:4]
    serve(Path(log_file), log_level, lambda: _prepare(warm_up))


def serve(log_file: Path, log_level: str, warm_up: Callable[[], None] = lambda: None) -> NoReturn:
    """Announce this process on its standard input, a socket, run the jobs that arrive there, and end."""
    stop = StopSignal()
    stop.catch(signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_name("ktrdr-worker")
    logs.configure(log_file, log_level, rotates=False)
    if not _has_order():
        warm_up()
    _announce(str(os.getpid()).encode())  # else the server sent an order during the warm-up and closed the socket
    for _ in range(_MOST_JOBS):
        if (order := _read_order()) is None:
            break
        if not order.keeps_worker:
            _detach()
        outcome = run_job(order, stop)
        # What a failed job leaves in the process is not known. A process that got a signal gets no other job: the
        # signal may be meant for the job that has just ended.
        if not (order.keeps_worker and outcome.status == "completed" and _announce(ENDED)):
            break
    _end_at_once()


def _announce(what: bytes) -> bool:
    """Write to the server; False where it has closed the socket or has ended."""
    try:
        return bool(os.write(sys.stdin.fileno(), what))
    except (BrokenPipeError, ConnectionResetError):
        return False


def set_name(name: str) -> None:
    """Set the name that `ps` and `top` show for this process, where the system allows it (Linux)."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(name, encoding="ascii")


def _has_order() -> bool:
    """Whether a job is already waiting, so that a warm-up would only delay it."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def _read_order() -> Order | None:
    """The order, or None when the server has closed the socket."""
    try:
        line = sys.stdin.readline()
    except ConnectionResetError:  # the server ended without reading the announcement
        line = ""
    return Order.from_line(line) if line else None


def _prepare(warm_up: str) -> None:
    """Warm up with the collector off, then collect once and freeze: most of these objects live for ever."""
    gc.disable()
    try:
        resolve(warm_up)()
    except Exception as error:  # noqa: BLE001
        logger.warning("A worker could not warm up and will be slow to start: %s", error)
    gc.enable()
    gc.collect()
    gc.freeze()


def run_job(order: Order, stop: StopSignal) -> Outcome:
    """Run one job and write its outcome; where it cannot begin, or leave an outcome, the process ends with a code."""
    logs.on_behalf_of.set(order.operation_id)
    try:
        with suppress(FileNotFoundError):  # the job itself will say so
            (order.folder / JOB).read_bytes()
        crash_log = begin_job(order.folder)
    except FileExistsError:
        logger.error("The job in %s has begun before, and is not run again", order.folder)
        _end_at_once(ALREADY_BEGUN)
    except OSError as error:
        logger.warning("The job in %s cannot be begun now: %s", order.folder, error)
        _end_at_once(JOB_UNREADABLE)
    faulthandler.enable(crash_log)
    outcome = run_to_outcome(order.job, order.operation_id, order.folder, stop)
    if not _leave_outcome(order.folder, outcome, crash_log):
        # It stays open: closing it would write again what a full disk has refused before.
        _end_at_once(OUTCOME_UNWRITABLE)
    faulthandler.disable()
    crash_log.close()
    return outcome


def _leave_outcome(folder: Path, outcome: Outcome, crash_log: TextIO) -> bool:
    """Write the outcome or, where the disk fails, at least the reason why there is none."""
    try:
        write_outcome(folder, outcome)
    except OSError as error:
        reason = f"the results could not be written: {error.strerror}"
        logger.error("%s", reason)
        try:
            write_outcome(folder, Outcome.failed(StorageError.code, reason, "make room; a training can be resumed"))
        except OSError:
            # An open file may still take a line where no other can be created.
            with suppress(OSError):
                crash_log.write(f"{reason}\n")
                crash_log.flush()
            return False
    return True


def run_to_outcome(job: str, operation_id: str, folder: Path, stop: StopSignal) -> Outcome:
    """Run a job and return its outcome; every exception, also of its import, and every panic becomes a failed one."""
    try:
        function: JobFunction = resolve(job)
        return function(operation_id, _payload(folder), folder, stop)
    except KtrdrError as error:
        if error.whole != error.detail:
            _log_whole(folder, error.whole)
        return Outcome.from_error(error)
    except MemoryError:
        return Outcome.failed("out_of_memory", "the worker ran out of memory", "train on fewer rows")
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 (the panic of a library in Rust is no Exception)
        _log_whole(folder, masked(traceback.format_exc()))
        return Outcome.failed(
            "worker_error", f"{type(error).__name__}: {error}", "see error.log in the operation's folder"
        )


def _log_whole(folder: Path, text: str) -> None:
    """Write what an outcome has no room for, or what no user has to read."""
    with suppress(OSError):
        (folder / "error.log").write_text(text, encoding="utf-8", errors="replace")


def _payload(folder: Path) -> dict[str, Any]:
    """Read the job's payload. Raises StorageError."""
    try:
        return read_job(folder)
    except (OSError, ValueError) as error:
        raise StorageError(
            f"{folder / JOB}, the job of this operation, cannot be read: {error}",
            hint="start the operation again; see what else is damaged with: ktrdr doctor",
        ) from error


def _detach() -> None:
    """Close the channel to the server, which is no longer needed."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, sys.stdin.fileno())
    os.close(null)


def _end_at_once(code: int = 0) -> NoReturn:
    """End without teardown: everything is on disk, and tearing down torch would only delay the result."""
    logging.shutdown()
    with suppress(OSError):
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
