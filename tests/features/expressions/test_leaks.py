"""Leaks that somebody plants through an expression: refused by name, or caught by the gate by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from ktrdr.errors import LeakFound
from ktrdr.features.assemble import build_dataset
from ktrdr.features.expressions.formulas import Formulas
from ktrdr.features.expressions.functions import FUNCTIONS
from ktrdr.features.leaks.gate import check_leaks
from ktrdr.features.leaks.leak import Kind
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.strategy.spec import Strategy
from tests.features.expressions.formulas import RIGHT, entry
from tests.features.leaky import with_column
from tests.features.series import made_bars


@pytest.mark.parametrize(
    ("text", "keys", "words"),
    [
        ("lag(close, -1) / close - 1", {}, "n must be at least 0, for a negative one looks ahead; it is -1"),
        ("lag(close, n) / close - 1", {"n": -5}, "must be at least 0, for a negative one looks ahead; it is -5"),
        ("diff(log(close), -2)", {}, "n must be at least 1, for a negative one looks ahead; it is -2"),
        ("lead(close, 1) / close", {}, "lead looks ahead"),
        ("close / mean(close, 7, center=1)", {}, "a centred window looks ahead"),
        ("close / mean(close) - 1", {}, "statistics of the whole series look ahead"),
        ("zscore(close)", {}, "statistics of the whole series look ahead"),
        ("bfill(where(volume > 0, returns, log(0 * returns)))", {}, "bfill looks ahead"),
        ("interpolate(returns)", {}, "interpolate looks ahead"),
        ("close@1d / close", {}, "timeframe"),
        ("close.shift(0 - 1) / close", {}, "nothing has attributes"),
    ],
)
def test_an_expression_that_would_look_ahead_is_refused_by_name(text: str, keys: dict[str, int], words: str) -> None:
    (fault,) = Formulas().check(entry(text, **keys))

    assert words in fault.message


def strategy(*indicators: dict[str, Any], timeframes: tuple[str, ...] = ("1d",)) -> Strategy:
    return Strategy.model_validate(
        {
            "name": "x",
            "model": {"type": "mlp", "sequence_length": 2},
            "timeframes": timeframes,
            "calendar": "24/7",
            "indicators": list(indicators),
        }
    )


@pytest.mark.parametrize(
    ("kind", "compute"),
    [
        (Kind.LOOK_AHEAD, lambda x, n: x.shift(-n).fill_null(0.0)),
        (Kind.LOOK_AHEAD, lambda x, n: x.rolling_mean(n, center=True, min_samples=1)),
        (Kind.WHOLE_HISTORY, lambda x, n: x.mean() + 0 * x),
        (Kind.WHOLE_HISTORY, lambda x, n: (x - x.mean()) / x.std() + x),
        (Kind.BACK_FILL, lambda x, n: pl.when(pl.int_range(pl.len()) % 9 < 6).then(x).backward_fill().fill_null(0.0)),
    ],
)
def test_a_function_that_knew_later_bars_would_be_caught_by_name(
    kind: Kind, compute: Callable[..., pl.Expr], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"leaky_{id(compute)}"
    monkeypatch.setitem(FUNCTIONS, name, replace(FUNCTIONS["mean"], name=name, compute=compute))
    spec, bars = strategy({"expr": f"{name}(returns, 4)", "as": "planted"}), days(300)

    with pytest.raises(LeakFound) as found:
        check_leaks(spec, bars, build_dataset(spec, bars))

    assert (found.value.context["kind"], found.value.context["column"]) == (kind.value, "planted")


def days(rows: int) -> dict[str, SymbolBars]:
    return {"X": SymbolBars({"1d": made_bars(rows)})}


def hours_and_days() -> dict[str, SymbolBars]:
    """Hours of a random walk around the clock, and the days that they make."""
    hours = made_bars(30 * 24, seed=3)
    opens = [datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(hours.height)]
    hours = hours.with_columns(timestamp=pl.Series(opens).cast(pl.Datetime("us", "UTC")))
    whole = hours.group_by_dynamic("timestamp", every="1d").agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
    )
    return {"X": SymbolBars({"1h": hours, "1d": whole})}


def test_an_expression_of_a_day_that_is_still_open_is_caught_by_name() -> None:
    spec = strategy({"expr": "diff(log(close))", "as": "day", "timeframe": "1d"}, timeframes=("1h", "1d"))

    def unshifted(_: Strategy, bars: SymbolBars) -> pl.Series:
        (computed,) = Formulas().compute([entry("diff(log(close))")], bars["1d"])
        days = bars["1d"].select("timestamp", day=pl.Series(computed["x"]))
        return bars["1h"].select("timestamp").join_asof(days, on="timestamp")["day"].fill_nan(0.0)

    build, bars = with_column("day@1d", unshifted), hours_and_days()
    with pytest.raises(LeakFound) as found:
        check_leaks(spec, bars, build_dataset(spec, bars, build=build), build=build)

    assert (found.value.context["kind"], found.value.context["column"]) == (Kind.OPEN_BAR.value, "day@1d")


def test_right_expressions_pass_on_one_timeframe_and_on_two() -> None:
    indicators = [{"expr": text, "as": f"x{place}"} for place, text in enumerate(RIGHT)]
    one, two = strategy(*indicators), strategy(*indicators[::3], timeframes=("1h", "1d"))

    for spec, bars in ((one, days(150)), (two, hours_and_days())):
        assert check_leaks(spec, bars, build_dataset(spec, bars)).passed
