"""A bounded store of folders that can be made again, each named by the hash of what it is made from."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from ktrdr.files import checksum

_MANIFEST = "manifest.json"
_DRAFT = ".tmp"
# No writer takes so long: a draft that is older belongs to a process that was killed.
_DRAFT_LIFETIME = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One folder.

    about: its content in words, for people; empty where it is damaged
    used_at: when it was made or used last
    """

    folder: Path
    about: str
    size_bytes: int
    used_at: datetime


@dataclass(frozen=True, slots=True)
class _Manifest:
    """The content of an entry in words, and the SHA-256 of each file by its name."""

    about: str
    sums: Mapping[str, str]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises OSError and ValueError."""
        try:
            content = json.loads((folder / _MANIFEST).read_bytes())
            return cls(str(content["about"]), dict(content["sha256"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"it is no manifest ({error})") from error

    def write(self, folder: Path) -> None:
        document = {"about": self.about, "sha256": dict(self.sums)}
        (folder / _MANIFEST).write_text(json.dumps(document), encoding="ascii")


class FolderCache:
    """Entries below `root`, together of at most `limit_bytes`; those that were used longest ago are dropped first.

    Processes: any number may read, write and clear at once; an entry is renamed into its place and out of it.
    Consistency: an entry is given out only if each of its files has the checksum that it was written with.
    Durability: none. A lost or damaged entry is made again.
    """

    def __init__(self, root: Path, limit_bytes: int) -> None:
        self.root = root
        self.limit_bytes = limit_bytes

    def find(self, key: str) -> Path | None:
        """The folder of a sound entry; one that is damaged is dropped. Raises OSError where it cannot be dropped."""
        folder = self.root / key
        if not folder.exists():
            return None
        if not _is_sound(folder):
            self._drop(folder)
            return None
        with suppress(OSError):
            os.utime(folder)
        return folder

    def add(self, key: str, write: Callable[[Path], None], about: str = "") -> None:
        """Let `write` fill a new folder, and keep it unless another process was first. Raises OSError."""
        draft = self._aside(key)
        try:
            draft.mkdir(parents=True)
            write(draft)
            _Manifest(about, {path.name: checksum(path) for path in draft.iterdir()}).write(draft)
            if _size(draft) <= self.limit_bytes:
                with suppress(OSError):  # there already: another process was first
                    os.rename(draft, self.root / key)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        self._make_room()

    def entries(self) -> list[CacheEntry]:
        """All entries, the one that was used last first."""
        entries = []
        for folder in self._folders():
            with suppress(FileNotFoundError):  # dropped meanwhile
                entries.append(CacheEntry(folder, _about(folder), _size(folder), _changed_at(folder)))
        return sorted(entries, key=lambda entry: entry.used_at, reverse=True)

    def damaged(self) -> list[Path]:
        """The entries that their next use makes again."""
        return [entry.folder for entry in self.entries() if not _is_sound(entry.folder)]

    def clear(self) -> None:
        """Drop every entry; a process that has one open goes on with it. Raises OSError."""
        for folder in self._folders():
            self._drop(folder)

    def _make_room(self) -> None:
        self._remove_old_drafts()
        room = self.limit_bytes
        for entry in self.entries():
            room -= entry.size_bytes
            if room < 0:
                self._drop(entry.folder)

    def _remove_old_drafts(self) -> None:
        for draft in self.root.glob(f".*{_DRAFT}"):
            with suppress(FileNotFoundError):
                if datetime.now(UTC) - _changed_at(draft) > _DRAFT_LIFETIME:
                    shutil.rmtree(draft, ignore_errors=True)

    def _drop(self, folder: Path) -> None:
        """Rename it first, so that nobody finds half of it."""
        aside = self._aside(folder.name)
        with suppress(FileNotFoundError):  # dropped by another process
            os.rename(folder, aside)
        shutil.rmtree(aside, ignore_errors=True)

    def _aside(self, key: str) -> Path:
        return self.root / f".{key}.{uuid.uuid4().hex}{_DRAFT}"

    def _folders(self) -> Iterator[Path]:
        with suppress(FileNotFoundError):
            yield from (path for path in self.root.iterdir() if path.is_dir() and path.suffix != _DRAFT)


def _changed_at(folder: Path) -> datetime:
    return datetime.fromtimestamp(folder.stat().st_mtime, UTC)


def _is_sound(folder: Path) -> bool:
    try:
        return all(checksum(folder / name) == own for name, own in _Manifest.read(folder).sums.items())
    except (OSError, ValueError):
        return False


def _about(folder: Path) -> str:
    try:
        return _Manifest.read(folder).about
    except (OSError, ValueError):
        return ""


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
