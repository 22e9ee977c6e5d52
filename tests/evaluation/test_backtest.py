from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrdr.evaluation.backtest import CURVE_POINTS, backtest
from ktrdr.evaluation.baselines import Guess
from ktrdr.evaluation.positions.sides import sides_of
from ktrdr.evaluation.sleeves import trade
from ktrdr.features.dataset import Dataset, Part
from ktrdr.features.stretches import opens_of
from ktrdr.market.trading_clock import TradingClock
from ktrdr.payloads.backtest import BacktestResult
from ktrdr.payloads.data import CalendarChoice
from ktrdr.payloads.trading_rules import Costs
from ktrdr.strategy.spec import Strategy
from ktrdr.timeframe import Timeframe

FREE = Costs(fee_bps=0, slippage_bps=0)
DOWN, FLAT, UP = 0, 1, 2


def bars(opens: list[float], last_close: float, first: datetime | None = None) -> pl.DataFrame:
    """Daily bars; closes don't matter to a fill at the open, except the last one."""
    begin = first or datetime(2020, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        {
            "timestamp": [begin + timedelta(days=day) for day in range(len(opens))],
            "open": opens,
            "close": [999.0] * (len(opens) - 1) + [last_close],
        },
        schema_overrides={"timestamp": pl.Datetime("us", "UTC"), "open": pl.Float64, "close": pl.Float64},
    )


def part_of(rows: list[int], symbols: list[int] | None = None, horizon: int = 1) -> Part:
    every = np.array(rows, np.int64)
    labels = np.zeros(len(rows), np.int64)
    return Part(
        ends=every,
        labels=labels,
        persistence=labels,
        timestamps=np.datetime64("2020-01-01", "us") + every * np.timedelta64(1, "D"),
        symbols=np.array(symbols or [0] * len(rows), np.int64),
        rows=every,
        settled=every + horizon,
        measures=np.zeros(len(rows)),
        weights=np.ones(len(rows), np.float32),
    )


def traded(
    classes: list[int], part: Part, series: dict[str, pl.DataFrame], costs: Costs = FREE, names: tuple[str, ...] = ()
) -> BacktestResult:
    names = names or ("down", "flat", "up")
    clock = TradingClock(Timeframe.DAY, CalendarChoice(name="24/7", why="", is_guess=False))
    dataset = SimpleNamespace(
        class_names=names,
        symbols=tuple(series),
        is_regression=False,
        target_scale=1.0,
        name_of=lambda _: "validation",
        bridges_holes=False,
        sequence_length=1,
        coverage=[SimpleNamespace(clock=clock, warmup_rows=0) for _ in series],
        rows_after_holes=lambda number: [hole.row for hole in clock.holes(opens_of([*series.values()][number]))],
    )
    strategy = Strategy.model_validate({"name": "x", "model": {"type": "mlp"}}).model_copy(update={"costs": costs})
    return backtest(Guess(np.array(classes)), part, cast("Dataset", dataset), series, strategy).result


def test_a_case_worked_out_by_hand() -> None:
    # Signals at the closes of bars 0 to 4, filled at the opens of bars 1 to 5, closed at the last close.
    series = {"A": bars([50, 100, 110, 99, 108.9, 98.01], last_close=107.811)}
    costs = Costs(fee_bps=30, slippage_bps=70)  # one percent of the traded value

    result = traded([UP, UP, DOWN, DOWN, FLAT], part_of([0, 1, 2, 3, 4]), series, costs)

    # Long +10 %, long -10 %, short of +10 %, short of -10 %, out.
    after_entry = 0.99 * 1.1
    second = after_entry * 0.9
    turned_round = second * 0.98 * 0.9
    fourth = turned_round * 1.1
    end = fourth * 0.99
    assert result.equity.model == pytest.approx([after_entry, second, turned_round, fourth, end], abs=1e-6)
    model = result.model
    assert model.total_return == pytest.approx(end - 1)
    assert (model.turnover, model.trades) == (4.0, 3)
    assert model.costs_paid == pytest.approx(0.01 + 0.02 * second + 0.01 * fourth)
    assert model.max_drawdown == pytest.approx(turned_round / after_entry - 1)
    returns = [0.99 * 1.1 - 1, -0.1, 0.98 * 0.9 - 1, 0.1, -0.01]
    deviation = math.sqrt(sum((each - sum(returns) / 5) ** 2 for each in returns) / 4)
    sharpe = sum(returns) / 5 / deviation
    assert result.bars_per_year == pytest.approx(365.25)
    assert model.sharpe == pytest.approx(sharpe * math.sqrt(365.25))
    assert model.sharpe_standard_error is not None
    assert model.sharpe_interval is not None
    assert model.sharpe is not None
    assert model.sharpe_interval[0] < model.sharpe < model.sharpe_interval[1]
    assert model.annual_volatility == pytest.approx(deviation * math.sqrt(365.25))
    assert model.annual_return == pytest.approx(end ** (365.25 / 5) - 1)

    held = result.buy_and_hold
    assert held.total_return == pytest.approx(0.99 * 107.811 / 100 * 0.99 - 1)
    assert (held.turnover, held.trades) == (2.0, 2)


