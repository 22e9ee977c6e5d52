"""The figures of a training's results, computed again from its bars and predictions.parquet by pandas and loops.

Nothing here uses the package. It knows labels of a fixed horizon, a holdout and an expanding walk forward.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from exchange_calendars import get_calendar

YEAR = pd.Timedelta(days=365.25)


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
    cost: float = 3e-4

    @property
    def classes(self) -> list[str]:
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
    """Every sample, in a part or in none."""
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
        part = ""
        if sample.timestamp >= test:
            part = "test"
        elif border <= sample.timestamp < until and (not rules.test or is_settled(sample, test)):
            part = "validation"
        elif sample.timestamp < border and is_settled(sample, border):
            part = "train"
        found.append(part)
    return found


def class_scores(labels: pd.Series, predicted: pd.Series, classes: Sequence[str]) -> dict[str, Any]:
    confusion = [[int(((labels == a) & (predicted == b)).sum()) for b in classes] for a in classes]
    true, guessed = [sum(row) for row in confusion], [sum(column) for column in zip(*confusion, strict=True)]
    total, right = sum(true), sum(confusion[k][k] for k in range(len(classes)))
    recalls = [confusion[k][k] / true[k] for k in range(len(classes)) if true[k]]
    spread = math.sqrt((total**2 - sum(n * n for n in true)) * (total**2 - sum(n * n for n in guessed)))
    crossed = right * total - sum(a * b for a, b in zip(true, guessed, strict=True))
    return {
        "accuracy": right / total,
        "balanced_accuracy": sum(recalls) / len(recalls),
        "mcc": crossed / spread if spread else 0.0,
        "confusion": confusion,
        "f1": {
            name: 2 * confusion[k][k] / (true[k] + guessed[k]) if true[k] + guessed[k] else 0.0
            for k, name in enumerate(classes)
        },
    }


def log_loss(labels: pd.Series, probabilities: pd.DataFrame) -> float:
    return float(np.mean([-math.log(probabilities[name].iloc[place]) for place, name in enumerate(labels)]))


def calibration(labels: pd.Series, predicted: pd.Series, probabilities: pd.DataFrame) -> dict[str, float]:
    confidence = pd.Series([probabilities[name].iloc[place] for place, name in enumerate(predicted)])
    hits = (labels.to_numpy() == predicted.to_numpy()).astype(float)
    edges = np.unique(np.quantile(confidence, [k / 10 for k in range(1, 10)]))
    bins = pd.Series([sum(value > edge for edge in edges) for value in confidence])
    error = chance = 0.0
    for number in sorted(set(bins)):
        inside = (bins == number).to_numpy()
        mean, count = float(confidence[inside].mean()), int(inside.sum())
        error += count * abs(float(hits[inside].mean()) - mean)
        chance += math.sqrt(2 * count * mean * (1 - mean) / math.pi)
    return {"expected_error": error / len(labels), "error_by_chance": chance / len(labels)}


def number_scores(targets: np.ndarray[Any, Any], guesses: np.ndarray[Any, Any], mean: float) -> dict[str, float | None]:
    mse, naive = float(np.mean((targets - guesses) ** 2)), float(np.mean((targets - mean) ** 2))
    one, two = pd.Series(targets), pd.Series(guesses)
    varies = guesses.std() > 1e-12 * abs(guesses).max()
    return {
        "mse": mse,
        "r2": 1 - mse / naive,
        "ic": float(one.corr(two)) if varies else None,
        "rank_ic": float(one.rank().corr(two.rank())) if varies else None,
        "accuracy": float(np.mean((targets > 0) == (guesses > 0))),
    }


def lead(gains: Sequence[float], table: pd.DataFrame) -> dict[str, float]:
    """The mean of `gains` [rows of `table`] and its standard error, with Newey and West's variance of sums by instant.

    Labels over h bars are correlated over h - 1 of them; Bartlett's weights reach over twice as many.
    """
    own = pd.Series(np.asarray(gains, float))
    sums = (own - own.mean()).groupby(table["timestamp"].to_numpy()).sum().sort_index()
    density = len(sums) / table.groupby("symbol").size().max()
    span = float((table["settled"] - table["row"]).mean())
    lag = min(len(sums) - 1, 2 * math.ceil((span - 1) * density))
    return {"lead": float(own.mean()), "standard_error": math.sqrt(long_run_variance(sums, lag)) / len(own)}


def long_run_variance(values: pd.Series, lag: int) -> float:
    """Sum over |k| <= lag of (1 - |k| / (lag + 1)) times the sum of products k apart."""
    total = float((values * values).sum())
    for k in range(1, lag + 1):
        total += 2 * (1 - k / (lag + 1)) * float((values.to_numpy()[k:] * values.to_numpy()[:-k]).sum())
    return total


def timing(labels: pd.Series, predicted: pd.Series, table: pd.DataFrame, classes: Sequence[str]) -> list[float]:
    """For each row the products of what label and prediction deviate from their shares, over all classes."""
    symbols = table["symbol"].to_numpy()
    products = pd.Series(np.zeros(len(table)))
    for name in classes:
        one, two = (pd.Series((side.to_numpy() == name).astype(float)) for side in (labels, predicted))
        products += (one - one.groupby(symbols).transform("mean")) * (two - two.groupby(symbols).transform("mean"))
    return [float(product) for product in products]


def sharpe_error(returns: pd.Series, yearly: float) -> float:
    """Mertens (2002), with Newey and West's variance of what each return adds, 4 (T / 100)^(2 / 9) bars far."""
    mean, deviation, count = returns.mean(), returns.std(ddof=0), len(returns)
    z = (returns - mean) / deviation
    influence = z - mean / deviation / 2 * (z**2 - 1)
    variance = long_run_variance(influence - influence.mean(), min(count - 1, int(4 * (count / 100) ** (2 / 9))))
    return float(math.sqrt(variance * yearly) / count)


