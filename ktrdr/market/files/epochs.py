"""Times written as numbers: counts since 1970 in any unit, dates and minutes without separators, dates of Excel."""

from __future__ import annotations

import polars as pl

from ktrdr.market.files.written import EXCEL, WALL

# A count below the first limit is of seconds, one below the next of milliseconds, and so on.
_UNITS = ((1e11, 1e6, "s"), (1e14, 1e3, "ms"), (1e17, 1.0, "µs"), (1e20, 1e-3, "ns"))
# Serial dates of 1927 to 2119: as seconds since 1970 they would all be of its first day.
SERIAL_DATES = (10_000, 80_000)
# Digits that are all smaller, such as 240102, are no seconds since 1970: nobody's bars end in 1973.
LEAST_COUNT = 1e8
_EXCEL_EPOCH_DAYS = 25_569
_DAY_US = 86_400_000_000
# Digits that are a date, with or without a time of day: nobody has bars of what they would be as counts.
_COMPACT = (
    ("%Y%m%d", "0000", (19_000_101, 21_991_231)),
    ("%Y%m%d%H%M", "", (190_001_010_000, 219_912_312_359)),
    ("%Y%m%d%H%M%S", "", (19_000_101_000_000, 21_991_231_235_959)),
)


def read(numbers: pl.Series, *, is_excel: bool) -> pl.DataFrame:
    """Columns wall, offset_us and is_date, null where there is no number or none that can be a time."""
    number, frame = pl.col("number"), numbers.rename("number").to_frame()
    compact = _compact_walls(frame)
    counted = (_serial_us(number) if is_excel else _epoch_us(number, numbers)).round().cast(pl.Int64, strict=False)
    is_compact = compact.is_not_null() & (not is_excel)
    read = frame.select(
        "number",
        wall=pl.when(is_compact).then(compact).otherwise(counted.cast(WALL)),
        offset_us=pl.when(counted.is_not_null() & ~is_compact & (not is_excel)).then(pl.lit(0, pl.Int64)),
    )
    is_whole = (number % 1 == 0) & is_excel if is_excel else is_compact & number.is_between(*_COMPACT[0][2])
    return read.select("wall", "offset_us", is_date=pl.when(pl.col("wall").is_not_null()).then(is_whole))


def layout(numbers: pl.Series, date_format: str) -> str:
    """Which kinds of number these are, for people."""
    present = numbers.drop_nulls()
    if present.is_empty():
        return ""
    if date_format == EXCEL:
        return "serial dates of Excel"
    frame = present.rename("number").to_frame()
    compact = _compact_walls(frame)
    counts = frame.filter(compact.is_null())["number"].abs()
    floor, units = 0.0, []
    for limit, _, name in _UNITS:
        if ((counts >= floor) & (counts < limit)).any():
            units.append(name)
        floor = limit
    words = [f"epoch {' and '.join(units)}"] if units else []
    return ", ".join([*words, *(["times as digits"] if len(counts) < len(frame) else [])])


def is_serial_date(number: float) -> bool:
    return SERIAL_DATES[0] <= number < SERIAL_DATES[1]


def _epoch_us(number: pl.Expr, numbers: pl.Series) -> pl.Expr:
    """Each value in its own unit, by its size; nothing where it may be a serial date."""
    size = number.abs()
    largest = numbers.abs().max()
    if not isinstance(largest, float) or largest < LEAST_COUNT:
        return number * pl.lit(None, pl.Float64)
    by_unit = [pl.when(size < limit).then(number * to_us) for limit, to_us, _ in _UNITS]
    return pl.when(~number.is_between(*SERIAL_DATES)).then(pl.coalesce(by_unit))


def _serial_us(number: pl.Expr) -> pl.Expr:
    """Excel counts days from 1899-12-30; its fractions are right to the second."""
    seconds = ((number - _EXCEL_EPOCH_DAYS) * 86_400).round()
    return pl.when(number.is_between(*SERIAL_DATES)).then(seconds * 1e6)


def _compact_walls(frame: pl.DataFrame) -> pl.Series:
    """Such as 20240102 or 202401020930 as date and time; null where a number is none of these."""
    number = pl.col("number")
    present = [entry for entry in _COMPACT if frame.select(number.is_between(*entry[2]).any()).item()]
    if not present:
        return pl.Series("wall", [None], dtype=WALL).new_from_index(0, len(frame))
    return frame.select(wall=pl.coalesce(_compact(number, *entry) for entry in present))["wall"]


def _compact(number: pl.Expr, pattern: str, clock: str, limits: tuple[int, int]) -> pl.Expr:
    is_whole = number.is_between(*limits) & (number % 1 == 0)
    text = pl.when(is_whole).then(number.cast(pl.Int64, strict=False).cast(pl.String)) + clock
    return text.str.to_datetime(pattern + ("%H%M" if clock else ""), time_unit="us", strict=False)
