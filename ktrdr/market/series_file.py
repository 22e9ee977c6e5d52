"""The Parquet file of one series: written with who served its bars and with checksums, read only where it is sound.

A read of some of its row groups need not touch the others. A file without checksums, which another tool has written, is
checked row by row whenever it is read.
"""

from __future__ import annotations

import io
import json
import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import polars as pl

from ktrdr.errors import BarsError, StorageError
from ktrdr.files import write_atomically
from ktrdr.market import seals
from ktrdr.market.bars import SCHEMA, check_bars, range_filter, symbol_of
from ktrdr.market.days import DayClock
from ktrdr.market.seals import FOOTER_BYTES, read_bytes
from ktrdr.timeframe import Timeframe

ROW_GROUP_ROWS = 50_000
UNKNOWN = "unknown"

_METADATA_KEY = "ktrdr"
_SMALL_BYTES = 1 << 20
_DECODED_AT_ONCE = 200
_MICROSECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """`provider` is UNKNOWN where another tool has written the file; `version` changes with its content.

    `clock` says how days open, None where only their dates are known.
    """

    symbol: str
    timeframe: Timeframe
    rows: int
    first: datetime
    last: datetime
    provider: str
    size_bytes: int
    version: str = ""
    clock: DayClock | None = None


@dataclass(frozen=True, slots=True)
class StoredBars:
    """Bars as they are stored, who served them, the version of the whole series, and how its days open.

    `calendar` is the one that somebody has named for the symbol.
    """

    frame: pl.DataFrame
    provider: str
    version: str = ""
    clock: DayClock | None = None
    calendar: str | None = None


def write(path: Path, frame: pl.DataFrame, provider: str, clock: DayClock | None = None) -> None:
    # A group may not end where one of the frame's chunks happens to.
    frame = frame.rechunk()
    first, last = ends(frame)
    starts = frame["timestamp"].gather_every(ROW_GROUP_ROWS).to_physical().to_list()
    about: dict[str, object] = {
        "provider": provider,
        "rows": len(frame),
        "first": first.isoformat(),
        "last": last.isoformat(),
    }
    if clock is not None:
        about["days"] = str(clock)
    unsealed = seals.blank(len(starts))
    content = io.BytesIO()
    frame.write_parquet(
        content,
        compression="zstd",
        compression_level=1,
        row_group_size=ROW_GROUP_ROWS,
        metadata={_METADATA_KEY: json.dumps({**about, "starts": starts, "seal": unsealed})},
    )
    with content.getbuffer() as view:
        seals.put(view, unsealed)
    # Python's own write, not that of Polars: a full disk is then an OSError with its reason.
    write_atomically(path, content.getvalue())


def read(path: Path, since: datetime | None = None, until: datetime | None = None) -> StoredBars:
    """Bars from `since` up to, but not at, `until`; only row groups in that range are read and decoded.

    Raises StorageError when they are not, bit for bit, what `write` wrote, nor bars that pass every check.
    """
    with storage_errors(path), path.open("rb") as opened:
        file = _in_memory_if_small(opened)
        footer = _read_footer(file)
        if not footer.is_ours:
            return _read_foreign(file, path, footer, since, until)
        groups = _groups_between(footer, since, until)
        _check_seal(file, footer, groups, path)
        # From the same handle: under its name there may be another file by now.
        return footer.stored(_cut(_decoded(file, groups), since, until))


def read_many(paths: Sequence[Path], since: datetime | None = None, until: datetime | None = None) -> list[StoredBars]:
    """What `read` reads of each path. Small files are decoded together, which takes Polars half of the time."""
    small = [_read_small(path) for path in paths]
    frames = _decoded_together([each for each in small if each])
    return [
        each.footer.stored(_cut(next(frames), since, until)) if each else read(path, since, until)
        for path, each in zip(paths, small, strict=True)
    ]


def info(path: Path) -> SeriesInfo:
    """From the footer alone. Raises StorageError."""
    with storage_errors(path):
        with path.open("rb") as file:
            footer = _read_footer(file)
        about = footer.about or _about_foreign(path)
        return SeriesInfo(
            symbol=symbol_of(path.parent.name),
            timeframe=Timeframe(path.stem),
            rows=about["rows"],
            first=datetime.fromisoformat(about["first"]),
            last=datetime.fromisoformat(about["last"]),
            provider=about["provider"],
            size_bytes=footer.size,
            version=footer.version,
            clock=footer.clock,
        )


def ends(frame: pl.DataFrame) -> tuple[datetime, datetime]:
    first: datetime = frame["timestamp"][0]
    last: datetime = frame["timestamp"][-1]
    return first.astimezone(UTC), last.astimezone(UTC)


def mend(path: Path) -> str:
    series = f"{symbol_of(path.parent.name)} {path.stem}"
    return f"move the file away, or load the series anew with: ktrdr data load {series} --replace"


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
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
        raise StorageError(f"{path} is damaged: {error}", hint=mend(path), path=str(path)) from error


@dataclass(frozen=True, slots=True)
class _Footer:
    """What the end of a file says about it; `about` is empty where another tool wrote it."""

    about: dict[str, Any]
    size: int

    @property
    def is_ours(self) -> bool:
        return "seal" in self.about

    @property
    def clock(self) -> DayClock | None:
        return DayClock.parse(self.about["days"]) if "days" in self.about else None

    @property
    def version(self) -> str:
        """The checksum of what vouches for all the rest."""
        return seals.last_checksum(self.about["seal"]) if self.is_ours else f"{self.size}"

    def stored(self, frame: pl.DataFrame) -> StoredBars:
        return StoredBars(frame, self.about.get("provider", UNKNOWN), self.version, self.clock)


