"""How much a backtest's return depends on costs, on the delay of orders, on chance, and on single stretches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation.backtest import Backtest
from ktrdr.evaluation.books import Book, open_book, rate_of
from ktrdr.evaluation.sleeves import hold
from ktrdr.payloads.backtests import CostPoint, DelayPoint, GroupReturn, ReturnBands, Stress

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.evaluation.signals import Signals
    from ktrdr.payloads.trading_rules import Costs

Floats = NDArray[np.float64]

COSTS_BPS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
DELAYS = range(6)
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
VOLATILITY_BARS = 20
_LEAST_BARS = 3 * VOLATILITY_BARS
_MOST_DRAWS, _LEAST_DRAWS, _MOST_DRAWN_BARS = 1000, 100, 50_000_000
_TOTAL_LOSS_BPS = 10_000.0
_BAND_POINTS = 60
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_THIRDS = ("low", "middle", "high")


def stress(signals: Signals, bars: Mapping[str, pl.DataFrame], costs: Costs, traded: Backtest) -> Stress:
    """What `traded`, which is of these signals, bars and costs, depends on."""
    book, rate, own_bps = open_book(signals, bars, costs), rate_of(costs), costs.fee_bps + costs.slippage_bps
    days = traded.opens.astype("datetime64[D]")
    hours = ((traded.opens - days) // np.timedelta64(1, "h")).astype(np.int64)
    return Stress(
        costs=tuple(
            CostPoint(cost_bps=bps, total_return=_total(book, bps / 10_000)) for bps in sorted({*COSTS_BPS, own_bps})
        ),
        break_even_bps=_break_even_bps(book),
        delays=tuple(DelayPoint(bars=bars, total_return=_total(book.delayed(bars), rate)) for bars in DELAYS),
        bands=_bands(traded.returns),
        by_year=_groups(traded, days.astype("datetime64[Y]").astype(str)),
        by_volatility=_by_volatility(traded),
        by_weekday=_named_groups(traded, (days.astype(np.int64) + 3) % 7, _WEEKDAYS),
        by_hour=_named_groups(traded, hours, [f"{hour:02}:00" for hour in range(24)]) if hours.any() else (),
        by_symbol=tuple(_by_symbol(signals, book, rate)),
    )


def _total(book: Book, rate: float) -> float:
    """The return of the whole portfolio, of which each sleeve has an equal share."""
    return float(np.mean([each.equity[-1] for each in book.trade(rate)]) - 1)


def _break_even_bps(book: Book) -> float | None:
    """The return falls with costs, so there is one root at most; none where even the greatest costs leave something."""
    from scipy.optimize import brentq

    if _total(book, 0.0) <= 0 or _total(book, _TOTAL_LOSS_BPS / 10_000) >= 0:
        return None
    return float(brentq(lambda bps: _total(book, bps / 10_000), 0.0, _TOTAL_LOSS_BPS, xtol=0.01))


def _bands(returns: Floats) -> ReturnBands | None:
    """Blocks of n^(1/3) bars, the order that is best for a variance (Hall, Horowitz and Jing, 1995)."""
    periods = len(returns)
    if periods < _LEAST_BARS:
        return None
    block = math.ceil(periods ** (1 / 3))
    draws = min(_MOST_DRAWS, max(_LEAST_DRAWS, _MOST_DRAWN_BARS // periods))
    random = np.random.default_rng(0)
    places = np.linspace(0, periods - 1, min(_BAND_POINTS, periods)).round().astype(np.int64)
    drawn, deepest = zip(*(_redrawn(returns, block, random, places) for _ in range(draws)), strict=True)
    equity = np.stack(drawn)
    ends = equity[:, -1] - 1
    return ReturnBands(
        draws=draws,
        block=block,
        levels=LEVELS,
        total_return=tuple(np.quantile(ends, LEVELS).tolist()),
        max_drawdown=tuple(np.quantile(deepest, LEVELS).tolist()),
        loss_probability=float(np.mean(ends < 0)),
        bars=tuple((places + 1).tolist()),
        equity=tuple(tuple(row) for row in np.quantile(equity, LEVELS, axis=0).round(6).tolist()),
    )


def _redrawn(
    returns: Floats, block: int, random: np.random.Generator, shown: NDArray[np.int64]
) -> tuple[Floats, float]:
    """Equity after the `shown` bars, and deepest drawdown, of one resample, which is as long as the original."""
    starts = random.integers(0, len(returns), math.ceil(len(returns) / block))
    places = (starts[:, None] + np.arange(block)).ravel()[: len(returns)] % len(returns)
    equity = np.cumprod(1 + returns[places])
    highest = np.maximum.accumulate(np.maximum(equity, 1.0))
    return equity[shown], float((equity / highest - 1).min())


def _by_volatility(traded: Backtest) -> tuple[GroupReturn, ...]:
    held = traded.held
    if len(held) < _LEAST_BARS:
        return ()
    windows = np.lib.stride_tricks.sliding_window_view(held, VOLATILITY_BARS)[:-1].std(axis=1)
    third = np.full(len(held), -1, np.int64)
    third[VOLATILITY_BARS:] = np.searchsorted(np.quantile(windows, (1 / 3, 2 / 3)), windows, "right")
    return _named_groups(traded, third, _THIRDS)


def _named_groups(traded: Backtest, numbers: NDArray[np.int64], names: Sequence[str]) -> tuple[GroupReturn, ...]:
    """A number below zero is of no group."""
    groups = ((name, numbers == number) for number, name in enumerate(names))
    return tuple(_group(name, traded, own) for name, own in groups if own.any())


def _groups(traded: Backtest, names: NDArray[Any]) -> tuple[GroupReturn, ...]:
    return tuple(_group(str(name), traded, names == name) for name in np.unique(names))


def _group(name: str, traded: Backtest, own: NDArray[np.bool_]) -> GroupReturn:
    return GroupReturn(
        group=name,
        bars=int(own.sum()),
        total_return=_compounded(traded.returns[own]),
        held_return=_compounded(traded.held[own]),
    )


def _compounded(returns: Floats) -> float:
    return float(np.prod(1 + returns) - 1)


def _by_symbol(signals: Signals, book: Book, rate: float) -> Iterator[GroupReturn]:
    for number, sleeve, run in zip(signals.present.tolist(), book.sleeves, book.trade(rate), strict=True):
        yield GroupReturn(
            group=signals.names[number],
            bars=len(sleeve.returns),
            total_return=float(run.equity[-1] - 1),
            held_return=float(hold(sleeve.returns, rate).equity[-1] - 1),
        )
