"""The trades of a backtest: each position from its entry to its exit, with what it made and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation.books import rate_of
from ktrdr.evaluation.fills.orders import FillBars, FillCosts, Reason, Simulation
from ktrdr.evaluation.fills.portfolio import open_portfolio
from ktrdr.evaluation.signals import Signals
from ktrdr.evaluation.sleeves import Sleeve, capital_of, sleeves_of
from ktrdr.features.stretches import opens_of
from ktrdr.payloads.trading_rules import Costs

if TYPE_CHECKING:
    import polars as pl


Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


def list_trades(signals: Signals, bars: Mapping[str, pl.DataFrame], costs: Costs) -> pl.DataFrame:
    """One row a trade, in order of entry; all trades' net profits and the capital at the start give the final equity.

    symbol, side: `long` or `short`
    entered_at, left_at: openings of the bars at which it was filled; a trade that a hole or the end of the bars ends is
        filled at the close of the bar that opened then
    entry_price, exit_price: in the currency of the bars, before slippage
    bars: bars for which it was held
    size: value at the entry, as a share of the portfolio's capital at the start
    profit, cost, net: shares of that capital; net = profit - cost
    reason: why it was left, see `Reason`; of `band` the position went on in another size, which is the next trade
    """
    import polars as pl

    names = [signals.names[number] for number in np.unique(signals.symbols)]
    if signals.holding.depends_on_path(costs):
        portfolio = open_portfolio(signals, bars, costs)
        runs = portfolio.trade(FillCosts.of(costs))
        tables = [
            _filled_trades(name, own.bars, run, portfolio.capital)
            for name, own, run in zip(names, portfolio.orders, runs, strict=True)
        ]
    else:
        sleeves, rate = sleeves_of(signals, bars), rate_of(costs)
        tables = [
            _trades(name, sleeve, bars[name], rate, len(sleeves)) for name, sleeve in zip(names, sleeves, strict=True)
        ]
    return pl.concat(tables).sort("entered_at", "symbol", maintain_order=True)


def _filled_trades(name: str, bars: FillBars, run: Simulation, capital: float) -> pl.DataFrame:
    """A trade is what is held from one simulated fill to the next."""
    fills = run.fills
    begins = np.flatnonzero(fills.held)
    ends, held = begins + 1, fills.held[begins]
    # The bar from which on a fill's units are held; one within a bar, or at its close, is of the next.
    since = fills.bars + ~fills.is_at_open
    paid = np.append(0.0, np.cumsum(run.holding))
    opened = _opened_share(np.append(0.0, fills.held[:-1]), fills.held)
    cost = (fills.costs * opened)[begins] + (fills.costs * (1 - opened))[ends] + paid[since[ends]] - paid[since[begins]]
    entry, left = fills.prices[begins], fills.prices[ends]
    return _table(
        Trades(
            held,
            bars.opens[fills.bars[begins]],
            entry,
            bars.opens[fills.bars[ends]],
            left,
            since[ends] - since[begins],
            np.abs(held) * entry / capital,
            held * (left - entry) / capital,
            cost / capital,
            [fills.reasons[place].value for place in ends.tolist()],
        ),
        name,
    )


def _trades(name: str, sleeve: Sleeve, frame: pl.DataFrame, rate: float, sleeves: int) -> pl.DataFrame:
    """A trade is a run of periods with the same position, which is not zero."""
    positions = sleeve.positions
    changes = np.flatnonzero(np.diff(positions, prepend=0.0, append=0.0))
    begins, ends = changes[:-1], changes[1:]
    is_held = positions[begins] != 0
    begins, ends = begins[is_held], ends[is_held]
    held = positions[begins]
    start, paid, made = capital_of(sleeve, rate)
    prices = _prices(sleeve, frame)
    profit = (
        np.add.reduceat(np.append(made, 0.0), np.stack([begins, ends], axis=1).ravel())[::2]
        if len(begins)
        else made[:0]
    )
    before, after = np.append(0.0, positions), np.append(positions, 0.0)
    opened = _opened_share(before, after)
    return _table(
        Trades(
            held,
            sleeve.opens[begins],
            prices[begins],
            _left_at(sleeve, ends),
            prices[ends - 1] * (1 + sleeve.returns[ends - 1]),
            ends - begins,
            np.abs(held) * start[begins] / sleeves,
            profit / sleeves,
            ((paid * opened)[begins] + (paid * (1 - opened))[ends]) / sleeves,
            _reasons(sleeve, ends),
        ),
        name,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Trades:
    """The trades of one symbol; see `list_trades` for what the columns are. Every array is [trades].

    held: positive for a long one
    """

    held: Floats
    entered_at: NDArray[np.datetime64]
    entry_price: Floats
    left_at: NDArray[np.datetime64]
    exit_price: Floats
    bars: Rows
    size: Floats
    profit: Floats
    cost: Floats
    reasons: list[str]


def _table(trades: Trades, symbol: str) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(
        {
            "symbol": pl.Series([symbol] * len(trades.held), dtype=pl.String),
            "side": np.where(trades.held > 0, "long", "short").astype(np.str_),
            "entered_at": pl.Series(trades.entered_at).dt.replace_time_zone("UTC"),
            "entry_price": trades.entry_price,
            "left_at": pl.Series(trades.left_at).dt.replace_time_zone("UTC"),
            "exit_price": trades.exit_price,
            "bars": trades.bars,
            "size": trades.size,
            "profit": trades.profit,
            "cost": trades.cost,
            "net": trades.profit - trades.cost,
            "reason": pl.Series(trades.reasons, dtype=pl.String),
        }
    )


def _prices(sleeve: Sleeve, frame: pl.DataFrame) -> Floats:
    """[periods], the opening prices of the bars at which periods begin."""
    places = np.searchsorted(opens_of(frame), sleeve.opens)
    return frame["open"].to_numpy()[places].astype(np.float64)


def _opened_share(before: Floats, after: Floats) -> Floats:
    """[changes], how much of what is traded opens the position after the change; the rest closes that before it."""
    turns_round = before * after < 0
    opened = np.where(turns_round, np.abs(after), np.maximum(np.abs(after) - np.abs(before), 0.0))
    traded = np.abs(after - before)
    return np.asarray(np.divide(opened, traded, out=np.zeros(len(traded)), where=traded > 0), np.float64)


def _left_at(sleeve: Sleeve, ends: Rows) -> NDArray[np.datetime64]:
    return np.append(sleeve.opens, sleeve.opens[-1:])[ends]


def _reasons(sleeve: Sleeve, ends: Rows) -> list[str]:
    """A period that begins with the one before it is a hole's."""
    positions, is_end = sleeve.positions, ends == len(sleeve.opens)
    later, after = np.append(sleeve.opens, sleeve.opens[-1:])[ends], np.append(positions, 0.0)[ends]
    is_hole = ~is_end & (later == sleeve.opens[ends - 1])
    is_resized = positions[ends - 1] * after > 0
    reasons = [Reason.END.value, Reason.HOLE.value, Reason.BAND.value]
    return list(np.select([is_end, is_hole, is_resized], reasons, Reason.SIGNAL.value))
