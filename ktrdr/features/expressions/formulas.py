"""Entries of `indicators` that are expressions: their faults, their feature, and its values."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ktrdr.errors import Fault
from ktrdr.features.expressions.functions import FUNCTIONS
from ktrdr.features.expressions.reading import read_expression
from ktrdr.features.expressions.series import SERIES
from ktrdr.features.expressions.terms import ExpressionError, Term, defined
from ktrdr.features.feature import Feature, Scale
from ktrdr.features.sources import Series
from ktrdr.strategy.sections.indicators import Expression

if TYPE_CHECKING:
    import polars as pl


class Formulas:
    """The kind of entries that are expressions. Stateless, so it may be shared by threads."""

    def check(self, entry: Expression) -> Sequence[Fault]:
        """At most one fault of the expression, for others may follow from it."""
        if faults := list(_name_faults(entry)):
            return faults
        try:
            read(entry)
        except ExpressionError as error:
            return [_fault(error, entry)]
        return []

    def resolve(self, entry: Expression) -> Expression:
        return entry

    def features(self, entry: Expression) -> tuple[Feature, ...]:
        return (Feature(entry.as_, Scale.OWN),)

    def warmup(self, entry: Expression) -> int:
        return read(entry).warmup

    def compute(self, entries: Sequence[Expression], bars: pl.DataFrame) -> Iterator[dict[str, Series]]:
        """All of them in one pass over the bars: name -> [bars], float64, NaN where undefined."""
        if not entries:
            return
        compiled = (_compiled(entry.expr, tuple(entry.parameters.items())) for entry in entries)
        values = bars.select(values.alias(str(place)) for place, values in enumerate(compiled))
        for place, entry in enumerate(entries):
            yield {entry.as_: _column(values[str(place)], self.warmup(entry))}


def read(entry: Expression) -> Term:
    """Raises ExpressionError."""
    return _read(entry.expr, tuple(entry.parameters.items()))


@lru_cache(maxsize=1024)
def _read(text: str, parameters: tuple[tuple[str, int | float], ...]) -> Term:
    return read_expression(text, dict(parameters))


@lru_cache(maxsize=1024)
def _compiled(text: str, parameters: tuple[tuple[str, int | float], ...]) -> pl.Expr:
    return defined(_read(text, parameters).values())


def _column(values: pl.Series, warmup: int) -> Series:
    column = np.array(values.to_numpy(), dtype=np.float64)
    column[:warmup] = np.nan
    return column


def _name_faults(entry: Expression) -> Iterator[Fault]:
    for key, value in entry.parameters.items():
        if not key.isidentifier() or not key.isascii():
            yield Fault(key, "is no name that an expression can have", value)
        elif key in SERIES or key in FUNCTIONS:
            yield Fault(key, f"is the name of a {'series' if key in SERIES else 'function'}; use another", value)


def _fault(error: ExpressionError, entry: Expression) -> Fault:
    if error.parameter:
        return Fault(error.parameter, error.message, entry.parameters[error.parameter], error.suggestion)
    place = error.part if isinstance(error.part, int) else _position(error.part, entry.expr)
    return Fault("expr", f"is wrong at character {place + 1}: {error.message}", entry.expr, error.suggestion)


def _position(node: ast.AST, text: str) -> int:
    return min(getattr(node, "col_offset", 0), len(text) - 1)
