"""SystemService: what the server runs on and what it runs."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from ktrdr.api.schemas.system import Disk, Readiness, System
from ktrdr.operations.service import OperationsService

_LIBRARIES = ("ktrdr", "torch", "numpy", "polars", "TA-Lib", "scikit-learn", "lightgbm", "fastapi", "sqlalchemy")
# Walking through thousands of folders is not for every look.
_SIZES_KEPT_S = 30.0


class SystemService:
    """`parts` are the folders and files whose sizes are told, by name."""

    def __init__(
        self,
        operations: OperationsService,
        readiness: Callable[[], Awaitable[Readiness]],
        *,
        home: Path,
        parts: Mapping[str, Path],
    ) -> None:
        self._operations = operations
        self._readiness = readiness
        self._home = home
        self._parts = parts
        self._started_at = datetime.now(UTC)
        self._sizes: dict[str, int] = {}
        self._sizes_read_at = -_SIZES_KEPT_S

    async def read(self) -> System:
        readiness = await self._readiness()
        return System(
            health=readiness,
            operations=await self._operations.count_by_status(),
            disk=await asyncio.to_thread(self._disk),
            versions=_versions(),
            platform=f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
            memory_total_bytes=psutil.virtual_memory().total,
            memory_available_bytes=psutil.virtual_memory().available,
            started_at=self._started_at,
        )

    def _disk(self) -> Disk:
        usage = shutil.disk_usage(self._home if self._home.exists() else Path.cwd())
        if time.monotonic() - self._sizes_read_at >= _SIZES_KEPT_S:
            self._sizes = {name: _size_of(path) for name, path in self._parts.items()}
            self._sizes_read_at = time.monotonic()
        return Disk(home=str(self._home), total_bytes=usage.total, free_bytes=usage.free, parts=self._sizes)


def _size_of(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    size = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                size += os.lstat(os.path.join(folder, name)).st_size
            except OSError:  # gone since
                continue
    return size


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
