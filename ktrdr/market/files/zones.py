"""Local times as instants, through the nights in which a clock goes forward or back."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import available_timezones

import polars as pl

from ktrdr.errors import InputError, nearest
from ktrdr.market.bars import SCHEMA
from ktrdr.market.files.times import Times


def check_timezone(name: str) -> str:
    """Raises InputError unless it is the name of a time zone, or empty."""
    if not name or name in available_timezones():
        return name
    similar = nearest(name, available_timezones())
    raise InputError(
        f"{name[:64]!r} is not a time zone",
        hint=f"did you mean {similar!r}?" if similar else "name it as America/New_York or UTC",
    )


def to_instants(times: Times, timezone: str) -> pl.Series:
    """Instants [us, UTC] of rows that are in the order of time; null where there is none.

    A time without a zone is of `timezone`, or of UTC; a date stands at 00:00 UTC. An hour that a clock shows twice is
    the second one from the row on at which the clock goes back.
    """
    ahead = times.offset_us.fill_null(0).cast(pl.Duration("us"))
    stated = (times.wall - ahead).dt.replace_time_zone("UTC")
    if not timezone or times.has_zone.all():
        return stated.cast(SCHEMA["timestamp"])
    # A date without a time of day is that date in any zone.
    is_local = times.offset_us.is_null() & ~times.is_date.fill_null(False)
    local = pl.select(pl.when(is_local).then(_localized(times.wall, timezone)).otherwise(stated))
    return local.to_series().cast(SCHEMA["timestamp"])


def _localized(wall: pl.Series, zone: str) -> pl.Series:
    first, second = (
        wall.dt.replace_time_zone(zone, ambiguous=which, non_existent="null").dt.convert_time_zone("UTC")
        for which in ("earliest", "latest")
    )
    is_twice = (first != second).fill_null(False)
    if not is_twice.any():
        return first
    is_second = _is_second(wall, is_twice)
    return pl.select(pl.when(is_second).then(second).otherwise(first)).to_series()


def _is_second(wall: pl.Series, is_twice: pl.Series) -> pl.Series:
    """Of the times that come twice, those at or after the row at which the clock has gone back that night."""
    flags = [False] * len(wall)
    last: datetime | None = None
    has_gone_back = False
    for row in is_twice.arg_true():
        moment: datetime = wall[row]
        has_gone_back = last is not None and moment.date() == last.date() and (has_gone_back or moment <= last)
        flags[row], last = has_gone_back, moment
    return pl.Series(flags)
