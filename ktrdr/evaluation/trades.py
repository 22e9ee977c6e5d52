"""The trades of a backtest: each position from its entry to its exit, with what it made and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation.backtest import Sleeve, capital_of, sleeves_of
from ktrdr.evaluation.signals import Signals
from ktrdr.features.stretches import opens_of

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.payloads.trading_rules import Costs

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
    reason: why it was left: `signal`, `hole` or `end`
    """
    import polars as pl

    rate = (costs.fee_bps + costs.slippage_bps) / 10_000
    sleeves = sleeves_of(signals, bars)
    names = [signals.names[number] for number in np.unique(signals.symbols)]
    tables = [
        _trades(name, sleeve, bars[name], rate, len(sleeves)) for name, sleeve in zip(names, sleeves, strict=True)
    ]
    return pl.concat(tables).sort("entered_at", "symbol", maintain_order=True)


def _trades(name: str, sleeve: Sleeve, frame: pl.DataFrame, rate: float, sleeves: int) -> pl.DataFrame:
    """A trade is a run of periods with the same position, which is not zero."""
    import polars as pl

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
    cost = _share(paid, positions, begins, is_entry=True) + _share(paid, positions, ends, is_entry=False)
    return pl.DataFrame(
        {
            "symbol": pl.Series([name] * len(begins), dtype=pl.String),
            "side": np.where(held > 0, "long", "short").astype(np.str_),
            "entered_at": pl.Series(sleeve.opens[begins]).dt.replace_time_zone("UTC"),
            "entry_price": prices[begins],
            "left_at": pl.Series(_left_at(sleeve, ends)).dt.replace_time_zone("UTC"),
            "exit_price": prices[ends - 1] * (1 + sleeve.returns[ends - 1]),
            "bars": ends - begins,
            "size": np.abs(held) * start[begins] / sleeves,
            "profit": profit / sleeves,
            "cost": cost / sleeves,
            "net": (profit - cost) / sleeves,
            "reason": _reasons(sleeve, ends),
        }
    )


def _prices(sleeve: Sleeve, frame: pl.DataFrame) -> Floats:
    """[periods], the opening prices of the bars at which periods begin."""
    places = np.searchsorted(opens_of(frame), sleeve.opens)
    return frame["open"].to_numpy()[places].astype(np.float64)


def _share(paid: Floats, positions: Floats, at: Rows, *, is_entry: bool) -> Floats:
    """The cost at each of `at`, as far as it is of the position that begins there, or of the one that ends."""
    after, before = np.append(positions, 0.0)[at], np.concatenate([[0.0], positions])[at]
    own = np.abs(after if is_entry else before)
    return np.asarray(paid[at] * own / np.abs(after - before), np.float64)


def _left_at(sleeve: Sleeve, ends: Rows) -> NDArray[np.datetime64]:
    return np.append(sleeve.opens, sleeve.opens[-1:])[ends]


def _reasons(sleeve: Sleeve, ends: Rows) -> list[str]:
    """A period that begins with the one before it is a hole's."""
    is_end = ends == len(sleeve.opens)
    later = np.append(sleeve.opens, sleeve.opens[-1:])[ends]
    is_hole = ~is_end & (later == sleeve.opens[ends - 1])
    return list(np.select([is_end, is_hole], ["end", "hole"], "signal"))
