"""Terms: the parts of an expression, each with its unit, its warm-up and the Polars expression that computes it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, nan
from typing import TYPE_CHECKING

from ktrdr.features.expressions.units import NO_UNIT, Unit

if TYPE_CHECKING:
    import polars as pl

Build = Callable[[], "pl.Expr"]
"""Makes the Polars expression. Only a computation calls it, so that a check of a strategy needs no Polars."""

_SHOWN = 60


class ExpressionError(Exception):
    """What is wrong with an expression.

    message: the rest of a sentence that begins with the part
    part: the node that is wrong, or the position of a character
    parameter: the key beside the expression whose value is wrong, if it is one
    suggestion: the nearest valid name
    """

    def __init__(
        self, message: str, part: ast.AST | int, *, parameter: str = "", suggestion: str | None = None
    ) -> None:
        super().__init__(message)
        self.message, self.part, self.parameter, self.suggestion = message, part, parameter, suggestion


@dataclass(frozen=True, slots=True)
class Term:
    """One part of an expression.

    node: its place in the text
    text: as it is written
    build: makes its Polars expression: float64, or boolean of a condition; null where it is undefined
    unit: of its values
    warmup: leading bars on which it is undefined
    number: its value, where that is the same at all bars and known
    parameter: the name of the parameter that it is, if it is nothing else
    reads_bars: whether it is a series at all
    is_condition: whether it is true or false
    size: parts of its Polars expression, in which a part stands as often as it is used
    """

    node: ast.AST
    text: str
    build: Build
    unit: Unit = NO_UNIT
    warmup: int = 0
    number: float | None = None
    parameter: str = ""
    reads_bars: bool = True
    is_condition: bool = False
    size: int = 1

    @property
    def shown(self) -> str:
        """The text in one line, for a message."""
        text = " ".join(self.text.split())
        return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"

    @property
    def fits_any_unit(self) -> bool:
        """Whether it is 0, which is no dollars as well as no shares."""
        return self.number == 0

    def values(self) -> pl.Expr:
        """Its numbers; 1 and 0 of a condition."""
        import polars as pl

        return self.build().cast(pl.Float64) if self.is_condition else self.build()

    def wrong(self, message: str) -> ExpressionError:
        return ExpressionError(f"{self.shown} {message}", self.node, parameter=self.parameter)


def constant(node: ast.AST, text: str, number: float, parameter: str = "") -> Term:
    def build() -> pl.Expr:
        import polars as pl

        return pl.lit(number, pl.Float64)

    return Term(node, text, build, number=number, parameter=parameter, reads_bars=False)


def combined(
    node: ast.AST,
    text: str,
    build: Build,
    terms: Sequence[Term],
    unit: Unit = NO_UNIT,
    *,
    memory: int = 0,
    uses: int = 1,
    is_condition: bool = False,
) -> Term:
    """The term of an operation on others, which needs `memory` bars before it and names each of them `uses` times."""
    return Term(
        node,
        text,
        build,
        unit,
        warmup=max(term.warmup for term in terms) + memory,
        reads_bars=any(term.reads_bars for term in terms),
        is_condition=is_condition,
        size=1 + uses * sum(term.size for term in terms),
    )


def require_numbers(*terms: Term) -> None:
    """No logarithms of anything with a unit, whose size depends on that unit."""
    for term in terms:
        if term.unit.is_logarithm:
            raise term.wrong(f"is {term.unit}: take the difference of two such logarithms first, as diff(log(close))")


def common_unit(terms: Sequence[Term], what: str) -> Unit:
    """The unit of values that are compared, or among which one is chosen."""
    others = [term for term in terms if not term.fits_any_unit]
    first = others[0] if others else terms[0]
    for term in terms if first.unit.is_logarithm else others:
        if term.unit != first.unit:
            raise _different(first, term, what)
    return first.unit


def _different(first: Term, other: Term, what: str) -> ExpressionError:
    message = f"{first.shown} is {first.unit}, and {other.shown} is {other.unit}: they cannot be {what}"
    return ExpressionError(f"{message}; divide each by another of its kind first", other.node)


def defined(values: pl.Expr) -> pl.Expr:
    """Null in place of infinities and NaN."""
    return values.replace([inf, -inf, nan], None)
