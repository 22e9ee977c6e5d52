"""The same fills, positions, costs and equity as engines that others wrote, to the cent of 100,000."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ktrdr.evaluation.fills.orders import Reason
from ktrdr.evaluation.positions.holding import Holding
from ktrdr.payloads.trading_rules import Positions
from ktrdr.timeframe import Timeframe
from tests.bars import one_source
from tests.engines.case import Fill, Outcome, read_outcomes, write_cases
from tests.engines.portfolios import CAPITAL, LABELS, Comparison, Floats, Market, at_once, before_split, in_units

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".engines" / "bin" / "python"
CENT = 0.01
BARS = 180
SPLIT_AT, SPLIT = 90, 4.0

pytestmark = [
    pytest.mark.skipif(not PYTHON.exists(), reason="NautilusTrader and backtrader are missing: run make engines"),
    pytest.mark.processes,
    pytest.mark.slow,
]


def days(symbol: str, first: str = "2018-09-04") -> pl.DataFrame:
    bars = one_source(f"{symbol}_1d")
    return bars.filter(pl.col("timestamp") >= pl.lit(first).str.to_datetime(time_zone="UTC")).head(BARS)


def hours(symbol: str, count: int, first: str = "2020-03-17") -> pl.DataFrame:
    bars = one_source(f"{symbol}_1h")
    return bars.filter(pl.col("timestamp") >= pl.lit(first).str.to_datetime(time_zone="UTC")).head(count)


def without(bars: pl.DataFrame, first: int, count: int) -> pl.DataFrame:
    return pl.concat([bars.head(first), bars.tail(bars.height - first - count)])


def gapping(bars: pl.DataFrame) -> pl.DataFrame:
    """Down a fifth overnight, every thirty bars, and up as much in between."""
    level = 0.8 ** ((np.arange(bars.height) % 60) // 30)
    prices = [pl.col(name) * level for name in ("open", "high", "low", "close")]
    return bars.with_columns(prices)


SIGN = Positions()
SURE_LONG = Positions(rule="threshold", threshold=0.6, direction="long")
SIZED = Positions(volatility_target=0.15, volatility_span=20, band=0.1)
BARRIERS = Holding(barriers=LABELS)


@cache
def comparisons() -> dict[str, Comparison]:
    share, halted = Market({"AAPL": days("AAPL")}), without(days("MSFT"), 80, 3)
    coins = Market({"AAPL": hours("AAPL", 60), "BTCUSD": hours("BTCUSD", 240)}, Timeframe.HOUR_1)
    return {
        "sign, all at once": at_once(share, SIGN),
        "long only, all at once": at_once(share, SURE_LONG),
        "sign": in_units(share, SIGN),
        "long only with a flat zone": in_units(share, SURE_LONG),
        "volatility target with a band": in_units(share, SIZED, Holding(band=0.1)),
        "stop and target at the barriers": in_units(share, SIGN, BARRIERS),
        "gaps through stops": in_units(Market({"NVDA": gapping(days("NVDA"))}), SIGN, BARRIERS),
        "closes beyond barriers": in_units(share, SIGN, Holding(barriers=LABELS, fills_at_next_open=True)),
        "two calendars under a gross limit": in_units(coins, SIZED, Holding(band=0.05, max_gross=0.5)),
        "split": before_split(in_units(share, SIGN), SPLIT_AT, SPLIT),
        "halt": in_units(Market({"MSFT": halted}), SIGN),
        "hole": in_units(Market({"MSFT": without(days("MSFT"), 80, 20)}, holes=((80,),)), SIGN),
        "hole, all at once": at_once(Market({"MSFT": without(days("MSFT"), 80, 20)}, holes=((80,),)), SIGN),
    }


NAMES = (
    "sign, all at once",
    "long only, all at once",
    "sign",
    "long only with a flat zone",
    "volatility target with a band",
    "stop and target at the barriers",
    "gaps through stops",
    "closes beyond barriers",
    "two calendars under a gross limit",
    "split",
    "halt",
    "hole",
    "hole, all at once",
)


@pytest.fixture(scope="module", params=["nautilus", "backtrader"])
def outcomes(request: pytest.FixtureRequest) -> dict[str, Outcome]:
    """Of all cases by one engine, which runs in the Python that has it."""
    cases = write_cases({name: each.case for name, each in comparisons().items()})
    command = [str(PYTHON), "-m", f"tests.engines.run_{request.param}"]
    done = subprocess.run(command, input=cases, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return read_outcomes(done.stdout)


def test_every_case_is_compared() -> None:
    assert tuple(comparisons()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_equity_is_the_same_to_the_cent(name: str, outcomes: dict[str, Outcome]) -> None:
    comparison, outcome = comparisons()[name], outcomes[name]

    expected = [run.equity for run in comparison.simulations] or [periods_with_bars(comparison) * CAPITAL]

    for own, equity in zip(outcome.equity, expected, strict=True):
        assert np.abs(np.array(own) - equity).max() < CENT
    assert outcome.total == pytest.approx(sum(equity[-1] for equity in expected), abs=CENT)


def periods_with_bars(comparison: Comparison) -> Floats:
    """The period of a hole repeats the value after the last close before it; that close ends the bar's own."""
    assert comparison.sleeve is not None
    (own,) = comparison.case.symbols
    after_bar = np.arange(len(own.open)) + np.cumsum(own.is_last)
    after_bar[-1] -= 1
    return np.asarray(comparison.sleeve.equity[after_bar], np.float64)


