"""Whether every calendar that can be named answers: a check, a resampling and the closes of a training by each."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from exchange_calendars import get_calendar_names

from benchmarks.outcome import Figure, below
from ktrdr.errors import InputError
from ktrdr.market.bars import SCHEMA
from ktrdr.market.closings import closes_at
from ktrdr.market.quality import check
from ktrdr.market.resample import resample
from ktrdr.timeframe import Timeframe

_FIRST = (datetime(1990, 1, 1, tzinfo=UTC), datetime(2007, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC))


def run() -> list[Figure]:
    began = time.perf_counter()
    names = get_calendar_names(include_aliases=False)
    endings = [_ending(answer) for name in names for first in _FIRST for answer in _answers(_weekdays(first), name)]
    return [
        Figure("calendars of exchange_calendars", len(names), ""),
        Figure("answers that were exceptions of a library", endings.count("crash"), "", below(1)),
        Figure("answers that were refused in a sentence", endings.count("refused"), ""),
        Figure("the sweep", time.perf_counter() - began, "s"),
    ]


def _weekdays(first: datetime) -> pl.DataFrame:
    days = [first + timedelta(days=number) for number in range(42)]
    stamps = [day for day in days if day.weekday() < 5]
    rise = np.linspace(100, 110, len(stamps))
    columns = {"open": rise, "high": rise + 1, "low": rise - 1, "close": rise, "volume": rise}
    return pl.DataFrame({"timestamp": stamps, **columns}, schema=SCHEMA)


def _answers(frame: pl.DataFrame, calendar: str) -> tuple[Callable[[], object], ...]:
    return (
        lambda: check(frame, "X", "1d", calendar),
        lambda: resample(frame, "X", "1d", "1w", calendar),
        lambda: closes_at(frame, Timeframe.DAY, calendar),
    )


def _ending(answer: Callable[[], object]) -> str:
    try:
        answer()
    except InputError:
        return "refused"
    except Exception:  # noqa: BLE001  any other exception would reach a user
        return "crash"
    return "answered"