@dataclass(frozen=True, slots=True)
class _SmallFile:
    """A file in memory whose checksums are right."""

    content: IO[bytes]
    footer: _Footer


def _read_small(path: Path) -> _SmallFile | None:
    """None for a file of several row groups, and for one that another tool wrote. Raises StorageError."""
    with storage_errors(path), path.open("rb") as file:
        if not isinstance(content := _in_memory_if_small(file), io.BytesIO):
            return None
        footer = _read_footer(content)
        if not footer.is_ours or len(footer.about["starts"]) > 1:
            return None
        _check_seal(content, footer, range(1), path)
        return _SmallFile(content, footer)


def _decoded_together(files: Sequence[_SmallFile]) -> Iterator[pl.DataFrame]:
    """The bars of each file."""
    for first in range(0, len(files), _DECODED_AT_ONCE):
        some = files[first : first + _DECODED_AT_ONCE]
        for each in some:
            each.content.seek(0)
        frame, begin = pl.scan_parquet([each.content for each in some]).collect(), 0
        for each in some:
            yield frame[begin : (begin := begin + each.footer.about["rows"])]


def _in_memory_if_small(file: IO[bytes]) -> IO[bytes]:
    """Polars decodes bytes in memory in half the time that it needs for a small file."""
    return io.BytesIO(file.read()) if os.fstat(file.fileno()).st_size <= _SMALL_BYTES else file


def _read_footer(file: IO[bytes]) -> _Footer:
    size = file.seek(0, os.SEEK_END)
    tail = read_bytes(file, max(0, size - FOOTER_BYTES), size)
    needed = int.from_bytes(tail[-8:-4], "little") + 8
    if len(tail) < needed <= size:
        tail = read_bytes(file, size - needed, size)
    about: dict[str, Any] = json.loads(pl.read_parquet_metadata(io.BytesIO(tail)).get(_METADATA_KEY) or "{}")
    return _Footer(about, size)


def _groups_between(footer: _Footer, since: datetime | None, until: datetime | None) -> range:
    """The row groups that bars in the range may be in."""
    starts = footer.about["starts"]
    first = 0 if since is None else max(0, bisect_right(starts, _micros(since)) - 1)
    end = len(starts) if until is None else bisect_left(starts, _micros(until))
    return range(first, max(first, end))


def _micros(moment: datetime) -> int:
    since_epoch = moment - datetime.fromtimestamp(0, UTC)
    return (since_epoch.days * 86_400 + since_epoch.seconds) * _MICROSECOND + since_epoch.microseconds


def _decoded(file: IO[bytes], groups: range) -> pl.DataFrame:
    if not groups:
        return pl.DataFrame(schema=SCHEMA)
    file.seek(0)  # Polars takes a file to begin where its handle stands.
    scanned = pl.scan_parquet(file)
    return scanned.slice(groups.start * ROW_GROUP_ROWS, len(groups) * ROW_GROUP_ROWS).collect()


def _cut(frame: pl.DataFrame, since: datetime | None, until: datetime | None) -> pl.DataFrame:
    if since is None and until is None:
        return frame
    stamps = frame["timestamp"].to_physical()
    first = 0 if since is None else int(stamps.search_sorted(_micros(since)))
    end = len(frame) if until is None else int(stamps.search_sorted(_micros(until)))
    return frame[first:end]


def _read_foreign(
    file: IO[bytes], path: Path, footer: _Footer, since: datetime | None, until: datetime | None
) -> StoredBars:
    scanned = _checked_schema(pl.scan_parquet(io.BytesIO(read_bytes(file, 0, footer.size))), path)
    frame = _checked_rows(scanned.collect(), path).filter(range_filter(since, until))
    return footer.stored(frame)


def _about_foreign(path: Path) -> dict[str, Any]:
    stamp = pl.col("timestamp")
    scanned = _checked_schema(pl.scan_parquet(path), path)
    first, last, rows = scanned.select(stamp.min().alias("a"), stamp.max().alias("b"), pl.len()).collect().row(0)
    if not rows:
        raise _without_bars(path)
    return {"provider": UNKNOWN, "rows": rows, "first": first.isoformat(), "last": last.isoformat()}


# Trust.


def _check_seal(file: IO[bytes], footer: _Footer, groups: range, path: Path) -> None:
    """Raises StorageError unless these row groups, and what lies outside of all, are as they were sealed."""
    if not seals.is_sound(file, footer.size, footer.about["seal"], len(footer.about["starts"]), groups):
        raise StorageError(
            f"{path} is damaged: its content has changed since it was stored", hint=mend(path), path=str(path)
        )


def _checked_schema(scanned: pl.LazyFrame, path: Path) -> pl.LazyFrame:
    if scanned.collect_schema() == pl.Schema(SCHEMA):
        return scanned
    raise StorageError(f"{path} holds other columns than bars", hint=mend(path), path=str(path))


def _checked_rows(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    if frame.is_empty():
        raise _without_bars(path)
    try:
        return check_bars(frame, Timeframe(path.stem))
    except BarsError as error:
        raise StorageError(
            f"{path} was not written by ktrdr and cannot be used: {error.detail}", hint=mend(path), path=str(path)
        ) from error


def _without_bars(path: Path) -> StorageError:
    return StorageError(f"{path} holds no bars", hint=mend(path), path=str(path))
