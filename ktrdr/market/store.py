"""Bars on disk: one Parquet file for each series, replaced whole or not at all."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from ktrdr.errors import InputError, SeriesNotFound, StorageError, nearest
from ktrdr.market.bars import (
    SCHEMA,
    TIMEFRAMES,
    VALUES,
    check_bars,
    check_range,
    check_symbol,
    check_timeframe,
    conform,
    range_filter,
)

if sys.platform != "win32":
    import fcntl

ROW_GROUP_ROWS = 50_000

_METADATA_KEY = "ktrdr"
_log = logging.getLogger(__name__)
_merges_in_this_process = threading.Lock()


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    symbol: str
    timeframe: str
    rows: int
    first: datetime
    last: datetime
    provider: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class MergeReport:
    rows_new: int
    rows_changed: int
    rows_total: int
    first: datetime
    last: datetime
    provider: str


# Inside BarStore the word `list` is its method.
AllSeries = list[SeriesInfo]


class BarStore:
    """All series under one folder, `<root>/<SYMBOL>/<timeframe>.parquet`.

    Thread safety: any number of threads and processes may read and merge at once; merges of one series queue.
    Ownership: frames are copies that belong to the caller.
    Consistency: a reader sees the series before a merge or after it, never between.
    Durability: a merge that returned survives a crash; one that did not return left the old file or the new one.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, symbol: str, timeframe: str, start: date | None = None, end: date | None = None) -> pl.DataFrame:
        """Bars from `start` to `end`, both inclusive; only the row groups in that range are touched.

        Raises:
            SeriesNotFound: the series is not stored.
            InputError: the dates are reversed, or no stored bar lies between them.
        """
        path = self._existing(symbol, timeframe)
        since, until = check_range(start, end)
        with _storage_errors(path):
            frame = _checked_schema(pl.scan_parquet(path), path).filter(range_filter(since, until)).collect()
        if frame.is_empty():
            raise self._outside(symbol, timeframe, start, end)
        return frame

    def merge(self, symbol: str, timeframe: str, frame: pl.DataFrame, provider: str) -> MergeReport:
        """Unite the stored bars with `frame` by timestamp; where both have a bar, the new one stays.

        Bars that are stored already change nothing, not even the file.

        Raises:
            BarsError: a row is wrong; nothing was stored.
        """
        path = self._path(symbol, timeframe)
        new = check_bars(conform(frame))
        if new.is_empty():
            raise InputError(f"there are no bars of {symbol} {timeframe} to store", symbol=symbol, timeframe=timeframe)
        with _storage_errors(path), _exclusive(path):
            _remove_strays(path)
            return _merge_into(path, new, provider)

    def list(self) -> AllSeries:
        """Every series by symbol and length of bar, from the files' footers; damaged files are logged and left out."""
        return [info for path in self._series_files() if (info := _info_or_warning(path))]

    def info(self, symbol: str, timeframe: str) -> SeriesInfo:
        return _info(self._existing(symbol, timeframe))

    def check_writable(self) -> None:
        """Raises StorageError, with the system's reason, when bars could not be stored now."""
        probe = self.root / f".writable-{uuid.uuid4().hex}.tmp"
        with _storage_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            try:
                probe.write_bytes(b"\0" * 4096)
            finally:
                probe.unlink(missing_ok=True)

    def _path(self, symbol: str, timeframe: str) -> Path:
        return self.root / check_symbol(symbol) / f"{check_timeframe(timeframe)}.parquet"

    def _existing(self, symbol: str, timeframe: str) -> Path:
        path = self._path(symbol, timeframe)
        with _storage_errors(path):
            if path.is_file():
                return path
        symbol, timeframe = path.parent.name, path.stem
        stored = [(file.parent.name, file.stem) for file in self._series_files()]
        hint = f"load it with: ktrdr data load {symbol} {timeframe}"
        if others := [stem for name, stem in stored if name == symbol]:
            hint += f" (stored for {symbol}: {', '.join(others)})"
        elif similar := nearest(symbol, {name for name, _ in stored}):
            hint += f" (did you mean {similar}, which is stored?)"
        raise SeriesNotFound(
            f"no bars of {symbol} {timeframe} are stored", hint=hint, symbol=symbol, timeframe=timeframe
        )

    def _series_files(self) -> Iterable[Path]:
        with _storage_errors(self.root):
            files = [path for path in self.root.glob("*/*.parquet") if path.stem in TIMEFRAMES]
        return sorted(files, key=lambda path: (path.parent.name, TIMEFRAMES[path.stem]))

    def _outside(self, symbol: str, timeframe: str, start: date | None, end: date | None) -> InputError:
        stored = self.info(symbol, timeframe)
        bounds = f"{start or 'the beginning'} to {end or 'the end'}"
        return InputError(
            f"no bar of {stored.symbol} {timeframe} lies in {bounds}; stored are {stored.rows} bars "
            f"from {stored.first:%Y-%m-%d %H:%M} to {stored.last:%Y-%m-%d %H:%M} UTC",
            hint=f"choose dates in that range, or load more with: ktrdr data load {stored.symbol} {stored.timeframe}"
            + (f" --start-date {start:%Y-%m-%d}" if start else "")
            + (f" --end-date {end:%Y-%m-%d}" if end else ""),
            first=stored.first.isoformat(),
            last=stored.last.isoformat(),
        )


