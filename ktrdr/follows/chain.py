"""The hash-chained file of a follow: no row can be changed, removed or put between others unseen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout
from pydantic import ValidationError

from ktrdr.errors import ConflictError, StorageError
from ktrdr.files import make_folder
from ktrdr.follows.append_only import AppendOnlyFile, read_lines
from ktrdr.payloads.follows import GENESIS, ROW, ModelRow, PredictionRow

AnyRow = ModelRow | PredictionRow

FILE, LOCK = "rows.jsonl", "rows.lock"


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row as it stands in the file.

    line: its number, counted from 1
    sha256: of the line, which the next row holds
    """

    line: int
    sha256: str
    row: AnyRow


def read_chain(folder: Path) -> Iterator[StoredRow]:
    """The rows in their order, each held against the one before. Raises StorageError where the chain is broken."""
    path, head = folder / FILE, GENESIS
    for number, line in enumerate(read_lines(path), start=1):
        row = _parse(path, number, line)
        if row.previous != head:
            raise _broken(path, number, "it does not hold the hash of the row before: rows were changed or removed")
        head = hashlib.sha256(line).hexdigest()
        yield StoredRow(number, head, row)


class Chain:
    """The file, open for one follower, who holds its lock as long.

    Raises ConflictError where another process follows the model, and StorageError.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = AppendOnlyFile(folder / FILE)
        self._lock = FileLock(folder / LOCK)
        self._head, self._lines = GENESIS, 0

    def __enter__(self) -> Self:
        make_folder(self.folder)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ConflictError(
                f"{self.folder.name} is being followed already, by another process",
                hint="end that one first; its rows are shown by: ktrdr models follow ID --show",
            ) from None
        try:
            self._file.__enter__()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
        self._lock.release()

    def read(self) -> Iterator[StoredRow]:
        """The rows so far, which must be read to the end before the first `append`."""
        for stored in read_chain(self.folder):
            self._head, self._lines = stored.sha256, stored.line
            yield stored

    def append(self, rows: Sequence[AnyRow]) -> list[StoredRow]:
        """Add rows durably, in this order; they come back with their place in the chain."""
        head, lines, stored = self._head, [], []
        for number, row in enumerate(rows, start=self._lines + 1):
            chained = row.model_copy(update={"previous": head})
            lines.append(chained.model_dump_json().encode())
            head = hashlib.sha256(lines[-1]).hexdigest()
            stored.append(StoredRow(number, head, chained))
        self._file.append(lines)
        self._head, self._lines = head, self._lines + len(lines)
        return stored


def _parse(path: Path, number: int, line: bytes) -> AnyRow:
    try:
        return ROW.validate_json(line)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise _broken(path, number, f"{place}: {fault['msg']}".removeprefix(": ")) from error


def _broken(path: Path, number: int, why: str) -> StorageError:
    return StorageError(
        f"{path}, line {number}: {why}",
        hint="what stands before it is as it was written; put a copy of the file back, or move it away to begin anew",
        path=str(path),
        line=number,
    )
