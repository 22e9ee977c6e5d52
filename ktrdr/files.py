"""Files: written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

_DRAFT = ".tmp"
# Registries and bridges are built in a file of this name.
_DRAFTS = (_DRAFT, ".new")


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside `path`, force to disk, rename over it: a reader, after a crash too, finds the old or the new.

    Raises OSError; an earlier file at `path` is intact then.
    """
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}{_DRAFT}")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """The folder and its parents, durable as what will be written into them. Raises OSError."""
    if folder.exists():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def drafts_within(folder: Path) -> list[Path]:
    """Files below `folder` whose writers were killed, or still write, before they were renamed into their places."""
    paths = (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return sorted(path for path in paths if path.suffix in _DRAFTS)


def remove_drafts(path: Path) -> None:
    """What writers of `path` left that were killed; nobody may be writing it now. Raises OSError."""
    for draft in path.parent.glob(f".{path.name}.*{_DRAFT}"):
        draft.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    # A rename is durable only once the folder is; Windows cannot open folders and needs no such thing.
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
