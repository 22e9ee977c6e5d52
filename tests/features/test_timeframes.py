"""A bar is used once it has closed: half days, changes of the clock and cut hours included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrdr.errors import TrainingDataError
from ktrdr.features.columns import build_features
from ktrdr.features.timeframes import latest_closed
from ktrdr.market import closings
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.strategy.spec import Strategy
from ktrdr.timeframe import Timeframe
from tests.bars import Series, every_source
from tests.features.series import made_bars

NEW_YORK, ROUND_THE_CLOCK = "XNYS", "24/7"


def at(*instants: str) -> np.ndarray:
    return np.array(instants, "datetime64[us]")


def closes_at(opens: np.ndarray, timeframe: Timeframe, calendar: str | None = None) -> np.ndarray:
    frame = pl.DataFrame({"timestamp": pl.Series(opens.astype("datetime64[us]")).dt.replace_time_zone("UTC")})
    return closings.closes_at(frame, timeframe, calendar)


def strategy(timeframes: list[str], calendar: str | None = None) -> Strategy:
    return Strategy.model_validate(
        {
            "name": "x",
            "timeframes": timeframes,
            "calendar": calendar,
            "model": {"type": "mlp", "sequence_length": 4},
            "indicators": [{"name": "sma", "period": 3}, {"name": "rsi", "period": 5, "timeframe": timeframes[-1]}],
        }
    )


@pytest.mark.parametrize(
    ("opened", "timeframe", "calendar", "closed"),
    [
        ("2023-01-03T15:00", "1h", None, "2023-01-03T16:00"),
        ("2023-01-03", "1d", None, "2023-01-04"),
        ("2023-01-02", "1w", None, "2023-01-09"),
        ("2023-01-03", "1d", NEW_YORK, "2023-01-03T21:00"),  # 16:00 in New York, in winter
        ("2023-07-03", "1d", NEW_YORK, "2023-07-03T17:00"),  # a half day, in summer
        ("2023-07-05", "1d", NEW_YORK, "2023-07-05T20:00"),
        ("2023-07-03", "1w", NEW_YORK, "2023-07-07T20:00"),
        ("2023-07-05", "1d", "NYSE", "2023-07-05T20:00"),  # another name of the same exchange
        ("2023-07-03T16:30", "1h", NEW_YORK, "2023-07-03T17:00"),  # the bell cuts the hour short
        ("2023-07-03T13:30", "4h", NEW_YORK, "2023-07-03T17:00"),
        ("2023-07-05T13:00", "1h", NEW_YORK, "2023-07-05T14:00"),  # begins before the session
        ("2023-07-05T22:00", "1h", NEW_YORK, "2023-07-05T23:00"),  # after hours
        ("2023-07-04", "1d", NEW_YORK, "2023-07-05"),  # a holiday that has a bar all the same
        ("2023-07-05T04:00", "1d", NEW_YORK, "2023-07-06T04:00"),  # not stamped with midnight: the full day
        ("2023-07-01", "1d", ROUND_THE_CLOCK, "2023-07-02"),
        ("2023-07-05T00:00", "4h", "XTKS", "2023-07-05T04:00"),  # goes on after the break at noon
        ("2023-07-05T02:00", "1h", "XTKS", "2023-07-05T03:00"),
        ("2023-07-05T04:00", "4h", "XTKS", "2023-07-05T06:00"),  # 15:00 in Tokyo
        ("1900-01-01", "1d", "XTKS", "1900-01-02"),  # before all that the calendar knows
    ],
)
def test_when_a_bar_has_closed(opened: str, timeframe: str, calendar: str | None, closed: str) -> None:
    assert closes_at(at(opened), Timeframe(timeframe), calendar) == at(closed)


@every_source
def test_no_bar_closes_before_it_opens_nor_after_its_length(series: Series) -> None:
    for timeframe in (Timeframe.MINUTE_5, Timeframe.HOUR_1, Timeframe.DAY):
        opens = series(f"SPY_{timeframe}")["timestamp"].to_numpy().astype("datetime64[us]")
        closes = closes_at(opens, timeframe, NEW_YORK)
        assert (closes > opens).all()
        assert (closes - opens <= np.timedelta64(timeframe.length)).all()
        assert (np.diff(closes) >= np.timedelta64(0)).all()


def test_the_last_hour_of_a_day_knows_the_day_and_the_others_do_not() -> None:
    hours = at("2023-01-03T19:00", "2023-01-03T20:00", "2023-01-04T14:00")
    days = at("2023-01-03", "2023-01-04")

    with_bells = latest_closed(closes_at(hours, Timeframe.HOUR_1, NEW_YORK), closes_at(days, Timeframe.DAY, NEW_YORK))
    without = latest_closed(closes_at(hours, Timeframe.HOUR_1), closes_at(days, Timeframe.DAY))

    assert with_bells.tolist() == [-1, 0, 0]
    assert without.tolist() == [-1, -1, 0]


def hours_and_days(series: Series, year: int = 2019) -> SymbolBars:
    def within(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.filter(pl.col("timestamp").dt.year() == year)

    return SymbolBars({"1h": within(series("AAPL_1h")), "1d": within(series("AAPL_1d"))})


@every_source
@pytest.mark.parametrize("calendar", [None, NEW_YORK])
def test_an_hour_never_sees_a_day_that_is_still_open(calendar: str | None, series: Series) -> None:
    bars = hours_and_days(series)
    columns = build_features(strategy(["1h", "1d"], calendar), bars)
    assert columns.names == ("log_return", "sma_3", "log_return@1d", "sma_3@1d", "rsi_5@1d")

    alone = build_features(strategy(["1d"]), SymbolBars({"1d": bars["1d"]})).values[:, 0]
    hours, days = (bars[name]["timestamp"].to_list() for name in ("1h", "1d"))
    bell = timedelta(hours=24) if calendar is None else timedelta(hours=21)
    for row in range(columns.warmup, len(hours), 37):
        closes = hours[row] + timedelta(hours=1)
        # In summer the bell rings an hour earlier; only days that are surely closed, or surely open, are told apart.
        known = max(number for number, day in enumerate(days) if day + bell <= closes)
        seen = columns.values[row, 2]
        newer = alone[known + 1] if calendar and known + 1 < len(alone) else None
        assert seen in (alone[known], newer)
        if calendar is None:
            assert seen == alone[known]


@every_source
@settings(max_examples=20, deadline=None)
@given(cut=st.integers(60, 1700), calendar=st.sampled_from([None, NEW_YORK]))
def test_what_an_hour_knows_does_not_change_when_the_future_comes(
    series: Series, cut: int, calendar: str | None
) -> None:
    bars, spec = hours_and_days(series), strategy(["1h", "1d"], calendar)
    whole = build_features(spec, bars)
    hours = bars["1h"].head(cut)
    now = hours["timestamp"][-1] + timedelta(hours=1)
    days = bars["1d"].filter(pl.col("timestamp") < now)

    then = build_features(spec, SymbolBars({"1h": hours, "1d": days}))

    warmup = min(whole.warmup, cut)
    np.testing.assert_array_equal(then.values[warmup:], whole.values[warmup:cut])


@every_source
def test_missing_days_are_named_and_never_carried_on_for_weeks(series: Series) -> None:
    bars = hours_and_days(series)
    short = SymbolBars({**bars, "1d": bars["1d"].filter(pl.col("timestamp") < datetime(2019, 6, 1, tzinfo=UTC))})

    with pytest.raises(TrainingDataError) as caught:
        build_features(strategy(["1h", "1d"]), short)

    assert "no 1d bar follows the one that closed at 2019-06-01T00:00:00.000000Z" in caught.value.detail


@every_source
def test_too_few_bars_of_the_higher_timeframe_leave_no_row(series: Series) -> None:
    bars = hours_and_days(series)

    columns = build_features(strategy(["1h", "1d"]), SymbolBars({**bars, "1d": bars["1d"].head(4)}))

    assert columns.warmup == bars["1h"].height
    assert np.isnan(columns.values).all()


def test_one_timeframe_alone_needs_no_other() -> None:
    frame = made_bars(50)
    assert build_features(strategy(["1d"]), SymbolBars({"1d": frame})).names == ("log_return", "sma_3", "rsi_5")
