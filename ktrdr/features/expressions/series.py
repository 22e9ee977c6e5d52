"""The series that expressions name: of bars, and of the instants at which these open."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ktrdr.features.expressions.terms import Term
from ktrdr.features.expressions.units import NO_UNIT, PRICE, VOLUME, Unit
from ktrdr.features.sources import AVERAGES

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class NamedSeries:
    """One series.

    title: what it is
    unit: of its values
    compute: its Polars expression
    warmup: leading bars without a value
    """

    name: str
    title: str
    unit: Unit
    compute: Callable[[], pl.Expr]
    warmup: int = 0


def _column(name: str) -> Callable[[], pl.Expr]:
    def compute() -> pl.Expr:
        import polars as pl

        return pl.col(name)

    return compute


def _average(columns: tuple[str, ...]) -> Callable[[], pl.Expr]:
    def compute() -> pl.Expr:
        import polars as pl

        first, *others = map(pl.col, columns)
        return sum(others, first) / len(columns)

    return compute


def _returns() -> pl.Expr:
    import polars as pl

    return (pl.col("close") / pl.col("close").shift(1)).log()


def _opening(part: str) -> Callable[[], pl.Expr]:
    def compute() -> pl.Expr:
        import polars as pl

        parts = pl.col("timestamp").dt
        return (parts.hour() if part == "hour" else parts.weekday()).cast(pl.Float64)

    return compute


def _all() -> tuple[NamedSeries, ...]:
    return (
        *(NamedSeries(name, f"the bar's {name}", PRICE, _column(name)) for name in ("open", "high", "low", "close")),
        NamedSeries("volume", "the bar's volume", VOLUME, _column("volume")),
        *(
            NamedSeries(name, f"mean of {', '.join(columns)}", PRICE, _average(columns))
            for name, columns in AVERAGES.items()
        ),
        NamedSeries("returns", "log(close / lag(close, 1))", NO_UNIT, _returns, 1),
        NamedSeries("hour", "hour at which the bar opens, 0 to 23, UTC", NO_UNIT, _opening("hour")),
        NamedSeries("weekday", "day on which it opens, 1 (Monday) to 7, UTC", NO_UNIT, _opening("weekday")),
    )


SERIES: dict[str, NamedSeries] = {series.name: series for series in _all()}


def series_term(node: ast.AST, name: str) -> Term:
    series = SERIES[name]
    return Term(node, name, series.compute, series.unit, series.warmup)
