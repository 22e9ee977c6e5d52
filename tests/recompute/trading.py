"""What trading on predictions earned, bar by bar, and what the same positions earned at other times."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from exchange_calendars import get_calendar

from tests.recompute.inference import Figures, Floats, lead, of_bars, sharpe
from tests.recompute.samples import Bars, Rules

YEAR = pd.Timedelta(days=365.25)
LEVEL = 0.025


@dataclass
class Account:
    """A share of the capital that trades one symbol, bar by bar."""

    worth: float = 1.0
    position: float = 0.0
    trades: int = 0
    turnover: float = 0.0
    paid: float = 0.0
    values: dict[pd.Timestamp, float] = field(default_factory=dict)

    def change(self, position: float, cost: float) -> None:
        traded = abs(position - self.position)
        self.trades += traded > 0
        self.turnover += traded
        fee = self.worth * min(1.0, cost * traded)
        self.paid += fee
        self.worth -= fee
        self.position = position


@dataclass(frozen=True)
class Run:
    """All accounts of one way of trading."""

    accounts: Sequence[Account]

    @property
    def equity(self) -> pd.Series:
        table = pd.concat([pd.Series(account.values) for account in self.accounts], axis=1).sort_index()
        return table.ffill().fillna(1.0).mean(axis=1)

    @property
    def returns(self) -> Floats:
        return np.asarray(self.equity / self.equity.shift(fill_value=1.0) - 1, float)

    def figures(self, yearly: float) -> Figures:
        equity, returns = self.equity, self.returns
        peaks = np.maximum.accumulate(np.append(1.0, equity))
        return {
            "total_return": float(equity.iloc[-1] - 1),
            "annual_return": float(equity.iloc[-1] ** (yearly / len(equity)) - 1),
            "annual_volatility": float(returns.std(ddof=1) * math.sqrt(yearly)),
            **sharpe(returns, yearly),
            "max_drawdown": float(np.min(np.append(1.0, equity) / peaks - 1)),
            "turnover": sum(account.turnover for account in self.accounts) / len(self.accounts),
            "trades": sum(account.trades for account in self.accounts),
            "costs_paid": sum(account.paid for account in self.accounts) / len(self.accounts),
        }


def backtest(series: Mapping[str, Bars], table: pd.DataFrame, rules: Rules) -> Figures:
    """Trade the rows of `table`, which has the columns symbol, row, settled and model."""
    by_symbol = [periods(series[str(symbol)], own, rules) for symbol, own in table.groupby("symbol")]
    model = Run([trade(own, own["position"], rules.cost) for own in by_symbol])
    held = Run([trade(own, own["position"] * 0 + 1, rules.cost) for own in by_symbol])
    opened = pd.DatetimeIndex(model.equity.index)
    yearly = bars_per_year(opened, series)
    figures: Figures = {
        "bars": len(opened),
        "bars_per_year": yearly,
        "fee_bps": rules.fee_bps,
        "slippage_bps": rules.slippage_bps,
        "model": model.figures(yearly),
        "buy_and_hold": held.figures(yearly),
        "against_holding": lead(yearly * (model.returns - held.returns), of_bars(len(opened))),
        "against_zero": lead(yearly * model.returns, of_bars(len(opened))),
        "equity": {"model": thinned(model.equity), "buy_and_hold": thinned(held.equity)},
    }
    chance = random_entries(by_symbol, rules, figures["model"]["total_return"])
    return {**figures, "random_entries": chance}


def periods(bars: Bars, own: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """From one open to the next, the last one to the close; and one without a position at each hole."""
    found: list[dict[str, Any]] = []
    sides = dict(zip(own["row"], (side(predicted, rules) for predicted in own["model"]), strict=True))
    for begin in sorted({bars.begin(row) for row in own["row"]}):
        stretch = own[[bars.begin(row) == begin for row in own["row"]]]
        first, last = int(stretch["row"].min()) + 1, int(stretch["settled"].max())
        if found:
            found.append({"opened": found[-1]["opened"], "position": 0.0, "move": 0.0})
        position = 0.0
        for row in range(first, last + 1):
            position = sides.get(row - 1, position)
            after = bars.open[row + 1] if row < last else bars.close[last]
            found.append({"opened": bars.opened[row], "position": position, "move": after / bars.open[row] - 1})
    return pd.DataFrame(found)


def side(predicted: Any, rules: Rules) -> float:
    return float(np.sign(predicted)) if rules.regression else {"up": 1.0, "down": -1.0}.get(predicted, 0.0)


def trade(own: pd.DataFrame, positions: pd.Series, cost: float) -> Account:
    account = Account()
    for opened, move, position in zip(own["opened"], own["move"], positions, strict=True):
        account.change(position, cost)
        account.worth *= max(0.0, 1 + position * move)
        account.values[opened] = account.worth
    account.change(0.0, cost)
    account.values[own["opened"].iloc[-1]] = account.worth
    return account


def random_entries(by_symbol: Sequence[pd.DataFrame], rules: Rules, earned: float) -> Figures:
    """Positions that come later by 1 bar to all but `look_back`, wrapped; the same share of them for each symbol."""
    look_back = rules.window + rules.warmup
    lengths = [len(own) for own in by_symbol]
    if min(lengths) < 4 * look_back:
        nothing = dict.fromkeys(("low", "median", "high", "percentile", "p_value"))
        return {"draws": 0, "look_back": look_back, **nothing}
    draws = min(500, max(100, 10_000_000 // sum(lengths)))
    places = np.random.default_rng(0).random(draws)
    ends = []
    for own, length in zip(by_symbol, lengths, strict=True):
        shifts = [1 + int(place * (length - look_back)) for place in places]
        positions = own["position"].to_numpy()
        ends.append(_worth(np.array([np.roll(positions, shift) for shift in shifts]), own["move"], rules.cost))
    totals = np.mean(ends, axis=0) - 1
    ties = abs(totals - earned) <= 1e-12 + 1e-9 * abs(earned)
    better, worse = int(((totals > earned) & ~ties).sum()), int(((totals < earned) & ~ties).sum())
    low, middle, high = (float(np.quantile(totals, share)) for share in (0.05, 0.5, 0.95))
    return {
        "draws": draws,
        "look_back": look_back,
        "low": low,
        "median": middle,
        "high": high,
        "percentile": 100 * (worse + (draws - worse - better) / 2) / draws,
        "p_value": (1 + draws - worse) / (1 + draws),
    }


def _worth(positions: Floats, moves: pd.Series, cost: float) -> Floats:
    """[draws], of `positions` [draws, periods] at the end."""
    worth, before = np.ones(len(positions)), np.zeros(len(positions))
    for position, move in zip(positions.T, moves, strict=True):
        worth = worth * (1 - cost * abs(position - before)) * np.maximum(0.0, 1 + position * move)
        before = position
    return worth * (1 - cost * abs(before))


def thinned(equity: pd.Series) -> list[float]:
    """At most 400 values, evenly spaced and rounded."""
    places = sorted({round(place) for place in np.linspace(0, len(equity) - 1, min(400, len(equity)))})
    return [round(float(equity.iloc[place]), 6) for place in places]


def bars_per_year(opened: pd.DatetimeIndex, series: Mapping[str, Bars]) -> float:
    """Bars over the bars that the market's time has room for, times those of a year."""
    bars = next(iter(series.values()))
    pauses = (
        np.diff(opened) > max(pd.Timedelta(days=1), 6 * bars.length)
        if not bars.session
        else np.zeros(len(opened) - 1, bool)
    )
    begins = [opened[0], *opened[1:][pauses]]
    ends = [*(opened[:-1][pauses] + bars.length), opened[-1] + bars.length]
    years = max(1, math.ceil((ends[-1] - begins[0]) / YEAR))
    covered = sum(expected(begin, end, bars) for begin, end in zip(begins, ends, strict=True))
    return float(len(opened) / covered * expected(ends[-1] - years * YEAR, ends[-1], bars) / years)