@pytest.mark.parametrize("name", [name for name in NAMES if "at once" not in name])
def test_fills_positions_and_costs_are_the_same(name: str, outcomes: dict[str, Outcome]) -> None:
    comparison, outcome = comparisons()[name], outcomes[name]

    for symbol, run in enumerate(comparison.simulations):
        fills = [adjusted(each) if name == "split" else each for each in outcome.fills if each.symbol == symbol]
        fills = [each for each in fills if each.cost]  # the conversion of a split costs nothing
        assert [each.bar for each in fills] == run.fills.bars.tolist()
        assert [each.units * each.price for each in fills] == pytest.approx(
            (run.fills.units * run.fills.prices).tolist(), abs=CENT
        )
        assert [each.price for each in fills] == pytest.approx(run.fills.prices.tolist(), rel=1e-9)
        assert [each.cost for each in fills] == pytest.approx(run.fills.costs.tolist(), abs=CENT)
        assert np.cumsum([each.units for each in fills]) == pytest.approx(run.fills.held, rel=1e-8, abs=1e-5)


def adjusted(fill: Fill) -> Fill:
    factor = SPLIT if fill.bar < SPLIT_AT else 1.0
    return Fill(fill.symbol, fill.bar, fill.units * factor, fill.price / factor, fill.cost)


@pytest.mark.parametrize("name", [name for name in NAMES if "at once" in name])
def test_costs_of_what_is_traded_at_once_are_the_same(name: str, outcomes: dict[str, Outcome]) -> None:
    sleeve = comparisons()[name].sleeve
    assert sleeve is not None

    costs = [each.cost for each in outcomes[name].fills if each.cost]

    assert len(costs) == sleeve.trades
    assert sum(costs) == pytest.approx(sleeve.costs * CAPITAL, abs=CENT)


def test_the_cases_have_what_they_are_named_after() -> None:
    reasons = {
        name: [reason for run in each.simulations for reason in run.fills.reasons]
        for name, each in comparisons().items()
    }
    assert {Reason.STOP, Reason.TARGET, Reason.HORIZON} <= set(reasons["stop and target at the barriers"])
    assert {Reason.STOP, Reason.TARGET} <= set(reasons["closes beyond barriers"])
    assert Reason.HOLE in reasons["hole"]
    assert Reason.HOLE not in reasons["halt"]
    assert Reason.BAND in reasons["volatility target with a band"]
    assert Reason.BAND in reasons["two calendars under a gross limit"]
    assert comparisons()["halt"].simulations[0].fills.held[:-1].any()
    (gaps,) = comparisons()["gaps through stops"].simulations
    stopped_at_open = np.array([reason is Reason.STOP for reason in gaps.fills.reasons]) & gaps.fills.is_at_open
    assert stopped_at_open.sum() >= 2
    fills = comparisons()["split"].simulations[0].fills
    assert fills.held[np.searchsorted(fills.bars, SPLIT_AT) - 1] != 0


def test_charging_the_account_differs_from_charging_what_is_traded_by_the_square_of_the_rate() -> None:
    """What no engine charges: the share of the account that changes, before the cost itself has reduced it."""
    share = Market({"AAPL": days("AAPL")})
    rule = Positions(direction="long")
    sleeve, (run,) = at_once(share, rule).sleeve, in_units(share, rule).simulations
    assert sleeve is not None

    trades = len(run.fills)

    # Entering, 1 - k against 1 / (1 + k); leaving, the same.
    assert sleeve.trades == trades
    ratio = sleeve.equity[-1] * CAPITAL / run.equity[-1]
    assert ratio == pytest.approx(((1 - 0.0005) * (1 + 0.0005)) ** (trades / 2), rel=1e-9)
