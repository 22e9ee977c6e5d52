"""Fills worked out by hand, and what holds for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrdr.evaluation.fills.orders import Barriers, FillBars, FillCosts, Reason, Simulation
from ktrdr.evaluation.fills.simulation import SymbolOrders, simulate, simulate_together

FREE = FillCosts()
Prices = Sequence[float]


def bars(
    opens: Prices,
    last_close: float | None = None,
    *,
    high: Prices | None = None,
    low: Prices | None = None,
    close: Prices | None = None,
    volume: Prices | None = None,
    days: Prices | None = None,
    sold_after: Sequence[int] = (),
    first_day: int = 0,
) -> FillBars:
    """Daily bars whose closes are the next opens, the last one's `last_close`."""
    begin = np.array(opens, float)
    end = np.append(begin[1:], begin[-1] if last_close is None else last_close) if close is None else np.array(close)
    is_last = np.zeros(len(begin), np.bool_)
    is_last[[*sold_after, -1]] = True
    return FillBars(
        opens=np.datetime64("2024-01-01", "us") + (first_day + np.arange(len(begin))) * np.timedelta64(1, "D"),
        open=begin,
        high=np.maximum(begin, end) if high is None else np.array(high, float),
        low=np.minimum(begin, end) if low is None else np.array(low, float),
        close=end,
        volume=np.full(len(begin), 1e9) if volume is None else np.array(volume, float),
        days=np.ones(len(begin)) if days is None else np.array(days, float),
        is_last=is_last,
    )


def story(run: Simulation) -> list[tuple[Any, ...]]:
    fills = run.fills
    places = zip(fills.bars.tolist(), fills.units.tolist(), fills.prices.tolist(), fills.reasons, strict=True)
    return [(bar, pytest.approx(units), pytest.approx(price), reason) for bar, units, price, reason in places]


