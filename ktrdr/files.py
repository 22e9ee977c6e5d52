"""Writes files whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from pathlib import Path

_DRAFT = ".tmp"
# Registries and bridges are built in files with the second suffix.
_DRAFTS = (_DRAFT, ".new")


def write_atomically(path: Path, content: bytes) -> None:
    """Write a temporary file, sync it and rename it to `path`, so that even after a crash readers see old or new.

    Raises OSError; an earlier file at `path` is then intact.
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
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents durably. Raises OSError."""
    if folder.exists():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def move_folder(source: Path, target: Path) -> None:
    """Move a folder within one file system durably; its files must be synced. Raises OSError."""
    for folder, _, _ in os.walk(source):
        sync_folder(Path(folder))
    os.rename(source, target)
    sync_folder(target.parent)


def drafts_within(folder: Path) -> list[Path]:
    """Temporary files below `folder`, of killed or of running writers."""
    paths = (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return sorted(filter(is_draft, paths))


def checksum(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_draft(path: Path) -> bool:
    """Whether the name is that of a temporary file."""
    return path.suffix in _DRAFTS


def remove_drafts(path: Path) -> None:
    """Delete temporary files of killed writers of `path`; nobody may be writing it now. Raises OSError."""
    for draft in path.parent.glob(f".{path.name}.*{_DRAFT}"):
        draft.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    # A rename is durable only once its folder is synced; Windows cannot open folders and needs no sync.
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
