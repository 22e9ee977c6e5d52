"""Bars, and which of them are samples of which part."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Bars:
    """One symbol. `session` is the exchange, or "" where trading never pauses; `holes` are the first rows after one."""

    opened: pd.DatetimeIndex
    open: Sequence[float]
    close: Sequence[float]
    length: pd.Timedelta
    session: str
    holes: tuple[int, ...] = ()

    def begin(self, row: int) -> int:
        """The first row of the stretch without a hole that holds `row`."""
        return max([0, *(hole for hole in self.holes if hole <= row)])

    def end(self, row: int) -> int:
        return min([len(self.close), *(hole for hole in self.holes if hole > row)])


@dataclass(frozen=True)
class Rules:
    """What the strategy says."""

    horizon: int
    warmup: int
    window: int
    regression: bool = False
    threshold: float = 0.0
    test: float = 0.0
    embargo: int = 0
    validation_split: float = 0.2
    initial: float = 0.5
    folds: int = 1
    fold: int = 0
    fee_bps: float = 1.0
    slippage_bps: float = 2.0

    @property
    def cost(self) -> float:
        return (self.fee_bps + self.slippage_bps) / 10_000

    @property
    def classes(self) -> list[str]:
        if self.regression:
            return []
        return ["down", "flat", "up"] if self.threshold else ["down", "up"]

    def move(self, bars: Bars, row: int) -> float:
        ratio = bars.close[row + self.horizon] / bars.close[row]
        return math.log(ratio) if self.regression else ratio - 1

    def label(self, move: float) -> Any:
        if self.regression:
            return move
        if move > self.threshold:
            return "up"
        return "flat" if self.threshold and move >= -self.threshold else "down"


def samples(series: Mapping[str, Bars], rules: Rules) -> pd.DataFrame:
    """Every sample: in a part, purged between two, or not of this fold."""
    rows = []
    for symbol, bars in series.items():
        for row in range(len(bars.close)):
            settled = row + rules.horizon
            whole = row - rules.window + 1 >= bars.begin(row) + rules.warmup
            if whole and settled < bars.end(row) and row >= rules.horizon:
                settling = ((past, past + rules.horizon) for past in range(row, -1, -1))
                last = next(past for past, at in settling if at <= row and at < bars.end(past))
                rows.append(
                    {
                        "symbol": symbol,
                        "timestamp": bars.opened[row],
                        "row": row,
                        "settled": settled,
                        "span": rules.horizon,
                        "move": rules.move(bars, row),
                        "last_move": rules.move(bars, last),
                        "closed": bars.opened[settled] + bars.length,
                    }
                )
    table = pd.DataFrame(rows)
    table["part"] = parts(table, series, rules)
    return table


def parts(table: pd.DataFrame, series: Mapping[str, Bars], rules: Rules) -> list[str]:
    instants = sorted(table["timestamp"])
    known = len(instants) - math.ceil(len(instants) * rules.test)
    test = instants[known] if rules.test else pd.Timestamp.max
    if rules.folds == 1:
        begin, end = math.floor(known * (1 - rules.validation_split)), known
    else:
        first = math.floor(known * rules.initial)
        begin, end = (first + (known - first) * fold // rules.folds for fold in (rules.fold, rules.fold + 1))
    border, until = instants[begin], instants[end] if end < len(instants) else pd.Timestamp.max

    def is_settled(sample: Any, at: pd.Timestamp) -> bool:
        first = series[sample.symbol].opened.searchsorted(at)
        return bool(sample.closed <= at and sample.settled < first - rules.embargo)

    found = []
    for sample in table.itertuples():
        part = "purged" if sample.timestamp < until or sample.timestamp >= test else ""
        if sample.timestamp >= test:
            part = "test"
        elif border <= sample.timestamp < until and (not rules.test or is_settled(sample, test)):
            part = "validation"
        elif sample.timestamp < border and is_settled(sample, border):
            part = "train"
        found.append(part)
    return found
