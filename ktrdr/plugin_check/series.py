"""The bars on which contracts are tried: made-up ones, and stored ones that somebody names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from ktrdr.market.providers.synthetic import SyntheticProvider
from ktrdr.timeframe import Timeframe

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.market.store import BarStore

PRICES = ("open", "high", "low", "close")
TENFOLD: dict[str, tuple[str, ...]] = {"prices": PRICES, "volumes": ("volume",)}

_FIRST, _LAST = date(2015, 1, 1), date(2017, 6, 30)
_MOST_STORED_BARS = 2000


@dataclass(frozen=True, slots=True)
class CheckedSeries:
    symbol: str
    timeframe: Timeframe
    frame: pl.DataFrame

    def __str__(self) -> str:
        return f"{self.symbol} {self.timeframe}"


def made_up() -> CheckedSeries:
    """651 days of a random walk, the same ones every time."""
    (page,) = SyntheticProvider().pages("MADE-UP", Timeframe.DAY, _FIRST, _LAST)
    return CheckedSeries("MADE-UP", Timeframe.DAY, page.frame)


def stored(store: BarStore, symbols: Sequence[str], timeframe: str) -> list[CheckedSeries]:
    """The newest bars of each symbol. Raises SeriesNotFound and InputError."""
    parsed = Timeframe.parse(timeframe)
    return [
        CheckedSeries(each, parsed, store.read_stored(each, parsed).frame.tail(_MOST_STORED_BARS)) for each in symbols
    ]


def multiplied(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """The bars with these columns ten times as large."""
    import polars as pl

    return frame.with_columns(pl.col(list(columns)) * 10.0)
