"""Copies a home that is in use, so that a server on the copy finds the truth.

The registry is copied first, then the folders of the operations that this copy names, and the ledger of looks last.
What ends in the meantime is unfinished in the copied registry and has its outcome in the copied folder, and a server
decides by the folder. The other order could name a model whose files were copied before they were complete. For the
same reason an operation's own folder comes before its model's: the outcome is written last.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ktrdr.errors import InputError, StorageError
from ktrdr.executors.outcome import outcome_of
from ktrdr.files import checksum, is_draft, move_folder
from ktrdr.findings import subfolders
from ktrdr.formatting import size_text
from ktrdr.home import Home
from ktrdr.ledger.store import Ledger
from ktrdr.registry.backup import copy_registry, recorded_ids, remove_operations, unfinished_ids

CHECKSUMS = "SHA256SUMS"
_CHUNK = 1024**2
_SPARE_BYTES = 64 * 1024**2
_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup holds.

    target: the folder, a whole home
    files, size_bytes: of all files but the list of checksums
    operations: the number of folders of operations
    unfinished: ids of operations that had not ended when the registry was copied
    """

    target: Path
    files: int
    size_bytes: int
    operations: int
    unfinished: tuple[str, ...]


def back_up(home: Home, target: Path, *, registry_elsewhere: bool) -> BackupReport:
    """Copy `home` to the new folder `target`, whole or not at all, and compare the copy with what was read.

    `registry_elsewhere` means that the registry is a database outside the home, which is not copied.

    Raises InputError when `target` cannot be the place, and StorageError.
    """
    _check_places(home.root, target)
    _check_space(home, target)
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex}.partial")
    try:
        draft.mkdir(mode=0o700)
        report = _Copy(home, Home(draft)).make(target, registry_elsewhere=registry_elsewhere)
        os.sync()
        move_folder(draft, target)
    except OSError as error:
        raise StorageError(f"the backup cannot be written: {error}", hint="nothing is left of it; make room") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return report


@dataclass(slots=True)
class _Copy:
    source: Home
    target: Home
    checksums: dict[Path, str] = field(default_factory=dict)

    def make(self, place: Path, *, registry_elsewhere: bool) -> BackupReport:
        has_registry = not registry_elsewhere and self.source.registry.exists()
        if has_registry:
            copy_registry(self.source.registry, self.target.registry)
            names = recorded_ids(self.target.registry)
        else:
            names = {*subfolders(self.source.operations), *subfolders(self.source.models)}
        self._copy_file(self.source.id_file)
        for name in sorted(names):
            self._copy_operation(name)
        self._copy_folder(self.source.bars)
        self._copy_folder(self.source.tables)
        self._copy_folder(self.source.follows)
        self._copy_folder(self.source.log_file.parent)
        self._copy_ledger()
        if has_registry:
            self._drop_pruned(names)
            self.checksums[self.target.registry] = checksum(self.target.registry)
        self._check()
        self._write_checksums()
        return BackupReport(
            place,
            files=len(self.checksums),
            size_bytes=sum(path.stat().st_size for path in self.checksums),
            operations=len(subfolders(self.target.operations)),
            unfinished=tuple(unfinished_ids(self.target.registry)) if has_registry else (),
        )

    def _copy_operation(self, name: str) -> None:
        """Once more where the operation ended in between: its model may be newer than its own folder."""
        folder, model = self.source.operations / name, self.source.models / name
        had_ended = outcome_of(folder).exists()
        for _ in range(1 if had_ended else 2):
            self._copy_folder(folder)
            self._copy_folder(model)
            if not outcome_of(folder).exists():
                return

    def _copy_ledger(self) -> None:
        """After the models, so that none of them is without its looks; those of later ones do no harm."""
        if self.source.ledger.exists():
            with closing(Ledger(self.source.ledger)) as ledger:
                ledger.copy_to(self.target.ledger)
            self.checksums[self.target.ledger] = checksum(self.target.ledger)

    def _drop_pruned(self, names: set[str]) -> None:
        """Forget operations that were pruned in the meantime, some of whose files were gone before their turn."""
        pruned = names - recorded_ids(self.source.registry)
        remove_operations(self.target.registry, pruned)
        gone = [folder / name for name in pruned for folder in (self.target.operations, self.target.models)]
        for folder in gone:
            shutil.rmtree(folder, ignore_errors=True)
        for path in [path for path in self.checksums if any(map(path.is_relative_to, gone))]:
            del self.checksums[path]

    def _copy_folder(self, folder: Path) -> None:
        for path in _files_within(folder):
            self._copy_file(path)

    def _copy_file(self, path: Path) -> None:
        """A file that is gone by now is left out."""
        try:
            stream = path.open("rb")
        except FileNotFoundError:
            return
        target = self.target.root / path.relative_to(self.source.root)
        with stream:
            target.parent.mkdir(parents=True, exist_ok=True)
            self.checksums[target] = _write(target, stream)
            status = os.fstat(stream.fileno())
        target.chmod(stat.S_IMODE(status.st_mode))
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))

    def _check(self) -> None:
        for path, read in self.checksums.items():
            if checksum(path) != read:
                raise StorageError(f"{path} was not written as it was read", hint="check the disk of the backup")

    def _write_checksums(self) -> None:
        root = self.target.root
        lines = [f"{read}  {path.relative_to(root)}\n" for path, read in sorted(self.checksums.items())]
        (root / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def _check_places(home: Path, target: Path) -> None:
    if not home.is_dir():
        raise InputError(f"there is no folder {home}", hint="name one with --home, or see: ktrdr config show")
    if target.exists() or target.is_symlink():
        raise InputError(f"{target} is there already", hint="name a folder that is not there yet")
    if not target.parent.is_dir():
        raise InputError(f"there is no folder {target.parent}", hint=f"make it first: mkdir -p {target.parent}")
    if target.resolve().is_relative_to(home.resolve()):
        raise InputError(f"{target} lies within the home {home}", hint="name a folder elsewhere, best on another disk")


def _check_space(home: Home, target: Path) -> None:
    parts = (home.operations, home.models, home.bars, home.tables, home.follows, home.log_file.parent)
    needed = (
        sum(_size(path) for part in parts for path in _files_within(part))
        + _size(home.registry)
        + _size(home.ledger)
        + _SPARE_BYTES
    )
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise InputError(
            f"the backup needs {size_text(needed)}, and {size_text(free)} are free at {target.parent}",
            hint="make room there, or name a folder on another disk",
        )


def _files_within(folder: Path) -> Iterator[Path]:
    """All files but locks and the drafts of writers."""
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in sorted(names)):
            if path.is_file() and path.suffix != _LOCK and not is_draft(path):
                yield path


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _write(path: Path, stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()
