"""KTRDR_HOME: the folder that holds all data, and the lock that allows one server at a time on it."""

from __future__ import annotations

import logging
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


logger = logging.getLogger(__name__)

_PRIVATE = 0o700


@dataclass(frozen=True, slots=True)
class Home:
    """The paths within a home; reading them creates nothing.

    root: the folder itself
    source: the root of the home whose bars, ledger and cache it uses; None for its own
    """

    root: Path
    source: Path | None = None

    @property
    def bars(self) -> Path:
        return (self.source or self.root) / "bars"

    @property
    def tables(self) -> Path:
        """Tables whose rows say when they were known."""
        return (self.source or self.root) / "tables"

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
    def datasets(self) -> Path:
        """The cache of datasets, which can be made again: no backup holds them."""
        return (self.source or self.root) / "cache" / "datasets"

    @property
    def registry(self) -> Path:
        return self.root / "registry.sqlite"

    @property
    def ledger(self) -> Path:
        """Every look at held-out rows, whether a server recorded it or a training without one."""
        return (self.source or self.root) / "ledger.sqlite"

    @property
    def follows(self) -> Path:
        """A folder for each followed model, with its rows."""
        return (self.source or self.root) / "follows"

    @property
    def log_file(self) -> Path:
        return self.root / "logs" / "ktrdr.log"

    @property
    def lock_file(self) -> Path:
        return self.root / "server.lock"

    @property
    def id_file(self) -> Path:
        """Holds the id that the home's registry holds too."""
        return self.root / "home.id"


def keep_files_private() -> None:
    """Let this process, and those that it starts, create files that no other user can read, whatever the umask was."""
    os.umask(0o777 & ~_PRIVATE)


def is_open_to_others(home: Home) -> bool:
    """Whether other users of the machine may look into the folder; False where the system has no such modes."""
    return os.name == "posix" and bool(home.root.stat().st_mode & 0o077)


def close_to_others(home: Home) -> None:
    """Close the folder to other users if it belongs to this one; nobody then reaches what lies in it."""
    if is_open_to_others(home) and home.root.stat().st_uid == os.geteuid():
        home.root.chmod(_PRIVATE)
        logger.info("%s was open to other users and is not any more", home.root)


class HomeLock:
    """The lock that the running server holds; the kernel releases it when the process ends, however it ends.

    It is held on the folder itself, so that no file which could be deleted decides. The lock file names the holder's
    process id; it is locked as well, because versions before 0.2 look at nothing else.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._folder: int | None = None
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        """Take the lock. Raises HomeInUse with the holder's process id, StorageError for an unwritable folder."""
        try:
            self._home.root.mkdir(_PRIVATE, parents=True, exist_ok=True)
            self._folder = _open_folder(self._home.root)
            self._write_file()
        except BlockingIOError as error:
            self._close()
            raise self._in_use() from error
        except OSError as error:
            self._close()
            raise StorageError(
                f"{self._home.root} cannot be used as KTRDR_HOME: {error.strerror}",
                hint="fix its permissions, or choose another folder with KTRDR_HOME",
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    def check(self) -> None:
        """Write a deleted lock file again.

        Raises StorageError when another folder has taken the place of this one, and when the file cannot be written.
        """
        try:
            self._check_folder()
            if self._file and not _is_same(self._file.fileno(), self._home.lock_file):
                self._write_file()
        except OSError as error:
            raise StorageError(f"{self._home.lock_file} cannot be written: {error}", hint="make room") from error

    def _check_folder(self) -> None:
        if self._folder is not None and not _is_same(self._folder, self._home.root):
            raise StorageError(
                f"{self._home.root} is no longer the folder that this server was started on",
                hint="stop the server, put the folder back and start it again",
            )

    def _write_file(self) -> None:
        """Raises OSError, BlockingIOError where another process holds the lock."""
        deleted, self._file = self._file, self._home.lock_file.open("a+", encoding="ascii")
        if deleted:
            deleted.close()
        _lock(self._file.fileno())
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def _in_use(self) -> HomeInUse:
        holder = read_holder(self._home)
        return HomeInUse(
            f"a server is running on {self._home.root} already" + (f": process {holder}" if holder else ""),
            hint="use that one, end it, or choose another folder with KTRDR_HOME",
            pid=holder,
        )

    def _close(self) -> None:
        if self._file:
            self._file.close()
        if self._folder is not None:
            os.close(self._folder)
        self._file = self._folder = None


def _open_folder(folder: Path) -> int | None:
    """A locked descriptor of the folder; None where the system locks no folders. Raises OSError, as `_lock`."""
    if fcntl is None:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _lock(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock(descriptor: int) -> None:
    """Raises BlockingIOError where another process holds the lock."""
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_same(descriptor: int, path: Path) -> bool:
    """Whether the file or folder at `path` is still the opened one."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def is_held(home: Home) -> bool:
    """Whether a server is running on the home; the check changes nothing."""
    return fcntl is not None and any(_is_locked(path) for path in (home.root, home.lock_file))


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def read_holder(home: Home) -> int | None:
    """The process id in the lock file, whether or not that process still runs."""
    with suppress(OSError, ValueError):
        return int(home.lock_file.read_text(encoding="ascii"))
    return None
