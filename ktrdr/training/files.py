"""Writing a file whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from ktrdr.errors import StorageError


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside `path`, force to disk, rename over it: a reader, or the next start, sees the old file or the new.

    Raises:
        StorageError: the disk is full or the folder cannot be written; an earlier file at `path` is intact.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _force_folder(path.parent)
    except OSError as error:
        _discard(draft)
        raise storage_error(path, error) from error


def storage_error(path: Path, error: OSError) -> StorageError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    reason = "the disk is full" if full else (error.strerror or str(error))
    hint = "Free some space and resume." if full else "Check that the folder exists and may be written."
    return StorageError(f"{path} cannot be written: {reason}", hint=hint, path=str(path), errno=error.errno)


def _discard(draft: Path) -> None:
    with contextlib.suppress(OSError):
        draft.unlink(missing_ok=True)


def _force_folder(folder: Path) -> None:
    # A rename is durable only once the folder is; Windows cannot open folders and needs no such thing.
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
