"""Python reads a module of this name at its start: so processes can fail in ways that no signal gives."""

from __future__ import annotations

import builtins
import errno
import io
import os
import signal
from typing import Any, NoReturn

_read_faults = os.environ.get("CHAOS_READ_FAULTS")  # noqa: TID251 (there are no settings yet)
_open = io.open


def _fail(*_: object) -> NoReturn:
    raise ZeroDivisionError("in the middle of a batch")


def _open_or_fail(file: Any, *arguments: Any, **options: Any) -> Any:
    """Fail once for each file that is named in the folder of faults, as `<operation>+<file>`."""
    if isinstance(file, str | os.PathLike) and "operations" in (path := os.fspath(file)):
        try:
            os.unlink(os.path.join(str(_read_faults), "+".join(str(path).split(os.sep)[-2:])))
        except OSError:
            return _open(file, *arguments, **options)
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)
    return _open(file, *arguments, **options)


signal.signal(signal.SIGUSR1, lambda *_: os._exit(0))
signal.signal(signal.SIGUSR2, _fail)
if _read_faults:
    io.open = builtins.open = _open_or_fail
