"""Files that clients send."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

from ktrdr.errors import StorageError


async def receive(path: Path, chunks: AsyncIterator[bytes]) -> str:
    """Write to `path` what comes in; return its SHA-256. Raises StorageError."""
    content = hashlib.sha256()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            async for chunk in chunks:
                file.write(chunk)
                content.update(chunk)
    except OSError as error:
        raise StorageError(
            f"the upload cannot be kept in {path.parent}: {error.strerror}", hint="make room there"
        ) from error
    return content.hexdigest()