def expected(begin: pd.Timestamp, end: pd.Timestamp, bars: Bars) -> float:
    """Bars that the market has room for between two instants."""
    if not bars.session:
        return float((end - begin).total_seconds() / bars.length.total_seconds())
    schedule = get_calendar(bars.session, start="2021-01-04", end="2025-12-31").schedule
    days = schedule.index
    if bars.length == pd.Timedelta(days=1):
        return float(((days >= begin) & (days < end)).sum())
    opens, closes = (schedule[name].dt.tz_localize(None) for name in ("open", "close"))
    inside = (closes.clip(begin, end) - opens.clip(begin, end)).sum()
    return float(inside.total_seconds() / bars.length.total_seconds())


def in_words(figures: Figures) -> str:
    """The backtest's verdict."""
    earned, held = (figures[name]["total_return"] for name in ("model", "buy_and_hold"))
    sentences = [_compared(figures), _entries(figures["random_entries"]), _ratio(figures)]
    return f"After costs the model returned {earned:.1%}, holding {held:.1%}; {' '.join(sentences)}"


def _compared(figures: Figures) -> str:
    p_values = [figures[name]["p_value"] for name in ("against_holding", "against_zero")]
    holding, zero = map(_chance, p_values)
    if p_values[0] < LEVEL:
        return f"that is more than holding, beyond chance ({holding})."
    if p_values[1] < LEVEL:
        return f"that is a gain beyond chance ({zero}), but not beyond chance more than holding ({holding})."
    return f"by chance alone it could gain as much ({zero}), and lead holding by as much ({holding})."


def _entries(chance: Figures) -> str:
    if not chance["draws"]:
        return (
            "It cannot be determined whether random entries would have done worse: each position looks back on "
            f"{chance['look_back']} bars, and the backtest has fewer than 4 times as many."
        )
    if chance["low"] == chance["high"]:
        return "It never changed its position, so there is no timing to test."
    worse = f"{chance['percentile']:.0f}% of random entries with the same turnover did worse"
    return f"{worse} ({_chance(chance['p_value'])})."


def _ratio(figures: Figures) -> str:
    ratio = f"{figures['model']['sharpe']:.2f} ± {figures['model']['sharpe_standard_error']:.2f}"
    p_value = figures["against_zero"]["p_value"]
    if p_value < LEVEL or p_value > 1 - LEVEL:
        return f"Its Sharpe ratio is {ratio}."
    return f"Its Sharpe ratio, {ratio}, is not distinguishable from zero on so few bars."


def _chance(p_value: float) -> str:
    if p_value < 0.001:
        return "p < 0.001"
    return f"p = {p_value:.{2 if p_value >= 0.01 else 3}f}"
