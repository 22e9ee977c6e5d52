"""The real bars that come with the package `hvsampledata`: Apple, daily, 2019 to 2024."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from importlib.resources import files
from typing import ClassVar

import polars as pl

from ktrdr.errors import NoBars, ProviderError
from ktrdr.market.bars import check_bars, check_range, check_symbol, conform, in_range
from ktrdr.market.provider import Capabilities, Page, Pages, Wait
from ktrdr.timeframe import Timeframe

SAMPLES = (("AAPL", Timeframe.DAY),)

_USE_ANOTHER = "choose another source with --provider, or import a file with: ktrdr data import FILE SYMBOL TIMEFRAME"


class SampleProvider:
    name: ClassVar[str] = "sample"
    capabilities: ClassVar[Capabilities] = Capabilities(
        source="sample", timeframes=(Timeframe.DAY,), adjusted="splits", symbols="AAPL, 2019-01-02 to 2024-12-30"
    )

    def pages(
        self, symbol: str, timeframe: str, start: date | None, end: date | None, wait: Wait = time.sleep
    ) -> Pages:
        symbol, timeframe = check_symbol(symbol), Timeframe.parse(timeframe)
        if (symbol, timeframe) not in SAMPLES:
            has = ", ".join(" ".join(series) for series in SAMPLES)
            raise ProviderError(
                f"the sample has {has} only, not {symbol} {timeframe}",
                hint=_USE_ANOTHER,
                symbol=symbol,
                timeframe=timeframe,
            )
        bars = _apple()
        covered = f"{bars['timestamp'][0]:%Y-%m-%d} to {bars['timestamp'][-1]:%Y-%m-%d}"
        frame = in_range(bars, start, end)
        if frame.is_empty():
            raise NoBars(
                f"the sample has {symbol} {timeframe} from {covered} only; nothing lies in "
                f"{start or 'the beginning'} to {end or 'the end'}",
                hint=f"choose dates in that range; or {_USE_ANOTHER}",
                symbol=symbol,
                timeframe=timeframe,
            )
        note = f"real {symbol} daily bars, {covered}, adjusted for splits, not for dividends"
        yield Page(frame, self.name, check_range(start, end)[1] or datetime.now(UTC), note)


def _apple() -> pl.DataFrame:
    content = (files("hvsampledata") / "_data" / "apple_stocks.csv").read_bytes()
    # `adj_close` is left aside: open, high and low have no counterpart of it.
    return check_bars(conform(pl.read_csv(content, infer_schema=False)))