def _merge_into(path: Path, new: pl.DataFrame, provider: str) -> MergeReport:
    if not path.exists():
        _write(path, new, provider)
        return _report(new, provider, rows_new=len(new), rows_changed=0)
    old, old_provider = _checked_schema(pl.scan_parquet(path), path).collect(), _info(path).provider
    added = new.join(old, on="timestamp", how="anti")
    changed = _changed(old, new)
    if not len(added) and not changed:
        return _report(old, old_provider, rows_new=0, rows_changed=0)
    kept = old.join(new, on="timestamp", how="anti")
    merged = pl.concat([kept, new]).sort("timestamp")
    providers = _providers(old_provider, provider) if len(kept) else provider
    _write(path, merged, providers)
    return _report(merged, providers, rows_new=len(added), rows_changed=changed)


def _changed(old: pl.DataFrame, new: pl.DataFrame) -> int:
    both = old.join(new, on="timestamp", how="inner", suffix="_new")
    differs = pl.any_horizontal(pl.col(name) != pl.col(f"{name}_new") for name in VALUES)
    return both.filter(differs).height


def _providers(old: str, new: str) -> str:
    return ", ".join(dict.fromkeys([*old.split(", "), new]))


def _report(frame: pl.DataFrame, provider: str, *, rows_new: int, rows_changed: int) -> MergeReport:
    first, last = _ends(frame)
    return MergeReport(rows_new, rows_changed, len(frame), first, last, provider)


def _ends(frame: pl.DataFrame) -> tuple[datetime, datetime]:
    first: datetime = frame["timestamp"][0]
    last: datetime = frame["timestamp"][-1]
    return first.astimezone(UTC), last.astimezone(UTC)


def _write(path: Path, frame: pl.DataFrame, provider: str) -> None:
    first, last = _ends(frame)
    about = {"provider": provider, "rows": len(frame), "first": first.isoformat(), "last": last.isoformat()}
    content = io.BytesIO()
    frame.write_parquet(
        content, compression="zstd", row_group_size=ROW_GROUP_ROWS, metadata={_METADATA_KEY: json.dumps(about)}
    )
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex}.tmp")
    try:
        # Python's own write, not that of Polars: a full disk is then an OSError with its reason.
        with temporary.open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    for folder in (path.parent, path.parent.parent):
        _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    """Make the renaming itself durable, where folders can be opened for that."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_strays(path: Path) -> None:
    """Temporary files of merges that were killed; the lock says that nobody writes them any more."""
    for stray in path.parent.glob(f".{path.stem}.*.tmp"):
        stray.unlink(missing_ok=True)


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Let one merge of a series run at a time: among processes by flock, where there is none among threads only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        with _merges_in_this_process:
            yield
        return
    with path.with_name(f".{path.stem}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _info_or_warning(path: Path) -> SeriesInfo | None:
    try:
        return _info(path)
    except StorageError as error:
        _log.warning("%s; %s", error.detail, error.hint)
        return None


def _info(path: Path) -> SeriesInfo:
    with _storage_errors(path):
        about = json.loads(pl.read_parquet_metadata(path).get(_METADATA_KEY) or "{}") or _about_foreign(path)
        return SeriesInfo(
            symbol=path.parent.name,
            timeframe=path.stem,
            rows=about["rows"],
            first=datetime.fromisoformat(about["first"]),
            last=datetime.fromisoformat(about["last"]),
            provider=about["provider"],
            size_bytes=path.stat().st_size,
        )


def _about_foreign(path: Path) -> dict[str, Any]:
    """What our own metadata would say, for a file that somebody else put there."""
    stamp = pl.col("timestamp")
    scanned = _checked_schema(pl.scan_parquet(path), path)
    first, last, rows = scanned.select(stamp.min().alias("a"), stamp.max().alias("b"), pl.len()).collect().row(0)
    if not rows:
        raise StorageError(f"{path} holds no bars", hint=_mend(path), path=str(path))
    return {"provider": "unknown", "rows": rows, "first": first.isoformat(), "last": last.isoformat()}


def _checked_schema(scanned: pl.LazyFrame, path: Path) -> pl.LazyFrame:
    if scanned.collect_schema() == pl.Schema(SCHEMA):
        return scanned
    raise StorageError(f"{path} holds other columns than bars", hint=_mend(path), path=str(path))


def _mend(path: Path) -> str:
    return f"move the file away and load it again: ktrdr data load {path.parent.name} {path.stem}"


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(
            f"{error.filename or path} cannot be used: {reason}",
            hint="check the free space and the permissions of that folder, or set KTRDR_HOME to another one",
            path=str(path),
        ) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{path} is damaged: {error}", hint=_mend(path), path=str(path)) from error
