"""Which positions predictions ask for: every rule by hand, and nothing of it from later bars."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrdr.errors import InputError
from ktrdr.evaluation.backtest import trade_signals
from ktrdr.evaluation.baselines import Guess
from ktrdr.evaluation.evaluated_rows import EvaluatedRows
from ktrdr.evaluation.rivals import Rivals
from ktrdr.evaluation.signals import Signals, find_signals
from ktrdr.evaluation.stress import stress
from ktrdr.evaluation.trades import list_trades
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.payloads.trading_rules import Costs, Positions
from ktrdr.strategy.spec import Strategy

BARS = 160
CLASSES = ("down", "flat", "up")


def walk(seed: int, bars: int = BARS) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.02, bars)))
    opens = close * np.exp(random.normal(0, 0.003, bars))
    return pl.DataFrame(
        {
            "timestamp": [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(bars)],
            "open": opens,
            "high": np.maximum(opens, close) * 1.004,
            "low": np.minimum(opens, close) * 0.996,
            "close": close,
            "volume": np.full(bars, 1000.0),
        },
        schema_overrides={"timestamp": pl.Datetime("us", "UTC")},
    )


SERIES = {"A": walk(1), "B": walk(2)}


def strategy_of(**sections: Any) -> Strategy:
    document = {"name": "s", "model": {"type": "mlp"}, "timeframes": ["1d"], "calendar": "24/7", **sections}
    return Strategy.model_validate(document)


def rows_of(
    guess: Guess, names: tuple[str, ...], *, symbols: int = 1, horizon: int = 1, first: int = 40
) -> EvaluatedRows:
    """Predictions for bars from `first` on, the same for each symbol."""
    samples = len(guess.predicted)
    stamps = SERIES["A"]["timestamp"].to_numpy().astype("datetime64[us]")[first : first + samples]
    places = np.tile(np.arange(samples), symbols)
    whole = guess.take(places)
    number = len(places)
    return EvaluatedRows(
        part="other",
        class_names=names,
        timestamps=np.tile(stamps, symbols),
        symbols=np.repeat(list(SERIES)[:symbols], samples),
        spans=np.full(number, horizon),
        labels=np.zeros(number, np.int64),
        scales=np.full(number, 0.5),
        folds=np.zeros(number, np.int64),
        look_back=np.ones(number, np.int64),
        model=whole,
        rivals=Rivals({}, {}, None),
    )


def signals_of(rows: EvaluatedRows, strategy: Strategy, bars: dict[str, pl.DataFrame] = SERIES) -> Signals:
    return find_signals(rows, {name: SymbolBars({"1d": frame}) for name, frame in bars.items()}, strategy)


def guess_of(*probabilities: tuple[float, float, float]) -> Guess:
    table = np.array(probabilities)
    return Guess(table.argmax(axis=1), table)


SURE = guess_of((0.1, 0.2, 0.7), (0.6, 0.3, 0.1), (0.35, 0.2, 0.45), (0.2, 0.6, 0.2), (0.45, 0.1, 0.45))


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({}, [1, -1, 1, 0, -1]),
        ({"direction": "long"}, [1, 0, 1, 0, 0]),
        ({"direction": "short"}, [0, -1, 0, 0, -1]),
        ({"rule": "threshold", "threshold": 0.6}, [1, -1, 0, 0, 0]),
        ({"rule": "threshold", "threshold": 0.4, "direction": "long"}, [1, 0, 1, 0, 0]),
        ({"max_symbol": 0.5}, [0.5, -0.5, 0.5, 0, -0.5]),
        ({"max_gross": 0.25}, [0.25, -0.25, 0.25, 0, -0.25]),
        # The shares of up and down among both, half of which is held: (0.7 - 0.1) / 0.8 / 2, …
        ({"kelly": 0.5}, [0.375, -0.5 * 0.5 / 0.7, 0.5 * 0.1 / 0.8, 0, 0]),
        ({"kelly": 1, "kelly_cap": 0.3}, [0.3, -0.3, 0.1 / 0.8, 0, 0]),
    ],
)
def test_positions_of_classes(rules: dict[str, Any], expected: list[float]) -> None:
    signals = signals_of(rows_of(SURE, CLASSES), strategy_of(positions=rules))

    assert signals.positions.tolist() == pytest.approx(expected)


def test_kelly_with_barriers_counts_what_is_won_and_lost() -> None:
    labels = {"type": "triple_barrier", "upper": 3, "lower": 1.5}
    signals = signals_of(rows_of(SURE, CLASSES), strategy_of(positions={"kelly": 1}, labels=labels))

    # A long position wins twice what it loses, a short one half.
    assert signals.positions[:3].tolist() == pytest.approx(
        [(0.7 - 0.05) / 0.8, -(0.6 - 0.2) / 0.7, (0.45 - 0.175) / 0.8]
    )


RETURNS = Guess(np.array([0.02, -0.001, -0.03, 0.0]))  # in units of 0.5: 1 %, -0.05 %, -1.5 %, 0


def test_positions_of_a_regression() -> None:
    labels = {"type": "forward_return", "horizon": 4}
    rows = rows_of(RETURNS, (), horizon=4)

    assert signals_of(rows, strategy_of(labels=labels)).positions.tolist() == [1, -1, -1, 0]
    flat = strategy_of(labels=labels, positions={"rule": "threshold", "threshold": 0.01})
    assert signals_of(rows, flat).positions.tolist() == [1, 0, -1, 0]
    sized = strategy_of(
        labels=labels, positions={"kelly": 0.1, "kelly_cap": 50, "max_symbol": 50, "volatility_span": 10}
    )
    variance = deviations(10)[40:44] ** 2 * 4
    expected = 0.1 * np.array([0.01, -0.0005, -0.015, 0]) / variance
    assert signals_of(rows, sized).positions.tolist() == pytest.approx(expected.tolist())


def deviations(span: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    moves = np.diff(np.log(SERIES["A"]["close"].to_numpy()))
    return np.append(np.nan, pl.Series(moves).ewm_std(span=span, min_samples=span).to_numpy())


def test_a_volatility_target_is_met_by_what_was_known_at_the_close() -> None:
    rules = {"volatility_target": 0.2, "volatility_span": 20, "max_symbol": 3}
    rows = rows_of(guess_of(*[(0.1, 0.2, 0.7)] * 5), CLASSES, first=18)

    signals = signals_of(rows, strategy_of(positions=rules))

    # There are 20 returns from bar 20 on; 24/7 has 365.25 bars a year.
    known = 0.2 / (deviations(20)[20:23] * math.sqrt(365.25))
    assert signals.positions.tolist() == pytest.approx([0, 0, *known])
    assert signals.look_back == 20


RULES = [
    {"volatility_target": 0.3, "volatility_span": 15},
    {"kelly": 0.5, "volatility_target": 0.3, "volatility_span": 15},
    {"rule": "threshold", "threshold": 0.4, "band": 0.1},
    {"hold": "barrier"},
]


@pytest.mark.parametrize("rules", RULES)
def test_later_bars_change_no_position_and_no_fill(rules: dict[str, Any]) -> None:
    labels = {"type": "triple_barrier", "horizon": 5, "volatility_span": 10}
    strategy = strategy_of(positions=rules, labels=labels)
    rows = rows_of(random_guess(60), CLASSES, horizon=5)
    whole = list_trades(signals_of(rows, strategy), SERIES, strategy.costs)
    for cut in (80, 95):
        kept = {name: frame.head(cut) for name, frame in SERIES.items()}
        early = rows.take(np.arange(cut - 40 - 5))
        signals = signals_of(early, strategy, kept)
        trades = list_trades(signals, kept, strategy.costs)

        assert signals.positions.tolist() == signals_of(rows, strategy).positions[: len(early)].tolist()
        done = trades.filter(trades["reason"] != "end")
        assert len(done) > 3
        assert done.equals(whole.head(len(done)))


def random_guess(samples: int, seed: int = 0) -> Guess:
    table = np.random.default_rng(seed).dirichlet((2, 1, 2), samples)
    return Guess(table.argmax(axis=1), table)


SIMULATED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"band": 0.05}, {}),
    ({"kelly": 1.0, "band": 0.2}, {"min_fee": 1, "capital": 1000}),
    ({"max_gross": 0.4}, {"borrow_bps_per_day": 2}),
    ({"max_symbol": 2, "volatility_target": 1.0, "volatility_span": 20}, {"financing_bps_per_day": 1}),
    ({"hold": "barrier", "kelly": 0.5}, {"participation": 0.002, "capital": 1e5}),
    ({"hold": "barrier", "barrier_fill": "next_open", "max_gross": 0.7}, {}),
]


@pytest.mark.parametrize(("rules", "costs"), SIMULATED)
def test_all_that_follows_a_backtest_works_with_simulated_fills(
    rules: dict[str, Any], costs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ktrdr.evaluation.books.MAX_SIMULATED_BARS", 25_000)
    strategy = strategy_of(
        positions=rules, costs=costs, labels={"type": "triple_barrier", "horizon": 5, "volatility_span": 10}
    )
    signals = signals_of(rows_of(random_guess(100), CLASSES, symbols=2, horizon=5), strategy)

    traded = trade_signals(signals, SERIES, strategy.costs, strategy.positions)
    trades = list_trades(signals, SERIES, strategy.costs)
    pressed = stress(signals, SERIES, strategy.costs, traded)

    result = traded.result
    assert (result.positions, result.costs) == (strategy.positions, strategy.costs)
    assert result.rules
    assert trades["net"].sum() == pytest.approx(result.model.total_return)
    assert trades["cost"].sum() == pytest.approx(result.model.costs_paid)
    assert np.prod(1 + traded.returns) - 1 == pytest.approx(result.model.total_return)
    own = next(point for point in pressed.costs if point.cost_bps == 3)
    assert own.total_return == pressed.delays[0].total_return == pytest.approx(result.model.total_return)
    assert np.mean([each.total_return for each in pressed.by_symbol]) == pytest.approx(result.model.total_return)
    assert 100 <= result.random_entries.draws < 130
    assert result.buy_and_hold == trade_signals(signals, SERIES, Costs()).result.buy_and_hold


def test_without_costs_a_simulation_comes_to_what_the_vectorised_rules_do(monkeypatch: pytest.MonkeyPatch) -> None:
    free = Costs(fee_bps=0, slippage_bps=0)
    rows = rows_of(random_guess(100), CLASSES, symbols=2)
    signals = signals_of(rows, strategy_of(positions={"volatility_target": 0.2, "volatility_span": 20}))
    capital = Costs(fee_bps=0, slippage_bps=0, participation=1.0, capital=1.0)  # a limit that nothing reaches

    monkeypatch.setattr("ktrdr.evaluation.books.MAX_SIMULATED_BARS", 100 * 202)
    monkeypatch.setattr("ktrdr.evaluation.random_entries.MAX_DRAWS", 100)
    vectorised = trade_signals(signals, SERIES, free)
    simulated = trade_signals(signals, SERIES, capital)

    assert np.abs(vectorised.returns - simulated.returns).max() < 1e-12
    assert vectorised.result.random_entries.median == pytest.approx(simulated.result.random_entries.median)


def test_the_written_defaults_are_the_defaults_bit_for_bit() -> None:
    written = {"positions": Positions().model_dump(), "costs": Costs().model_dump()}
    rows = rows_of(random_guess(80), CLASSES, symbols=2)
    plain, spelled = (signals_of(rows, strategy_of(**sections)) for sections in ({}, written))

    assert trade_signals(plain, SERIES, Costs()).result == trade_signals(spelled, SERIES, Costs()).result


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.2, 3), st.sampled_from([None, 0.3, 1.0]))
def test_no_position_is_larger_than_allowed(seed: int, largest: float, gross: float | None) -> None:
    rules = {"kelly": 1.0, "kelly_cap": 5.0, "volatility_target": 2.0, "volatility_span": 10, "max_symbol": largest}
    signals = signals_of(rows_of(random_guess(30, seed), CLASSES), strategy_of(positions=rules | {"max_gross": gross}))

    assert np.abs(signals.positions).max() <= min(largest, gross or largest) + 1e-12


def test_a_limit_by_volume_needs_volumes() -> None:
    costs = Costs(participation=0.1, capital=1000)
    still = {name: frame.with_columns(volume=pl.lit(0.0)) for name, frame in SERIES.items()}

    with pytest.raises(InputError, match="these bars have none"):
        trade_signals(signals_of(rows_of(SURE, CLASSES), strategy_of()), still, costs)


def test_too_many_bars_to_simulate_at_random_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ktrdr.evaluation.books.MAX_SIMULATED_BARS", 1000)
    signals = signals_of(rows_of(random_guess(50), CLASSES), strategy_of(positions={"band": 0.1}))

    result = trade_signals(signals, SERIES, Costs()).result

    assert (result.random_entries.draws, result.random_entries.percentile) == (0, None)
    assert "It was not compared with random entries: 100 simulations of 50 bars would take too long." in result.verdict
