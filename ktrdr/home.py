"""KTRDR_HOME: the folder that holds all data, and the lock that allows one server at a time on it."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from ktrdr.errors import HomeInUse, StorageError

try:
    import fcntl
except ImportError:  # Windows runs the client, not the server
    fcntl = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Home:
    """The paths within a home; reading them creates nothing.

    root: the folder itself
    """

    root: Path

    @property
    def bars(self) -> Path:
        return self.root / "bars"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def operations(self) -> Path:
        return self.root / "operations"

    @property
    def uploads(self) -> Path:
        return self.root / "uploads"

    @property
    def scratch(self) -> Path:
        """Folders of short jobs that are not operations; the next server deletes them."""
        return self.root / "scratch"

    @property
    def registry(self) -> Path:
        return self.root / "registry.sqlite"

    @property
    def log_file(self) -> Path:
        return self.root / "logs" / "ktrdr.log"

    @property
    def lock_file(self) -> Path:
        return self.root / "server.lock"


class HomeLock:
    """The lock that the running server holds; the kernel releases it when the process ends, however it ends."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        """Take the lock. Raises HomeInUse with the holder's process id, StorageError for an unwritable folder."""
        path = self._home.lock_file
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+", encoding="ascii")
        except OSError as error:
            raise StorageError(
                f"{self._home.root} cannot be used as KTRDR_HOME: {error.strerror}",
                hint="fix its permissions, or choose another folder with KTRDR_HOME",
            ) from error
        self._lock(self._file)
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()

    def _lock(self, file: IO[str]) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = read_holder(self._home)
            file.close()
            raise HomeInUse(
                f"a server is running on {self._home.root} already" + (f": process {holder}" if holder else ""),
                hint="use that one, end it, or choose another folder with KTRDR_HOME",
                pid=holder,
            ) from error


def is_held(home: Home) -> bool:
    """Whether a server is running on the home; the check changes nothing."""
    if fcntl is None:
        return False
    try:
        with home.lock_file.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def read_holder(home: Home) -> int | None:
    """The process id in the lock file, whether or not that process still runs."""
    with suppress(OSError, ValueError):
        return int(home.lock_file.read_text(encoding="ascii"))
    return None
