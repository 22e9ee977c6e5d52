"""Rows of a table in the order in which they were known, and what was known of a column at an instant."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ktrdr.market.sessions import Instants

KNOWN_AT, PERIOD, SYMBOL = "known_at", "period", "symbol"
KEYS = (KNOWN_AT, PERIOD, SYMBOL)

Values = NDArray[np.float64]

_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True, slots=True, eq=False)
class KnownRows:
    """Rows about one symbol, or about all.

    known_at: [rows], ascending instants (us, UTC) from which on a row was known
    periods: [rows], instants (us, UTC) that name the periods that rows are about; a later row of a period revises it
    columns: [rows] by name, NaN where a row has no number
    """

    known_at: Instants
    periods: Instants
    columns: Mapping[str, Values]

    @classmethod
    def of(cls, frame: pl.DataFrame) -> Self:
        ordered = frame.sort(KNOWN_AT, PERIOD, maintain_order=True)
        known_at, periods = (ordered[name].to_numpy().astype("datetime64[us]") for name in (KNOWN_AT, PERIOD))
        values = {name: ordered[name].to_numpy() for name in ordered.columns if name not in KEYS}
        return cls(known_at, periods, values)

    def __len__(self) -> int:
        return len(self.known_at)

    def until(self, instant: np.datetime64) -> KnownRows:
        """The rows that were known at an instant."""
        rows = int(np.searchsorted(self.known_at, instant, "right"))
        return KnownRows(
            self.known_at[:rows], self.periods[:rows], {name: each[:rows] for name, each in self.columns.items()}
        )

    @property
    def sha256(self) -> str:
        """Of the content."""
        digest = hashlib.sha256(self.known_at.tobytes() + self.periods.tobytes())
        for name, values in self.columns.items():
            digest.update(f"{name}\0".encode() + values.tobytes())
        return digest.hexdigest()

    def column(self, name: str) -> KnownColumn:
        has_number = ~np.isnan(self.columns[name])
        return KnownColumn(self.known_at[has_number], self.periods[has_number], self.columns[name][has_number])


@dataclass(frozen=True, slots=True, eq=False)
class KnownColumn:
    """The numbers of one column, all [rows]; see `KnownRows`."""

    known_at: Instants
    periods: Instants
    values: Values

    def levels(self, at: Instants) -> Values:
        """[instants], the newest number of the newest period that was known; NaN where there was none."""
        return _taken(self.values, self._current(at))

    def changes(self, at: Instants) -> Values:
        """[instants], the level less the newest number that was known then of the period before; NaN without one."""
        return _taken(self._changes(), np.searchsorted(self.known_at, at, "right") - 1)

    def ages(self, at: Instants) -> Values:
        """[instants], for how many days the level had been known."""
        days: Values = (at - _taken(self.known_at, self._current(at), np.datetime64("NaT"))) / _DAY
        return days

    def _current(self, at: Instants) -> NDArray[np.int64]:
        """[instants], the row with the newest number of the newest period that was known; -1 where there was none."""
        periods = self.periods.astype(np.int64)
        is_of_newest = periods == np.maximum.accumulate(periods)
        newest = np.maximum.accumulate(np.where(is_of_newest, np.arange(len(periods)), -1))
        known = np.searchsorted(self.known_at, at, "right") - 1
        return _taken(newest, known, -1)

    def _changes(self) -> Values:
        """[rows], the change that was known from each row on."""
        latest: dict[int, float] = {}
        newest = previous = -(2**63)
        changes = np.full(len(self.values), np.nan)
        for row, (period, value) in enumerate(zip(self.periods.astype(np.int64).tolist(), self.values, strict=True)):
            latest[period] = value
            if period > newest:
                newest, previous = period, newest
            elif newest > period > previous:
                previous = period
            changes[row] = latest[newest] - latest.get(previous, np.nan)
        return changes


def _taken(values: NDArray[Any], rows: NDArray[np.int64], missing: float | np.datetime64 = np.nan) -> NDArray[Any]:
    """The values at `rows`, and `missing` where a row is negative."""
    if not len(values):
        return np.full(len(rows), missing)
    return np.where(rows >= 0, values[np.maximum(rows, 0)], missing)
