"""Jobs for the executors' suite: a worker process imports them by name."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ktrdr.errors import InputError
from ktrdr.executors.outcome import Outcome

PATIENCE_S = 30.0


class Panic(BaseException):
    """As polars raises them: no Exception."""


def warm_up() -> None:
    pass


def run(operation_id: str, payload: dict[str, Any], folder: Path, stop: Callable[[], bool]) -> Outcome:
    what = payload.get("do", "complete")
    if what in ("wait", "insist"):
        (folder / "begun").touch()
        hears_stop = what == "wait"
        deadline = time.monotonic() + PATIENCE_S
        while not (hears_stop and stop()) and not (folder / "go").exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        if hears_stop and stop():
            return Outcome("cancelled", {"partial": True})
    elif what == "raise":
        raise ZeroDivisionError("by nothing")
    elif what == "panic":
        raise Panic("a thread of Rust")
    elif what == "refuse":
        raise InputError("the job does not like it", hint="ask for another")
    elif what == "exit":
        os._exit(0)
    elif what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return Outcome("completed", {"operation": operation_id, "pid": os.getpid()})
