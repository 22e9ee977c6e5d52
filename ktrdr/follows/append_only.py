"""A file of lines to which lines are only added, so that a kill at any instant leaves whole lines."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ktrdr.errors import StorageError
from ktrdr.files import make_folder, sync_folder
from ktrdr.training.files import storage_error

_CHUNK = 1 << 20


class AppendOnlyFile:
    """The file at `path`, for one writer, who holds a lock.

    Durability: lines that `append` has returned from survive a crash. A killed writer leaves all lines of an append,
    some of them, or a torn one at the end, which the next writer cuts off and readers leave out.
    Privacy: no other user can read the file.

    Every method raises StorageError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    def __enter__(self) -> Self:
        try:
            make_folder(self.path.parent)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            sync_folder(self.path.parent)
            self._cut_to(_whole_size(self.path))
        except OSError as error:
            self.close()
            raise storage_error(self.path, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def append(self, lines: Sequence[bytes]) -> None:
        """Add lines durably; where that fails, none of them is there."""
        content = b"".join(line + b"\n" for line in lines)
        size = os.fstat(self._descriptor).st_size
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(self._descriptor, view) :]
            os.fsync(self._descriptor)
        except OSError as error:
            self._cut_to(size)
            raise storage_error(self.path, error) from error

    def _cut_to(self, size: int) -> None:
        if os.fstat(self._descriptor).st_size != size:
            os.ftruncate(self._descriptor, size)
            os.fsync(self._descriptor)


def read_lines(path: Path) -> Iterator[bytes]:
    """The whole lines, without their ends. Raises StorageError; a file that is not there has none."""
    try:
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield line[:-1]
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}", path=str(path)) from error


def _whole_size(path: Path) -> int:
    """Bytes up to the end of the last whole line."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            begin = file.seek(max(0, end - _CHUNK))
            if (place := file.read(end - begin).rfind(b"\n")) >= 0:
                return begin + place + 1
            end = begin
    return 0
