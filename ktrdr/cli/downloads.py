"""Files that the command line writes from what a server sends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

from ktrdr.errors import StorageError


def write_download(path: Path, chunks: Iterable[bytes], check: Callable[[Path], None] = lambda draft: None) -> int:
    """Write a file whole or not at all, once `check` accepts the draft of it; return its size.

    Raises StorageError, and what `check` raises.
    """
    draft = path.with_name(f".{path.name}.part")
    written = 0
    try:
        with draft.open("wb") as file:
            for chunk in chunks:
                written += file.write(chunk)
        check(draft)
        draft.replace(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}", hint="choose another place") from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    return written
