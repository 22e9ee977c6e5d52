"""The order of columns in a file without a header, by what its values can be."""

from __future__ import annotations

import re

import polars as pl

from ktrdr.errors import BarsError
from ktrdr.market.bars import PRICES
from ktrdr.market.files.numbers import Marks, read_numbers
from ktrdr.market.files.table import Table, described
from ktrdr.timeframe import Timeframe

_SAMPLE_ROWS = 1000
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?")
_DIGIT_CLOCK = re.compile(r"([01]\d|2[0-3])[0-5]\d([0-5]\d)?")
_HINT = (
    "name its columns by position: --column timestamp=1 --column open=2 and so on; or its vendor: --format metatrader4"
)


def detect_order(table: Table, timeframe: Timeframe | None) -> tuple[dict[str, int], str]:
    """Positions by name: a time first, then open, high, low, close and what may be the volume; and that in words.

    Raises BarsError unless the values can be that.
    """
    sample = table.with_frame(table.frame.head(_SAMPLE_ROWS))
    if table.width <= len(PRICES):
        raise _unlike(table)
    symbol = [place for place in (1, 2) if _is_label(sample.column(place)) and table.width > len(PRICES) + 1]
    first = next((place for place in range(1, table.width + 1) if place not in symbol), 1)
    positions = {"timestamp": first, **({"symbol": symbol[0]} if symbol else {})}
    following = first + 1
    if following <= table.width and _is_clock(sample, first, following):
        positions["clock"], following = following, following + 1
    prices = {name: following + place for place, name in enumerate(PRICES)}
    if following + len(PRICES) - 1 > table.width or not _are_prices(sample, prices):
        raise _unlike(table)
    volume = following + len(PRICES)
    if volume <= table.width and _number(sample, volume) is not None:
        _check_volume(table, sample, prices, volume)
        positions["volume"] = volume
    shown = "date, time" if "clock" in positions else "time"
    words = f"no header ({shown}, open, high, low, close{', volume' if 'volume' in positions else ''} by position)"
    return {**positions, **prices}, words


def _unlike(table: Table) -> BarsError:
    return BarsError(
        "no header line, and the columns do not look like time, open, high, low and close: "
        f"{described(table, int(table.frame['place'][0]))}",
        hint=_HINT,
    )


def _is_label(column: pl.Series) -> bool:
    texts = column.drop_nulls().str.strip_chars()
    return bool(len(texts)) and bool(texts.str.contains(r"^[A-Za-z][A-Za-z0-9.:/_=^ -]*$").all()) and _has_few(texts)


def _has_few(texts: pl.Series) -> bool:
    return texts.n_unique() <= max(2, len(texts) // 5) and not texts.str.contains(r"\d{4}").all()


def _is_clock(table: Table, date: int, position: int) -> bool:
    texts = table.column(position).drop_nulls().str.strip_chars().to_list()
    if all(_CLOCK.fullmatch(text) for text in texts):
        return True
    is_date = not (table.column(date).str.contains(":").any())
    return is_date and all(map(_DIGIT_CLOCK.fullmatch, texts)) and any(text.startswith("0") for text in texts)


def _number(table: Table, position: int) -> pl.Series | None:
    values = read_numbers({"open": table.column(position)}, Marks(decimal="")).values["open"]
    return values if values.is_not_null().any() else None


def _are_prices(table: Table, prices: dict[str, int]) -> bool:
    """Whether nearly all rows have a high above and a low below the others."""
    texts = {name: table.column(place) for name, place in prices.items()}
    values = read_numbers(texts, Marks()).values
    frame = pl.DataFrame(dict(values)).drop_nulls()
    highest, lowest = pl.max_horizontal(*PRICES), pl.min_horizontal(*PRICES)
    fits = frame.select((pl.col("high") >= highest) & (pl.col("low") <= lowest)).to_series()
    return bool(len(fits)) and fits.sum() >= 0.9 * len(fits)


def _check_volume(table: Table, sample: Table, prices: dict[str, int], volume: int) -> None:
    """Raises BarsError where the volume may be another price, as of files with adjusted closes."""
    texts = {name: sample.column(prices[name]) for name in ("high", "low")}
    limits = read_numbers(texts, Marks()).values
    values = _number(sample, volume)
    if values is not None and len(values) > 1 and bool(values.is_between(limits["low"], limits["high"]).all()):
        raise BarsError(
            f"no header line, and column {volume} looks like a price: {described(table, table.frame['place'][0])}",
            hint="say which column is the volume, by its position: --column volume=7",
        )
