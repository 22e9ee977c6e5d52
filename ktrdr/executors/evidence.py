"""What lies in an operation's folder, which decides where a record says something else.

Every function raises OSError when the folder cannot be read just now: nothing may be decided then.
"""

from __future__ import annotations

from pathlib import Path

from ktrdr.errors import BridgeError
from ktrdr.executors.outcome import JOB, crash_log_of, outcome_of
from ktrdr.operations.bridge import BridgeFileError, BridgeReadError, ProgressBridge

BRIDGE = "bridge"


def has_job(folder: Path) -> bool:
    """Whether the folder was prepared to its end: the job is written last."""
    return _exists(folder / JOB)


def has_run(folder: Path, *, is_plan: bool) -> bool:
    """Whether the job of this folder has begun, or even ended; it must not begin again.

    The server itself writes the bridge of a plan before its job begins, so that is no sign. Raises BridgeError when
    the bridge cannot be read just now.
    """
    if _exists(crash_log_of(folder)) or _exists(outcome_of(folder)):
        return True
    return not is_plan and _bridge_has_begun(folder / BRIDGE)


def _bridge_has_begun(path: Path) -> bool:
    try:
        with ProgressBridge(path) as bridge:
            return bridge.has_begun()
    except BridgeReadError as error:
        raise BridgeError(str(error), hint="it is read again in a few seconds") from error
    except BridgeFileError:
        return False


def _exists(path: Path) -> bool:
    """Unlike `Path.exists`, which takes every error for an absence in some versions of Python."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return True
