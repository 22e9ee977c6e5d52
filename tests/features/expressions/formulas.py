"""Expressions that are right, and the entries that they make."""

from __future__ import annotations

from typing import Any

from ktrdr.strategy.sections.indicators import Expression

RIGHT = (
    "close / ema(close, 20) - 1",
    "diff(log(close), 3)",
    "ema(log(close), 5) - log(close)",
    "exp(log(close) - log(open)) - 1",
    "where(close > open and not volume < mean(volume, 9), 1, -1)",
    "mean(close > open, 20)",
    "0.001 < abs(returns) <= 0.02 or volume == 0",
    "(close - lowest(low, 20)) / max(highest(high, 20) - lowest(low, 20), close * 1e-9)",
    "zscore(volume, 15)",
    "corr(close, lag(volume), 12)",
    "rank(sum(returns, 3), 30) - median(returns, 5) - quantile(returns, 9, 0.2)",
    "wilder(abs(diff(close)), 14) / close",
    "sqrt(std(close, 10) * close) / min(close, open)",
    "(high * low) ** 0.5 / hl2",
    "atr(14) / close",
    "rsi(volume, 2 * 5) + rsi(14)",
    "macd(close, 12, 26, 9, output=macdhist) / close",
    "obv() / sum(volume, 20)",
    "stddev(close, timeperiod=20, nbdev=2) / close",
    "ln(lag(close)) - ln(close)",
    "sin(hour / 24 * 6.2832) + weekday / 7",
)


def entry(text: str, **keys: Any) -> Expression:
    return Expression.model_validate({"expr": text, "as": "x", **keys})