def test_the_first_fall_from_the_capital_counts_as_drawdown() -> None:
    result = traded([UP, UP], part_of([0, 1]), {"A": bars([1, 100, 80], last_close=90)})

    assert result.model.max_drawdown == pytest.approx(-0.2)


def test_the_last_position_is_held_to_the_last_close_of_the_part_and_no_further() -> None:
    # The last label takes three bars to settle; bar 5 belongs to what comes after the part.
    series = {"A": bars([1, 100, 100, 100, 100, 1e6], last_close=1e6)}
    frame = series["A"].with_columns(close=pl.Series([1.0, 2, 3, 4, 120, 1e6]))

    result = traded([UP, UP], part_of([0, 1], horizon=3), {"A": frame})

    assert result.model.total_return == pytest.approx(0.2)
    assert result.equity.timestamps[-1] == datetime(2020, 1, 5, tzinfo=UTC)


def test_symbols_trade_equal_shares_of_the_capital_on_all_their_instants() -> None:
    series = {
        "A": bars([1, 100, 110], last_close=121),
        "B": bars([1, 100, 50], last_close=50, first=datetime(2020, 1, 2, tzinfo=UTC)),
    }

    result = traded([UP, UP, UP, UP], part_of([0, 1, 0, 1], symbols=[0, 0, 1, 1]), series)

    assert result.equity.model == pytest.approx([(1.1 + 1) / 2, (1.21 + 0.5) / 2, (1.21 + 0.5) / 2])
    assert result.buy_and_hold.total_return == pytest.approx((1.21 + 0.5) / 2 - 1)


def test_a_short_position_loses_all_and_not_more_when_a_price_triples() -> None:
    result = traded([DOWN, UP], part_of([0, 1]), {"A": bars([1, 100, 300], last_close=600)})

    assert result.equity.model == (0.0, 0.0)
    assert result.model.total_return == -1.0
    json.dumps(result.model_dump(mode="json"), allow_nan=False)


def test_whoever_never_trades_has_no_sharpe_ratio_and_is_as_good_as_any_shift_of_it() -> None:
    result = traded([FLAT] * 4, part_of([0, 1, 2, 3]), {"A": bars([1, 100, 90, 80, 70], last_close=70)}, Costs())

    assert result.model.sharpe is None
    assert (result.model.total_return, result.model.trades, result.model.costs_paid) == (0, 0, 0)
    assert result.random_entries.percentile == 50
    json.dumps(result.model_dump(mode="json"), allow_nan=False)


def test_a_regression_trades_the_sign_of_its_prediction() -> None:
    assert sides_of(np.array([0.3, -0.1, 0.0]), ()).tolist() == [1, -1, 0]


def test_foresight_does_better_than_random_entries_and_its_opposite_worse() -> None:
    random = np.random.default_rng(3)
    prices = 100 * np.exp(np.cumsum(random.normal(0, 0.01, 1202)))
    series = {"A": bars(prices[:-1].tolist(), last_close=float(prices[-1]))}
    rows = list(range(1200))
    knows = (prices[2:] > prices[1:-1]).astype(int)

    good, bad = (traded(list(each), part_of(rows), series, Costs(), ("down", "up")) for each in (knows, 1 - knows))

    assert good.random_entries.percentile == 100
    assert bad.random_entries.percentile == 0
    chance = good.random_entries
    levels = [level for level in (chance.low, chance.median, chance.high) if level is not None]
    assert levels == sorted(levels)
    assert levels[-1] < good.model.total_return
    assert chance.p_value == pytest.approx(1 / 501)
    assert bad.random_entries.p_value == 1.0
    assert len(good.equity.model) == len(good.equity.timestamps) == CURVE_POINTS
    assert good.equity.model[-1] == pytest.approx(1 + good.model.total_return, abs=1e-6)


@given(st.lists(st.tuples(st.sampled_from([-1.0, 0.0, 1.0]), st.floats(-0.9, 2)), min_size=1), st.floats(0, 1.5))
def test_costs_never_help_and_equity_never_falls_below_nothing(steps: list[tuple[float, float]], rate: float) -> None:
    positions, returns = (np.array(side) for side in zip(*steps, strict=True))

    free, dear = trade(positions, returns, 0), trade(positions, returns, rate)

    assert (dear.equity >= 0).all()
    assert (dear.equity <= free.equity).all()
    assert free.costs == 0 <= dear.costs
