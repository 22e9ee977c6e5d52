"""Calls of the functions in `functions.py`: which argument is which, windows, units and warm-up."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ktrdr.errors import nearest
from ktrdr.features.expressions.functions import Function
from ktrdr.features.expressions.operators import require_conditions
from ktrdr.features.expressions.terms import ExpressionError, Term, combined

if TYPE_CHECKING:
    import polars as pl

MAX_WINDOW = 100_000


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it is written.

    node, text: where it stands
    positional: its arguments without names
    named: those with
    """

    node: ast.Call
    text: str
    positional: Sequence[Term]
    named: Mapping[str, Term]

    def wrong(self, message: str, suggestion: str | None = None) -> ExpressionError:
        return ExpressionError(f"{self.text} {message}", self.node, suggestion=suggestion)

    def about(self, message: str, suggestion: str | None = None) -> ExpressionError:
        return ExpressionError(f"{self.text}: {message}", self.node, suggestion=suggestion)


def apply(function: Function, call: Call) -> Term:
    """The term of a call."""
    arguments = _bound(function, call)
    series = {name: term for name, term in arguments.items() if name not in ("n", "q")}
    _check_series(function, series, call)
    window = _window(function, arguments["n"], call) if "n" in arguments else function.default or 0
    numbers = [window] if "n" in function.arguments else []
    shares = [_share(arguments["q"], call)] if "q" in arguments else []

    def build() -> pl.Expr:
        values = [term.build() if name == "condition" else term.values() for name, term in series.items()]
        return function.compute(*values, *numbers, *shares)

    terms = list(series.values())
    unit, memory = function.unit(terms, window), function.memory(window)
    return combined(call.node, call.text, build, terms, unit, memory=memory, uses=function.uses)


def _bound(function: Function, call: Call) -> dict[str, Term]:
    """The arguments by their names, in the function's order."""
    names = function.arguments
    if len(call.positional) > len(names):
        raise call.wrong(f"has {len(call.positional)} arguments; there is {function.signature}")
    arguments = dict(zip(names, call.positional, strict=False))
    for name, term in call.named.items():
        if name not in names:
            raise call.wrong(_unknown(name, function), nearest(name, names))
        if name in arguments:
            raise call.wrong(f"has {name} twice")
        arguments[name] = term
    for name in names:
        if name not in arguments and not (name == "n" and function.default is not None):
            raise call.wrong(_missing(name, function))
    return {name: arguments[name] for name in names if name in arguments}


def _check_series(function: Function, series: Mapping[str, Term], call: Call) -> None:
    if "condition" in series:
        require_conditions([series["condition"]])
    if "n" in function.arguments and not all(term.reads_bars for term in series.values()):
        raise call.wrong("has a number in place of a series of bars, such as close")


def _unknown(name: str, function: Function) -> str:
    if name.startswith("cent"):
        return f"has no {name}: a centred window looks ahead, and every window ends at its own bar"
    return f"has no argument {name}; there is {function.signature}"


def _missing(name: str, function: Function) -> str:
    if name == "n":
        return f"lacks its window n, for statistics of the whole series look ahead; there is {function.signature}"
    return f"lacks its argument {name}; there is {function.signature}"


def _window(function: Function, term: Term, call: Call) -> int:
    number = term.number
    if number is None:
        raise call.wrong(f"needs a fixed number of bars for n; {term.shown} changes from bar to bar")
    least = f"at least {function.least}{', for a negative one looks ahead' if number < 0 else ''}"
    rules = ((number.is_integer(), "a whole number"), (number >= function.least, least))
    for holds, rule in (*rules, (number <= MAX_WINDOW, f"at most {MAX_WINDOW:,}")):
        if not holds:
            raise _refused(term, call, "n", rule)
    return int(number)


def _share(term: Term, call: Call) -> float:
    if term.number is None or not 0 <= term.number <= 1:
        raise _refused(term, call, "q", "a fixed number from 0 to 1")
    return term.number


def _refused(term: Term, call: Call, name: str, rule: str) -> ExpressionError:
    value = f"it is {term.shown if term.number is None else f'{term.number:g}'}"
    if term.parameter:
        return ExpressionError(f"in {call.text} must be {rule}; {value}", term.node, parameter=term.parameter)
    return call.about(f"{name} must be {rule}; {value}")
