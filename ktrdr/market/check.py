"""Checks every stored series against its checksums, the rules of bars, and its own shorter bars."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ktrdr.errors import StorageError
from ktrdr.findings import Finding, Level, check_each, summarised
from ktrdr.market import series_file
from ktrdr.market.quality.stored import early_faults_of
from ktrdr.market.store import BarStore


def check(root: Path) -> list[Finding]:
    """`root` holds a folder for each symbol."""
    paths = sorted(root.glob("*/*.parquet"))
    return summarised("bars", f"{len(paths):,} series", check_each(_check_series, paths))


def _check_series(path: Path) -> Iterator[Finding]:
    series = f"{path.parent.name}/{path.name}"
    try:
        info = series_file.info(path)
        series_file.read(path)
        for fault in early_faults_of(BarStore(path.parent.parent), info):
            yield Finding(Level.FAULT, "bars", f"{series}: {fault.message}")
    except StorageError as damage:
        what = damage.detail.replace(str(path), series)
        # An error of the system while reading says nothing about the content.
        repair = None if isinstance(damage.__cause__, OSError) else lambda backup: backup.move(path)
        yield Finding(Level.FAULT, "bars", what, damage.hint, repair)
