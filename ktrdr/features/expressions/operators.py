"""Arithmetic, comparisons and conditions on terms."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Any

from ktrdr.features.expressions.terms import (
    ExpressionError,
    Term,
    combined,
    common_unit,
    constant,
    defined,
    require_numbers,
)
from ktrdr.features.expressions.units import NO_UNIT, Unit

if TYPE_CHECKING:
    import polars as pl

_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_BOOLEAN: Mapping[type[ast.boolop], Callable[[Any, Any], Any]] = {ast.And: operator.and_, ast.Or: operator.or_}


def negative(node: ast.AST, text: str, term: Term) -> Term:
    if term.number is not None:
        return constant(node, text, -term.number)
    unit = term.unit.shiftless.plus(term.unit.scaled(-1))
    return combined(node, text, lambda: -term.values(), [term], unit)


def arithmetic(node: ast.BinOp, text: str, left: Term, right: Term) -> Term:
    if (compute := _ARITHMETIC.get(type(node.op))) is None:
        raise ExpressionError(f"{text} has an operator that is not known; there are + - * / **", node)
    if left.number is not None and right.number is not None:
        return constant(node, text, _folded(node, text, compute, left.number, right.number))
    if isinstance(node.op, ast.Div) and right.number == 0:
        raise ExpressionError(f"{text} divides by 0", node)
    may_leave = isinstance(node.op, ast.Div | ast.Pow | ast.Mult)

    def build() -> pl.Expr:
        values = compute(left.values(), right.values())
        return defined(values) if may_leave else values

    return combined(node, text, build, (left, right), _unit(node.op, left, right))


def comparison(node: ast.Compare, text: str, terms: Sequence[Term]) -> Term:
    """`0 < x < 1` holds where both of its comparisons do."""
    compute = [_COMPARISONS.get(type(each)) for each in node.ops]
    if None in compute:
        raise ExpressionError(f"{text} has a comparison that is not known; there are < <= > >= == !=", node)
    pairs = list(pairwise(terms))
    for pair in pairs:
        common_unit(pair, "compared")

    def build() -> pl.Expr:
        parts = [each(one.values(), other.values()) for each, (one, other) in zip(compute, pairs, strict=True) if each]
        holds: pl.Expr = reduce(operator.and_, parts)
        return holds

    return combined(node, text, build, terms, uses=2 if len(terms) > 2 else 1, is_condition=True)


def conjunction(node: ast.BoolOp, text: str, terms: Sequence[Term]) -> Term:
    """`and` and `or`. An undefined part decides nothing where the others decide (Kleene's logic)."""
    require_conditions(terms)
    compute = _BOOLEAN[type(node.op)]
    return combined(node, text, lambda: reduce(compute, [term.build() for term in terms]), terms, is_condition=True)


def negation(node: ast.AST, text: str, term: Term) -> Term:
    require_conditions([term])
    return combined(node, text, lambda: ~term.build(), [term], is_condition=True)


def require_conditions(terms: Sequence[Term]) -> None:
    for term in terms:
        if not term.is_condition:
            raise term.wrong("must be a condition, such as close > open")


def _folded(node: ast.AST, text: str, compute: Callable[[Any, Any], Any], left: float, right: float) -> float:
    try:
        value = compute(left, right)
    except (ArithmeticError, ValueError):
        value = None
    if not isinstance(value, float) or not isfinite(value):
        raise ExpressionError(f"{text} has no finite value", node)
    return value


def _unit(op: ast.operator, left: Term, right: Term) -> Unit:
    if isinstance(op, ast.Add | ast.Sub):
        return _unit_of_sum(op, left, right)
    if isinstance(op, ast.Pow):
        return _unit_of_power(left, right)
    factor = right.number if right.number is not None else left.number if isinstance(op, ast.Mult) else None
    value = left if right.number is not None else right
    if factor is not None and value.unit.is_logarithm:
        return value.unit.scaled(factor if isinstance(op, ast.Mult) else 1 / factor)
    require_numbers(left, right)
    return left.unit.times(right.unit if isinstance(op, ast.Mult) else right.unit.power(-1))


def _unit_of_sum(op: ast.operator, left: Term, right: Term) -> Unit:
    if left.unit.shiftless != right.unit.shiftless:
        if left.fits_any_unit or right.fits_any_unit:
            return (right if left.fits_any_unit else left).unit
        common_unit((left, right), "added" if isinstance(op, ast.Add) else "subtracted")
    return left.unit.plus(right.unit if isinstance(op, ast.Add) else right.unit.scaled(-1))


def _unit_of_power(left: Term, right: Term) -> Unit:
    require_numbers(left, right)
    if right.number is not None:
        return left.unit.power(right.number)
    for term in (left, right):
        if not term.unit.is_none:
            raise term.wrong(f"is {term.unit}, of which no power can be taken that changes from bar to bar")
    return NO_UNIT