@dataclass
class Account:
    """A share of the capital that trades one symbol, bar by bar."""

    worth: float = 1.0
    position: float = 0.0
    trades: int = 0
    turnover: float = 0.0
    paid: float = 0.0

    def change(self, position: float, cost: float) -> None:
        traded = abs(position - self.position)
        self.trades += traded > 0
        self.turnover += traded
        fee = self.worth * min(1.0, cost * traded)
        self.paid += fee
        self.worth -= fee
        self.position = position


def backtest(series: Mapping[str, Bars], part: pd.DataFrame, rules: Rules, hold: bool) -> dict[str, float]:
    """Trade `part`, which has the columns symbol, row, settled and side; `hold` buys at the first fill and holds."""
    values: dict[pd.Timestamp, dict[str, float]] = {}
    accounts = {}
    for symbol, own in part.groupby("symbol"):
        bars, account = series[str(symbol)], Account()
        sides = dict(zip(own["row"], own["side"], strict=True))
        for begin in sorted({bars.begin(row) for row in own["row"]}):
            stretch = own[[bars.begin(row) == begin for row in own["row"]]]
            first, last = int(stretch["row"].min()) + 1, int(stretch["settled"].max())
            side = 0.0
            for row in range(first, last + 1):
                side = sides.get(row - 1, side)
                account.change(1.0 if hold else side, rules.cost)
                after = bars.open[row + 1] if row < last else bars.close[last]
                account.worth *= max(0.0, 1 + account.position * (after / bars.open[row] - 1))
                if row == last and (not hold or row == int(own["settled"].max())):
                    account.change(0.0, rules.cost)
                values.setdefault(bars.opened[row], {})[str(symbol)] = account.worth
        accounts[str(symbol)] = account
    return _performance(values, accounts, series)


def _performance(
    values: Mapping[pd.Timestamp, Mapping[str, float]], accounts: Mapping[str, Account], series: Mapping[str, Bars]
) -> dict[str, float]:
    table = pd.DataFrame.from_dict(dict(values), orient="index").sort_index()[list(accounts)].ffill().fillna(1.0)
    equity = table.mean(axis=1)
    returns = equity / equity.shift(fill_value=1.0) - 1
    yearly = bars_per_year(pd.DatetimeIndex(table.index), series)
    peaks = np.maximum.accumulate(np.append(1.0, equity))
    return {
        "bars": len(table),
        "bars_per_year": yearly,
        "total_return": float(equity.iloc[-1] - 1),
        "annual_return": float(equity.iloc[-1] ** (yearly / len(equity)) - 1),
        "annual_volatility": float(returns.std() * math.sqrt(yearly)),
        "sharpe": float(returns.mean() / returns.std() * math.sqrt(yearly)),
        "sharpe_standard_error": sharpe_error(returns, yearly),
        "max_drawdown": float(np.min(np.append(1.0, equity) / peaks - 1)),
        "turnover": sum(account.turnover for account in accounts.values()) / len(accounts),
        "trades": sum(account.trades for account in accounts.values()),
        "costs_paid": sum(account.paid for account in accounts.values()) / len(accounts),
    }


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
