"""Names the place in a plugin where an exception came from, so that nobody has to read a stack trace."""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ktrdr.errors import KtrdrError, PluginError, bounded

MODULE_PREFIX = "ktrdr_plugin_"
CHECK_HINT = "correct the plugin, then see what it does with: ktrdr plugins check FILE"

_MOST_CHARACTERS = 300


class TookTooLong(Exception):
    """A plugin was interrupted."""


@contextmanager
def located(path: Path | None = None, what: str = "") -> Iterator[None]:
    """Turn every exception of a plugin into a PluginError that names file, line and function.

    Without a `path` only those are turned that come out of a plugin; with one, `what` was to be done with that file.
    """
    try:
        yield
    except KtrdrError:
        raise
    except SyntaxError as error:
        if path is None:
            raise
        raise PluginError(f"{path.name}, line {error.lineno}: {error.msg}", hint=CHECK_HINT) from error
    except (Exception, SystemExit) as error:
        place = _place(error)
        if place is None and path is None:
            raise
        where = place or f"{path.name if path else ''}{f': {what}' if what else ''}"
        raise PluginError(f"{where}: {_describe(error)}", hint=CHECK_HINT) from error


@contextmanager
def time_limit(seconds: float, what: str) -> Iterator[None]:
    """Raise TookTooLong in this block after `seconds`, where the system can: on POSIX, in the main thread.

    What the block has begun is then half done, a library half imported, so the process must not go on for long.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise TookTooLong(f"{what} took longer than {seconds:g} s")

    earlier = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)


def _place(error: BaseException) -> str | None:
    """`gaps.py, line 7, in gap`: the innermost line of a plugin in a traceback."""
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        if str(frame.f_globals.get("__name__", "")).startswith(MODULE_PREFIX):
            function = frame.f_code.co_name
            where = "" if function == "<module>" else f", in {function}"
            return f"{Path(frame.f_code.co_filename).name}, line {line}{where}"
    return None


def _describe(error: BaseException) -> str:
    if isinstance(error, TookTooLong):
        return str(error)
    message = bounded(str(error).partition("\n")[0], _MOST_CHARACTERS)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
