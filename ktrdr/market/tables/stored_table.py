"""A table as it is stored: its rows, and what is known of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import polars as pl

from ktrdr.market.tables.known_rows import KEYS, KNOWN_AT, PERIOD, SYMBOL, KnownRows
from ktrdr.payloads.tables import TableInfo

_INSTANT = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True, eq=False)
class StoredTable:
    """frame: known_at and period (us, UTC), symbol where rows have one, float64 columns; in the order of these keys"""

    frame: pl.DataFrame
    info: TableInfo

    @property
    def columns(self) -> tuple[str, ...]:
        return self.info.columns

    def about(self, symbol: str) -> KnownRows:
        """The rows about one symbol; in a table that is common to all these are all."""
        frame = self.frame
        return KnownRows.of(frame.filter(pl.col(SYMBOL) == symbol) if SYMBOL in frame.columns else frame)


def schema_of(frame: pl.DataFrame) -> dict[str, pl.DataType]:
    """The columns and types that a table with these columns has."""
    keys = {KNOWN_AT: _INSTANT, PERIOD: _INSTANT, **({SYMBOL: pl.String()} if SYMBOL in frame.columns else {})}
    return keys | {name: pl.Float64() for name in frame.columns if name not in KEYS}


def keys_of(frame: pl.DataFrame) -> list[str]:
    """The columns that make a row one of its kind."""
    return [name for name in (PERIOD, SYMBOL, KNOWN_AT) if name in frame.columns]


def content_sha256(frame: pl.DataFrame) -> str:
    """The same wherever and however the rows were stored."""
    digest = hashlib.sha256()
    for name in frame.columns:
        column = frame[name]
        digest.update(f"{name}\0".encode())
        texts = column.dtype == pl.String
        digest.update("\0".join(column).encode() if texts else column.to_physical().to_numpy().tobytes())
    return digest.hexdigest()
