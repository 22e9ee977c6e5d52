"""The bars that a saved model was trained on, as its card records them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from ktrdr.errors import ConflictError
from ktrdr.features.inputs import ReadTable, with_other_series
from ktrdr.instants import parse_instant
from ktrdr.market.bars import fingerprint
from ktrdr.market.symbol_bars import SymbolBars

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.market.series_file import StoredBars
    from ktrdr.payloads.preflight import PartName
    from ktrdr.strategy.spec import Strategy

ReadBars = Callable[[str, str, datetime, datetime], "StoredBars"]
"""(symbol, timeframe, first, last) -> stored bars."""


@dataclass(frozen=True, slots=True)
class TrainedSeries:
    """One series as it was: the SHA-256 of its bars, the openings of its first and last bar, and its number of bars."""

    symbol: str
    timeframe: str
    sha256: str
    first: datetime
    last: datetime
    rows: int

    def is_changed(self, bars: pl.DataFrame) -> bool:
        """Whether `bars` are others than these between the first and the last."""
        stamp = bars["timestamp"]
        own = bars.filter((stamp >= self.first) & (stamp <= self.last))
        return len(own) != self.rows or fingerprint(own) != self.sha256


@dataclass(frozen=True, slots=True)
class PartRange:
    """The openings of the last bars of a part's first and last sample."""

    part: PartName
    first: datetime
    last: datetime

    def holds(self, opening: datetime) -> bool:
        return self.first <= opening <= self.last


@dataclass(frozen=True, slots=True)
class TrainedOn:
    """What a model has seen.

    series: every symbol and timeframe
    others: bars of other symbols that features read
    parts: the parts of its samples, validation and test first, because purged folds train around them
    sealed: the test part, where the training left it sealed
    """

    series: tuple[TrainedSeries, ...]
    parts: tuple[PartRange, ...]
    sealed: PartRange | None = None
    others: tuple[TrainedSeries, ...] = ()

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError and ValueError where the card is of another form."""
        results = card["results"]
        parts = (results.get("preflight") or {}).get("parts", ())
        ranges = [PartRange(each["part"], parse_instant(each["first"]), parse_instant(each["last"])) for each in parts]
        sealed = next((each for each in ranges if each.part == "test" and results.get("sealed")), None)
        parts_in_order = tuple(sorted(ranges, key=lambda each: each.part == "train"))
        return cls(tuple(_series(card)), parts_in_order, sealed, tuple(_others(card)))

    def part_of(self, symbol: str, opening: datetime) -> PartName | None:
        """The part that holds this bar; None outside all parts, and for a symbol that was not trained on."""
        if not any(each.symbol == symbol for each in self.series):
            return None
        return next((each.part for each in self.parts if each.holds(opening)), None)

    def is_changed(self, symbol: str, bars: Mapping[str, pl.DataFrame]) -> bool:
        """Whether the symbol's `bars` by timeframe differ from those of the training; False for another symbol."""
        return any(each.is_changed(bars[each.timeframe]) for each in self.series if each.symbol == symbol)


def _series(card: Mapping[str, Any]) -> Iterator[TrainedSeries]:
    for symbol, timeframes in card["data_sha256"].items():
        for timeframe, content in timeframes.items():
            about = card["data_ranges"][symbol][timeframe]
            first, last = parse_instant(about["first"]), parse_instant(about["last"])
            yield TrainedSeries(symbol, timeframe, content, first, last, about["rows"])


def _others(card: Mapping[str, Any]) -> Iterator[TrainedSeries]:
    for symbol, timeframes in card.get("other_series", {}).items():
        for timeframe, about in timeframes.items():
            first, last = parse_instant(about["first"]), parse_instant(about["last"])
            content = card["other_sha256"][f"bars of {symbol} {timeframe}"]
            yield TrainedSeries(symbol, timeframe, content, first, last, about["rows"])


def inputs_as_trained(
    strategy: Strategy, trained_on: TrainedOn, read_bars: ReadBars, read_table: ReadTable
) -> dict[str, SymbolBars]:
    """The bars of a training, by symbol, with the other series that its features read.

    Raises ConflictError where bars are others now; SeriesNotFound and TableNotFound.
    """
    others = {(each.symbol, each.timeframe): each for each in trained_on.others}

    def read_other(symbol: str, timeframe: str) -> StoredBars:
        return _read_unchanged(others[symbol, timeframe], read_bars)

    return with_other_series(strategy, bars_as_trained(trained_on.series, read_bars), read_other, read_table)


def bars_as_trained(series: Sequence[TrainedSeries], read_bars: ReadBars) -> dict[str, SymbolBars]:
    """The bars of a training, by symbol. Raises ConflictError where they are others now, and SeriesNotFound."""
    stored: dict[str, dict[str, StoredBars]] = {}
    for each in series:
        stored.setdefault(each.symbol, {})[each.timeframe] = _read_unchanged(each, read_bars)
    return {symbol: SymbolBars.of(own) for symbol, own in stored.items()}


def _read_unchanged(series: TrainedSeries, read_bars: ReadBars) -> StoredBars:
    bars = read_bars(series.symbol, series.timeframe, series.first, series.last)
    if series.is_changed(bars.frame):
        raise ConflictError(
            f"the stored bars of {series.symbol} {series.timeframe} are not those that the model was trained on",
            hint="load them as they were, or train again",
        )
    return bars
