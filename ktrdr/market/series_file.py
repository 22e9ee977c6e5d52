"""The Parquet file of one series: written with who served its bars and with a checksum, and read only when it is sound.

The checksum is of the whole file with its own digits as zeros, so that a file vouches for itself. One without it, which
another tool has written, is checked row by row whenever it is read.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zlib import crc32

import polars as pl

from ktrdr.errors import BarsError, StorageError
from ktrdr.files import write_atomically
from ktrdr.market.bars import SCHEMA, check_bars, range_filter

ROW_GROUP_ROWS = 50_000
UNKNOWN = "unknown"

_METADATA_KEY = "ktrdr"
_UNSEALED = "00000000"


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """`provider` is UNKNOWN where another tool has written the file."""

    symbol: str
    timeframe: str
    rows: int
    first: datetime
    last: datetime
    provider: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StoredBars:
    """Bars as they are stored, and who served them."""

    frame: pl.DataFrame
    provider: str


def write(path: Path, frame: pl.DataFrame, provider: str) -> None:
    first, last = ends(frame)
    about = {"provider": provider, "rows": len(frame), "first": first.isoformat(), "last": last.isoformat()}
    content = io.BytesIO()
    frame.write_parquet(
        content,
        compression="zstd",
        row_group_size=ROW_GROUP_ROWS,
        metadata={_METADATA_KEY: json.dumps({**about, "crc32": _UNSEALED})},
    )
    # Python's own write, not that of Polars: a full disk is then an OSError with its reason.
    write_atomically(path, _sealed(content.getvalue()))


def read(path: Path, since: datetime | None = None, until: datetime | None = None) -> StoredBars:
    """Bars from `since` up to, but not at, `until`; only row groups in that range are decoded.

    Raises StorageError when the file is not, bit for bit, what `write` wrote, nor bars that pass every check.
    """
    with storage_errors(path):
        # Read once, so that checksum, metadata and bars are those of one file even while it is being replaced.
        content = path.read_bytes()
        about = _metadata(io.BytesIO(content))
        scanned = _checked_schema(pl.scan_parquet(io.BytesIO(content)), path)
        if "crc32" not in about:
            scanned = _checked_rows(scanned.collect(), path).lazy()
        elif not _vouches(content, about["crc32"]):
            raise StorageError(
                f"{path} is damaged: its content has changed since it was stored", hint=mend(path), path=str(path)
            )
        frame = scanned.filter(range_filter(since, until)).collect()
        return StoredBars(frame, about.get("provider", UNKNOWN))


def info(path: Path) -> SeriesInfo:
    """From the footer alone. Raises StorageError."""
    with storage_errors(path):
        about = _metadata(path) or _about_foreign(path)
        return SeriesInfo(
            symbol=path.parent.name,
            timeframe=path.stem,
            rows=about["rows"],
            first=datetime.fromisoformat(about["first"]),
            last=datetime.fromisoformat(about["last"]),
            provider=about["provider"],
            size_bytes=path.stat().st_size,
        )


def ends(frame: pl.DataFrame) -> tuple[datetime, datetime]:
    first: datetime = frame["timestamp"][0]
    last: datetime = frame["timestamp"][-1]
    return first.astimezone(UTC), last.astimezone(UTC)


def mend(path: Path) -> str:
    return f"move the file away, or load the series anew with: ktrdr data load {path.parent.name} {path.stem} --replace"


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


def _metadata(source: Path | io.BytesIO) -> dict[str, Any]:
    """What `write` says about the file; empty where another tool wrote it."""
    about: dict[str, Any] = json.loads(pl.read_parquet_metadata(source).get(_METADATA_KEY) or "{}")
    return about


def _about_foreign(path: Path) -> dict[str, Any]:
    stamp = pl.col("timestamp")
    scanned = _checked_schema(pl.scan_parquet(path), path)
    first, last, rows = scanned.select(stamp.min().alias("a"), stamp.max().alias("b"), pl.len()).collect().row(0)
    if not rows:
        raise _without_bars(path)
    return {"provider": UNKNOWN, "rows": rows, "first": first.isoformat(), "last": last.isoformat()}


# Trust.


def _sealed(content: bytes) -> bytes:
    at = _seal_at(content, _UNSEALED)
    return b"".join((content[:at], f"{crc32(content):08x}".encode(), content[at + len(_UNSEALED) :]))


def _vouches(content: bytes, seal: str) -> bool:
    at, whole = _seal_at(content, seal), memoryview(content)
    before = crc32(_UNSEALED.encode(), crc32(whole[:at]))
    return f"{crc32(whole[at + len(_UNSEALED) :], before):08x}" == seal


def _seal_at(content: bytes, seal: str) -> int:
    """Where the checksum's digits stand; the metadata is the last place in a file where they can."""
    key = b'"crc32": "'
    return content.rindex(key + seal.encode()) + len(key)


def _checked_schema(scanned: pl.LazyFrame, path: Path) -> pl.LazyFrame:
    if scanned.collect_schema() == pl.Schema(SCHEMA):
        return scanned
    raise StorageError(f"{path} holds other columns than bars", hint=mend(path), path=str(path))


def _checked_rows(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    if frame.is_empty():
        raise _without_bars(path)
    try:
        return check_bars(frame, path.stem)
    except BarsError as error:
        raise StorageError(
            f"{path} was not written by ktrdr and cannot be used: {error.detail}", hint=mend(path), path=str(path)
        ) from error


def _without_bars(path: Path) -> StorageError:
    return StorageError(f"{path} holds no bars", hint=mend(path), path=str(path))