def targets(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array(values, np.float64)


def test_a_position_takes_what_its_costs_leave_and_turns_round_in_one_fill() -> None:
    run = simulate(bars([10, 12], 9), targets(1, -1), FillCosts(rate=0.01, fee=0.01), capital=1000)

    bought = 1000 / 1.01  # 1000 - 1 % of it
    equity = bought * 1.2
    turned = equity * 2 / 1.01  # equity to close, and to open what is left after the cost
    left = equity - 0.01 * turned
    assert story(run) == [
        (0, bought / 10, 10, Reason.SIGNAL),
        (1, -turned / 12, 12, Reason.SIGNAL),
        (1, left / 12, 9, Reason.END),
    ]
    end = left + left * 0.25 - 0.01 * left * 0.75
    assert run.equity.tolist() == pytest.approx([equity, end])
    assert run.fills.costs.tolist() == pytest.approx([0.01 * bought, 0.01 * turned, 0.01 * left * 0.75])


def test_within_the_band_nothing_is_resized_and_beyond_it_the_whole_difference() -> None:
    run = simulate(bars([10, 11, 15], 15), targets(0.5, 0.5, 0.5), FREE, capital=1000, band=0.05)

    # 50 units: 550 of 1050 lie within the band, 750 of 1250 do not.
    assert story(run) == [
        (0, 50, 10, Reason.SIGNAL),
        (2, -125 / 15, 15, Reason.BAND),
        (2, -625 / 15, 15, Reason.END),
    ]
    assert run.equity.tolist() == pytest.approx([1050, 1250, 1250])


def test_leaving_and_turning_round_wait_for_no_band() -> None:
    run = simulate(bars([10, 10, 10, 10], 10), targets(0.1, -0.1, 0, 0), FREE, capital=1000, band=0.5)

    assert story(run) == [(0, 10, 10, Reason.SIGNAL), (1, -20, 10, Reason.SIGNAL), (2, 10, 10, Reason.SIGNAL)]


def test_the_least_fee_replaces_a_smaller_one_and_an_order_that_it_eats_is_none() -> None:
    costs = FillCosts(rate=0.003, fee=0.001, min_fee=5)
    run = simulate(bars([10, 20, 20], 20), targets(0.5, 0.5, 0.5), costs, capital=1000)

    # The fee of half of 1000 would be 0.5; slippage of 0.2 % comes on top of the least.
    first = 0.5 * (1000 - 5) / (1 + 0.5 * 0.002)
    assert run.fills.costs[0] == pytest.approx(5 + 0.002 * first)
    assert run.fills.units[0] == pytest.approx(first / 10)
    equity, held = 1000 - run.fills.costs[0] + first, 2 * first
    sold = (held - 0.5 * (equity - 5)) / (1 - 0.5 * 0.002)
    assert run.fills.units[1] == pytest.approx(-sold / 20)
    assert [reason for *_, reason in story(run)] == [Reason.SIGNAL, Reason.BAND, Reason.END]
    poor = simulate(bars([10, 10], 10), targets(1, 1), costs, capital=4)
    assert (len(poor.fills), poor.equity.tolist()) == (0, [4, 4])


def test_short_positions_pay_for_borrowing_and_levered_ones_interest_for_the_days_that_pass() -> None:
    costs = FillCosts(borrow=0.001, financing=0.0005)
    weekend = bars([10, 10], 10, days=[3, 1])

    short = simulate(weekend, targets(-0.5, -0.5), costs, capital=1000, band=0.1)
    levered = simulate(weekend, targets(3, 3), costs, capital=1000, band=0.1)
    plain = simulate(weekend, targets(1, 1), costs, capital=1000)

    assert short.holding.tolist() == pytest.approx([3 * 0.001 * 500, 0.001 * 500])
    assert levered.holding.tolist() == pytest.approx([3 * 0.0005 * 2000, 0.0005 * (2000 + 3)])
    assert plain.holding.tolist() == [0, 0]
    assert short.equity.tolist() == pytest.approx([998.5, 998])


def test_no_more_than_a_share_of_the_volume_is_filled_and_the_rest_at_later_opens() -> None:
    costs = FillCosts(participation=0.1)
    run = simulate(bars([10] * 5, 10, volume=[400, 0, 300, 900, 10]), targets(1, 1, 1, 1, 0), costs, capital=1000)

    assert story(run) == [
        (0, 40, 10, Reason.SIGNAL),
        (2, 30, 10, Reason.VOLUME),
        (3, 30, 10, Reason.VOLUME),
        (4, -1, 10, Reason.SIGNAL),
        (4, -99, 10, Reason.END),  # at the end everything is sold, whatever the volume
    ]


def barriers(lower: float, upper: float, horizon: int = 9, bars: int = 4, **how: bool) -> Barriers:
    return Barriers(np.full(bars, upper), np.full(bars, lower), horizon, **how)


HIGH_LOW: dict[str, Any] = {"high": [10.5, 11, 12.5, 12], "low": [9.5, 9, 10, 11], "close": [10, 10, 11, 11.5]}


@pytest.mark.parametrize(
    ("side", "lower", "upper", "ends"),
    [
        (1, 9.2, 99, (1, 9.2, Reason.STOP)),
        (1, 1, 12.0, (2, 12.0, Reason.TARGET)),
        (-1, 9.2, 99, (1, 9.2, Reason.TARGET)),
        (-1, 1, 12.0, (2, 12.0, Reason.STOP)),
        (1, 9.0, 11.0, (1, 9.0, Reason.STOP)),  # bar 1 touches both: the stop counts
        (-1, 9.0, 11.0, (1, 11.0, Reason.STOP)),
        (1, 9.5, 10.5, (0, 9.5, Reason.STOP)),  # on the bar of the entry
    ],
)
def test_a_barrier_is_filled_at_the_touched_price(
    side: float, lower: float, upper: float, ends: tuple[int, float, Reason]
) -> None:
    series = bars([10, 10, 10, 11], **HIGH_LOW)
    run = simulate(series, targets(side, 0, 0, 0), FREE, capital=1000, barriers=barriers(lower, upper))

    bar, price, reason = ends
    assert story(run) == [(0, side * 100, 10, Reason.SIGNAL), (bar, -side * 100, price, reason)]
    assert run.equity[-1] == pytest.approx(1000 + side * 100 * (price - 10))


def test_a_gap_through_a_barrier_is_filled_at_the_open() -> None:
    gap = bars([10, 8, 8], high=[10, 8.5, 8], low=[10, 7, 8], close=[10, 8, 8])

    stopped = simulate(gap, targets(1, 0, 0), FREE, capital=1000, barriers=barriers(9, 99, bars=3))
    gained = simulate(gap, targets(-1, 0, 0), FREE, capital=1000, barriers=barriers(9, 99, bars=3))

    again = simulate(
        gap, targets(1, 1, 1), FREE, capital=1000, barriers=Barriers(np.full(3, 99), np.array([9, 1, 1]), 9)
    )
    assert story(stopped)[1] == story(again)[1] == (1, -100, 8, Reason.STOP)
    assert story(again)[2] == (2, 100, 8, Reason.SIGNAL)  # not at the open of the gap itself, which nobody foresaw
    assert story(gained)[1] == (1, 100, 8, Reason.TARGET)


def test_an_open_beyond_a_barrier_is_no_entry_and_neither_are_unknown_barriers() -> None:
    series = bars([10, 10, 10, 10])

    for lower, upper in ((10, 12), (8, 10), (np.nan, np.nan)):
        run = simulate(series, targets(1, 1, 1, 1), FREE, barriers=barriers(lower, upper))
        assert len(run.fills) == 0


def test_the_horizon_ends_a_position_at_a_close_and_other_signals_do_not() -> None:
    series = bars([10, 11, 12, 13], close=[10.5, 11.5, 12.5, 13.5])
    run = simulate(series, targets(1, -1, -1, -1), FREE, capital=1000, barriers=barriers(1, 99, horizon=2))

    assert story(run) == [
        (0, 100, 10, Reason.SIGNAL),
        (1, -100, 11.5, Reason.HORIZON),
        (2, pytest.approx(-1150 / 12), 12, Reason.SIGNAL),
        (3, pytest.approx(1150 / 12), 13.5, Reason.HORIZON),
    ]
    assert not run.fills.is_at_open[1]


def test_at_the_next_open_closes_decide_and_a_new_entry_may_follow_at_once() -> None:
    series = bars([10, 10, 8.5, 9], high=[10, 10, 9, 9], low=[10, 8, 8, 8], close=[10, 8.9, 9, 9])
    limits = barriers(9, 99, fills_at_next_open=True)
    run = simulate(series, targets(1, 0, -1, 0), FREE, capital=1000, barriers=limits)

    # Bar 1 closes below 9. At 8.5 there is no entry, which lies beyond the barrier itself.
    assert story(run) == [(0, 100, 10, Reason.SIGNAL), (2, -100, 8.5, Reason.STOP)]
    wide = Barriers(np.array([99.0] * 4), np.array([9, 9, 1, 1.0]), 9, fills_at_next_open=True)
    again = simulate(series, targets(1, 0, -1, 0), FREE, capital=1000, barriers=wide)
    assert story(again)[1:3] == [(2, -100, 8.5, Reason.STOP), (2, -100, 8.5, Reason.SIGNAL)]


def test_a_halt_ends_a_position_at_the_last_close_before_it() -> None:
    series = bars([10, 11, 50, 60], close=[10.5, 11.5, 55, 65], sold_after=[1])

    run = simulate(series, targets(1, 1, 1, 1), FREE, capital=1000)
    held = simulate(series, targets(1, 0, 0, 0), FREE, capital=1000, barriers=barriers(1, 20))

    assert story(run)[1] == story(held)[1] == (1, -100, 11.5, Reason.HOLE)
    assert story(run)[2] == (2, 1150 / 50, 50, Reason.SIGNAL)
    assert run.equity.tolist() == pytest.approx([1100, 1150, 1150 * 1.2, 1150 * 1.3])


def test_nobody_loses_more_than_the_capital() -> None:
    run = simulate(bars([10, 25, 10], 10), targets(-1, -1, -1), FillCosts(rate=0.01, fee=0.01), capital=1000)

    assert run.equity.tolist() == [0, 0, 0]
    assert run.fills.reasons == [Reason.SIGNAL, Reason.RUIN]
    profit = -(run.fills.units * run.fills.prices).sum() - run.fills.costs.sum()
    assert profit == pytest.approx(-1000)


def test_all_symbols_together_hold_no_more_than_the_limit() -> None:
    orders = [
        SymbolOrders(bars([10, 10, 20], 20), targets(1, 1, 1)),
        SymbolOrders(bars([10, 10], 10, first_day=1), targets(-1, -1)),
    ]
    one, other = simulate_together(orders, FREE, 0.6, capital=1000)

    # Alone the first may hold its 500 of 600. Beside the second each gets 0.6 of its share, 300.
    assert story(one)[:2] == [(0, 50, 10, Reason.SIGNAL), (1, -20, 10, Reason.BAND)]
    assert story(other)[0] == (0, -30, 10, Reason.SIGNAL)
    # Its 30 units at 20 make its share 800, of which 0.6 are 24 units.
    assert story(one)[2] == (2, -6, 20, Reason.BAND)


STEPS = st.lists(
    st.tuples(st.sampled_from([-1.0, -0.5, 0.0, 0.3, 1.0, 2.0]), st.floats(-0.4, 0.6), st.floats(0, 0.1)),
    min_size=2,
    max_size=25,
)


def path(steps: list[tuple[float, float, float]]) -> FillBars:
    opens = 100 * np.cumprod([1 + move for _, move, _ in steps])
    spread = np.array([wide for *_, wide in steps])
    close = np.append(opens[1:], opens[-1])
    highest, lowest = np.maximum(opens, close) * (1 + spread), np.minimum(opens, close) * (1 - spread)
    volume = np.array([100 * wide for *_, wide in steps])
    return bars(opens.tolist(), high=highest.tolist(), low=lowest.tolist(), volume=volume.tolist())


@settings(max_examples=60, deadline=None)
@given(STEPS, st.floats(0, 0.05), st.sampled_from([0.0, 3.0]), st.sampled_from([None, 0.5]), st.booleans())
def test_the_sum_of_all_fills_and_of_holding_is_the_final_equity(
    steps: list[tuple[float, float, float]], rate: float, min_fee: float, participation: float | None, bounded: bool
) -> None:
    series, asked = path(steps), np.array([target for target, *_ in steps])
    costs = FillCosts(rate, rate / 2, min_fee, 0.001, 0.001, participation)
    limits = Barriers(series.open * 1.1, series.open * 0.9, 4) if bounded else None

    run = simulate(series, asked, costs, capital=1000, band=0.1, barriers=limits)

    fills = run.fills
    made = -(fills.units * fills.prices).sum() - fills.costs.sum() - run.holding.sum()
    assert 1000 + made == pytest.approx(run.equity[-1], abs=1e-6)
    assert (run.equity >= 0).all()
    assert fills.units.sum() == pytest.approx(0, abs=1e-9)
    assert (fills.costs >= 0).all()


@settings(max_examples=40, deadline=None)
@given(STEPS, STEPS, st.sampled_from([0.2, 0.5, 1.0]), st.floats(0, 0.01))
def test_the_gross_limit_is_never_exceeded_at_an_open(
    one: list[tuple[float, float, float]], other: list[tuple[float, float, float]], limit: float, rate: float
) -> None:
    length = min(len(one), len(other))
    series = [path(each[:length]) for each in (one, other)]
    asked = [np.array([target for target, *_ in each[:length]]) for each in (one, other)]
    orders = [SymbolOrders(*each) for each in zip(series, asked, strict=True)]

    runs = simulate_together(orders, FillCosts(rate, rate), limit, capital=1000)

    units = np.zeros((2, length))
    cash = np.full((2, length), 500.0)
    for own, run in enumerate(runs):
        fills = run.fills
        for bar, is_open, bought, price, cost in zip(
            fills.bars, fills.is_at_open, fills.units, fills.prices, fills.costs, strict=True
        ):
            if is_open:
                units[own, bar:] += bought
                cash[own, bar:] -= bought * price + cost
    values = units * np.stack([each.open for each in series])
    equity = (values + cash).sum(axis=0)
    assert (np.abs(values).sum(axis=0) <= limit * equity * (1 + 4 * rate) + 1e-6).all()


@settings(max_examples=40, deadline=None)
@given(STEPS, st.integers(1, 24))
def test_later_bars_change_no_earlier_fill(steps: list[tuple[float, float, float]], cut: int) -> None:
    series, asked = path(steps), np.array([target for target, *_ in steps])
    limits = Barriers(series.open * 1.1, series.open * 0.9, 4)
    kept = min(cut, len(steps) - 1)
    names = FillBars.__slots__
    head = FillBars(*(getattr(series, name)[:kept].copy() for name in names))
    head.is_last[-1] = True
    shorter = Barriers(limits.upper[:kept], limits.lower[:kept], 4)

    whole = simulate(series, asked, FillCosts(0.01, 0.01), barriers=limits)
    part = simulate(head, asked[:kept], FillCosts(0.01, 0.01), barriers=shorter)

    same = whole.fills.bars < kept
    assert part.fills.units[: same.sum()].tolist() == whole.fills.units[same].tolist()
