"""The worker process: it warms up, waits for one job on its standard input, runs it and ends.

While it waits its standard input is the server's; when that closes, it ends. From the job on it depends on nobody.
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
from typing import Any, NoReturn, Self

from ktrdr import logs
from ktrdr.errors import KtrdrError, StorageError
from ktrdr.executors.outcome import Outcome, open_crash_log, write_outcome

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class StopSignal:
    """Becomes true when the process is asked to end; a batch loop reads it, nothing is interrupted."""

    requested: bool = field(default=False)

    def __call__(self) -> bool:
        return self.requested

    def catch(self, number: signal.Signals) -> None:
        """From now on; the parent has held the signal back until here."""
        signal.signal(number, self._on_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})

    def _on_signal(self, *_: object) -> None:
        self.requested = True


JobFunction = Callable[[str, dict[str, Any], Path, StopSignal], Outcome]
"""(operation id, payload, folder, stop) -> outcome"""


def resolve(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker is to run; one line of JSON on its standard input.

    job: the function, a `JobFunction` named as `package.module:function`.
    folder: the operation's own, with `job.json` in it.
    """

    job: str
    operation_id: str
    folder: Path

    def to_line(self) -> bytes:
        return json.dumps([self.job, self.operation_id, str(self.folder)]).encode() + b"\n"

    @classmethod
    def from_line(cls, line: str) -> Self:
        job, operation_id, folder = json.loads(line)
        return cls(job, operation_id, Path(folder))


def main() -> None:
    """`python -m ktrdr.executors.worker LOG_FILE LOG_LEVEL WARM_UP_FUNCTION`"""
    log_file, log_level, warm_up = sys.argv[1:4]
    serve(Path(log_file), log_level, lambda: _prepare(warm_up))


def serve(log_file: Path, log_level: str, warm_up: Callable[[], None] = lambda: None) -> NoReturn:
    """Run the job that comes on the standard input, a socket on which this process announces itself; then end."""
    stop = StopSignal()
    stop.catch(signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_name("ktrdr-worker")
    logs.configure(log_file, log_level, rotates=False)
    if not _has_order():
        warm_up()
    with suppress(BrokenPipeError):  # an order that came during the warm-up was the last thing to come
        os.write(sys.stdin.fileno(), str(os.getpid()).encode())
    if (order := _read_order()) is None:
        _end_at_once()
    _detach()
    run_job(order, stop)


def set_name(name: str) -> None:
    """How `ps` and `top` call this process, where that can be set (Linux)."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(name, encoding="ascii")


def _has_order() -> bool:
    """Whether a job waits already: then there is nothing to get ready for."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def _read_order() -> Order | None:
    """None when whoever could send one has ended."""
    try:
        line = sys.stdin.readline()
    except ConnectionResetError:  # it ended without having read our announcement
        line = ""
    return Order.from_line(line) if line else None


def _prepare(warm_up: str) -> None:
    """Warm up. Most of what that makes stays for good, so it is looked through for garbage once, at the end."""
    gc.disable()
    try:
        resolve(warm_up)()
    except Exception as error:  # noqa: BLE001
        logger.warning("A worker could not warm up and will be slow to start: %s", error)
    gc.enable()
    gc.collect()
    gc.freeze()


def run_job(order: Order, stop: StopSignal) -> NoReturn:
    """Run one job, leave its outcome and end the process."""
    logs.on_behalf_of.set(order.operation_id)
    with open_crash_log(order.folder) as crash_log:
        faulthandler.enable(crash_log)
        write_outcome(order.folder, run_to_outcome(order.job, order.operation_id, order.folder, stop))
        faulthandler.disable()
    _end_at_once()


def run_to_outcome(job: str, operation_id: str, folder: Path, stop: StopSignal) -> Outcome:
    """The job's outcome; here every exception of a job turns into one, also where it cannot be imported."""
    try:
        function: JobFunction = resolve(job)
        return function(operation_id, _payload(folder / "job.json"), folder, stop)
    except KtrdrError as error:
        return Outcome.from_error(error)
    except MemoryError:
        return Outcome.failed("out_of_memory", "the worker ran out of memory", "train on fewer rows")
    except Exception as error:  # noqa: BLE001
        with suppress(OSError):
            (folder / "error.log").write_text(traceback.format_exc(), encoding="utf-8", errors="replace")
        return Outcome.failed(
            "worker_error", f"{type(error).__name__}: {error}", "see error.log in the operation's folder"
        )


def _payload(path: Path) -> dict[str, Any]:
    """What the job is to do. Raises StorageError."""
    try:
        payload = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(payload, dict):
        raise _damaged(path, "it holds no JSON object")
    return payload


def _damaged(path: Path, how: str) -> StorageError:
    return StorageError(
        f"{path}, which says what to do, cannot be read: {how}",
        hint="start the operation anew; see what else is damaged with: ktrdr doctor",
    )


def _detach() -> None:
    """Close the channel to the parent, which is needed no more."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, sys.stdin.fileno())
    os.close(null)


def _end_at_once() -> NoReturn:
    """What counts is on disk; tearing torch down would only keep a result, or a new server, waiting."""
    logging.shutdown()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
