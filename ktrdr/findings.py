"""Findings of a check of a home, and their repairs. Every package checks its own files; `ktrdr.doctor` collects."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from ktrdr.errors import StorageError
from ktrdr.files import write_atomically

BACKUP = "backup"
_UNFINISHED = "repair.json"
"""Lists the renames of a repair while it is made, as pairs of paths relative to the home."""

Item = TypeVar("Item")


class Level(StrEnum):
    OK = "ok"
    NOTE = "note"
    """Harmless, or repaired by the next start of the server."""
    FAULT = "FAULT"


class Backup:
    """A folder for replaced files, which keep their paths relative to the home; created when first used."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.folder = home / BACKUP / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}"

    def place_for(self, path: Path) -> Path:
        place = self.folder / path.relative_to(self._home)
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def move(self, *paths: Path) -> str:
        for path in paths:
            if path.exists() or path.is_symlink():
                os.rename(path, self.place_for(path))
        return f"moved to {self.folder.relative_to(self._home)}"

    def replace(self, path: Path, fresh: Path, *obsolete: Path) -> str:
        """Move `path` and the obsolete files here and put `fresh` in the place of `path`, as one step.

        Interrupted at any instant, it is finished by `finish_repairs`.
        """
        present = [old for old in (path, *obsolete) if old.exists()]
        moves = [*((old, self.place_for(old)) for old in present), (fresh, path)]
        named = [[str(place.relative_to(self._home)) for place in move] for move in moves]
        write_atomically(self._home / _UNFINISHED, json.dumps(named).encode())
        finish_repairs(self._home)
        return f"the old one is in {self.folder.relative_to(self._home)}"

    def copy(self, *paths: Path) -> None:
        for path in paths:
            if path.exists():
                shutil.copy2(path, self.place_for(path))


def is_interrupted(home: Path) -> bool:
    """Whether a repair of the home was interrupted between its renames."""
    return (home / _UNFINISHED).exists()


def finish_repairs(home: Path) -> str:
    """Finish a repair that was interrupted between its renames; what was done, or empty for nothing.

    Nothing may be using the home. Raises StorageError.
    """
    if not is_interrupted(home):
        return ""
    try:
        *moves, (fresh, path) = json.loads((home / _UNFINISHED).read_bytes())
        for source, target in moves:
            _rename_once(home / source, home / target)
        if (home / fresh).exists():
            os.replace(home / fresh, home / path)
        (home / _UNFINISHED).unlink()
    except (OSError, ValueError) as error:
        raise StorageError(
            f"a repair of {home} was interrupted and cannot be finished: {error}",
            hint=f"make room; its renames are listed in {_UNFINISHED}",
        ) from error
    return f"{path} is in its place"


def _rename_once(source: Path, target: Path) -> None:
    """A file at `target` shows that it was renamed before; `source` is then what took its place."""
    if source.exists() and not target.exists():
        os.rename(source, target)


Repair = Callable[[Backup], str]
"""Repairs a fault, moves replaced files into the backup, and returns a description of what it did."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line about a home.

    level: how bad it is
    subject: the part of the home, such as `bars`
    what: the place and what is wrong there, or a summary of a sound part
    advice: what to do about it; empty for nothing
    repair: the function that repairs it; None where only a person can
    repaired: what the repair did; empty before
    """

    level: Level
    subject: str
    what: str
    advice: str = ""
    repair: Repair | None = field(default=None, repr=False)
    repaired: str = ""


def summarised(subject: str, summary: str, findings: Iterable[Finding]) -> list[Finding]:
    """The findings; if none is a fault, a line that the part is sound comes first."""
    listed = list(findings)
    has_faults = any(finding.level is Level.FAULT for finding in listed)
    return listed if has_faults else [Finding(Level.OK, subject, summary), *listed]


def check_each(check: Callable[[Item], Iterable[Finding]], items: Iterable[Item]) -> Iterator[Finding]:
    """The findings of all items, in their order; several threads run `check`."""
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for findings in pool.map(lambda item: list(check(item)), items):
            yield from findings


def subfolders(root: Path) -> dict[str, Path]:
    """The folders in `root` by name, sorted; none where it does not exist or cannot be read."""
    if not os.access(root, os.R_OK | os.X_OK):
        return {}
    return {path.name: path for path in sorted(root.iterdir()) if path.is_dir()}


@dataclass(frozen=True, slots=True)
class Damage:
    """Why a file cannot be used.

    reason: what is wrong with it
    is_certain: whether its content is wrong; an error of the system while reading says nothing about the content
    """

    reason: str
    is_certain: bool = True


def damage(read: Callable[[Path], object], path: Path) -> Damage | None:
    """What `read` raises for `path`, an OSError or a ValueError; None for nothing, or for a missing file."""
    try:
        read(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Damage(str(error), is_certain=False)
    except ValueError as error:
        return Damage(str(error))
    return None


def damaged_file(subject: str, path: Path, root: Path, damage: Damage, advice: str) -> Finding:
    """A fault of a file, named relative to `root`; moved away by a repair only where its content is wrong."""
    name = path.relative_to(root)
    if not damage.is_certain:
        later = "look again later; if it stays so, check the disk"
        return Finding(Level.FAULT, subject, f"{name} cannot be read just now: {damage.reason}", later)
    what = f"{name} is damaged: {damage.reason}"
    return Finding(Level.FAULT, subject, what, f"{advice}; --repair moves it away", lambda backup: backup.move(path))


def check_json(path: Path) -> None:
    """Check that a file holds a JSON object. Raises OSError and ValueError."""
    if not isinstance(json.loads(path.read_bytes()), dict):
        raise ValueError("it is not a JSON object")
