"""Reads the text of an expression as a term. Nothing of the text is ever run."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from ktrdr.errors import nearest
from ktrdr.features import talib_metadata as talib
from ktrdr.features.expressions import calls, operators, talib_calls
from ktrdr.features.expressions.calls import Call
from ktrdr.features.expressions.functions import FUNCTIONS
from ktrdr.features.expressions.series import SERIES, series_term
from ktrdr.features.expressions.terms import ExpressionError, Term, constant

MAX_DEPTH = 64
MAX_SIZE = 2000

_IN_ONE_LINE = str.maketrans("\t\r\n", "   ")
_TOKEN = re.compile(r"[A-Za-z_]\w*|(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?(?!\w)|\*\*|<=|>=|==|!=|[-+*/(),<>=]| +", re.ASCII)
_INSTEAD = {
    "&": "write and",
    "|": "write or",
    "!": "write not",
    "~": "write not",
    "^": "write ** for a power",
    "@": "an entry is computed on the bars of one timeframe; its key timeframe names another",
    ".": "nothing has attributes; there are functions alone, such as lag(x, 1)",
    "[": "write lag(x, 1) for the bar before",
    "'": "there are no texts",
    '"': "there are no texts",
    "%": "there are + - * / **",
}
_LOOKS_AHEAD = frozenset({"lead", "next", "future", "bfill", "backfill", "fill_backward", "interpolate", "normalize"})
_ALSO_KNOWN_AS = {
    "shift": "lag",
    "ref": "lag",
    "delay": "lag",
    "delta": "diff",
    "rolling_mean": "mean",
    "rolling_std": "std",
    "rolling_sum": "sum",
    "rolling_min": "lowest",
    "rolling_max": "highest",
    "ts_rank": "rank",
    "pct_rank": "rank",
    "iff": "where",
    "when": "where",
    "rma": "wilder",
    "smma": "wilder",
    "ewm": "ema",
}


def read_expression(text: str, parameters: Mapping[str, int | float]) -> Term:
    """The term of a text, in which `parameters` are numbers by name. Raises ExpressionError.

    The result is a series, without a unit.
    """
    line = text.translate(_IN_ONE_LINE).strip(" ")
    _check_characters(line)
    reader = _Reader(line, parameters)
    term = reader.term(_parsed(line), 0)
    _check_result(term)
    for name, value in parameters.items():
        if name not in reader.used:
            message = f"is not named in {term.shown}; it is {value:g}"
            raise ExpressionError(message, 0, parameter=name, suggestion=nearest(name, reader.names))
    return term


def _check_characters(text: str) -> None:
    """Only tokens that an expression can have reach the parser."""
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            instead = _INSTEAD.get(text[position], "there are names, numbers, operators and brackets")
            raise ExpressionError(f"{text[position]!r} has no meaning here; {instead}", position)
        position = match.end()


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        message = (error.msg or "cannot be read").replace("invalid syntax", "an operator or a bracket is missing here")
        raise ExpressionError(message, max(0, (error.offset or 1) - 1)) from None
    except (RecursionError, MemoryError, ValueError):
        raise ExpressionError("it is nested too deeply", 0) from None


def _check_result(term: Term) -> None:
    if not term.reads_bars:
        raise term.wrong("reads no series of the bars, such as close")
    if not term.unit.is_none:
        raise ExpressionError(
            f"{term.shown} is {term.unit}, and nothing enters a model in dollars or shares; {_mending(term)}", term.node
        )


def _mending(term: Term) -> str:
    if term.unit.is_logarithm:
        return "take the difference of two such logarithms, as diff(log(close))"
    other = "mean(close, 20)" if term.unit.price else "mean(volume, 20)"
    return f"divide it by another of its kind, such as {other}"


class _Reader:
    """Reads one text.

    used: the parameters that were met
    names: all names that were met and that are no functions
    """

    def __init__(self, text: str, parameters: Mapping[str, int | float]) -> None:
        self.used: set[str] = set()
        self.names: set[str] = set()
        self._text, self._parameters = text, parameters

    def term(self, node: ast.AST, depth: int) -> Term:
        if depth > MAX_DEPTH:
            raise ExpressionError(f"it is nested more than {MAX_DEPTH} levels deep", node)
        read = _READERS.get(type(node))
        if read is None:
            raise ExpressionError(f"{self.text(node)} {_REFUSED.get(type(node), 'is not part of expressions')}", node)
        term: Term = read(self, node, depth + 1)
        if term.size > MAX_SIZE:
            raise ExpressionError(f"{term.shown} takes more than {MAX_SIZE:,} steps to compute", node)
        return term

    def text(self, node: ast.AST) -> str:
        text = " ".join((ast.get_source_segment(self._text, node) or self._text).split())
        return text if len(text) <= 80 else f"{text[:79]}…"

    def number(self, node: ast.Constant, _: int) -> Term:
        if type(node.value) not in (int, float):
            raise ExpressionError(f"{self.text(node)} is no number; write 1 and 0", node)
        value = _float(node.value)
        if not isfinite(value):
            raise ExpressionError(f"{self.text(node)} is too large", node)
        return constant(node, self.text(node), value)

    def name(self, node: ast.Name, _: int) -> Term:
        name = node.id
        self.names.add(name)
        if name in self._parameters:
            self.used.add(name)
            return constant(node, name, float(self._parameters[name]), parameter=name)
        if name in SERIES:
            return series_term(node, name)
        if name in FUNCTIONS or name.lower() in talib.names():
            raise ExpressionError(f"{name} is a function; it needs its arguments in brackets", node)
        close = nearest(name, [*SERIES, *self._parameters])
        raise ExpressionError(
            f"{name} is no series of the bars and no key beside the expression", node, suggestion=close
        )

    def unary(self, node: ast.UnaryOp, depth: int) -> Term:
        operand, text = self.term(node.operand, depth), self.text(node)
        if isinstance(node.op, ast.Not):
            return operators.negation(node, text, operand)
        return operators.negative(node, text, operand) if isinstance(node.op, ast.USub) else operand

    def binary(self, node: ast.BinOp, depth: int) -> Term:
        left, right = self.term(node.left, depth), self.term(node.right, depth)
        return operators.arithmetic(node, self.text(node), left, right)

    def compare(self, node: ast.Compare, depth: int) -> Term:
        terms = [self.term(each, depth) for each in (node.left, *node.comparators)]
        return operators.comparison(node, self.text(node), terms)

    def boolean(self, node: ast.BoolOp, depth: int) -> Term:
        return operators.conjunction(node, self.text(node), [self.term(each, depth) for each in node.values])

    def call(self, node: ast.Call, depth: int) -> Term:
        if not isinstance(node.func, ast.Name):
            raise ExpressionError(f"{self.text(node.func)} is no function", node.func)
        name = node.func.id
        own, of_talib = FUNCTIONS.get(name), name.lower() in talib.names()
        if own is None and not of_talib:
            raise _no_function(node.func)
        if len({each.arg for each in node.keywords}) < len(node.keywords):
            raise ExpressionError(f"{self.text(node)} names an argument twice", node)
        output = next((self.text(each.value) for each in node.keywords if each.arg == "output"), None)
        call = Call(
            node,
            self.text(node),
            [self.term(each, depth) for each in node.args],
            {each.arg or "**": self.term(each.value, depth) for each in node.keywords if each.arg != "output"},
        )
        return calls.apply(own, call) if own else talib_calls.apply(name.lower(), call, output)


def _no_function(node: ast.Name) -> ExpressionError:
    name = node.id
    if name in _LOOKS_AHEAD:
        return ExpressionError(f"{name} looks ahead: at a bar, only it and those before it are known", node)
    close = _ALSO_KNOWN_AS.get(name.lower()) or nearest(name, [*FUNCTIONS, *talib.names()])
    return ExpressionError(f"there is no function {name}", node, suggestion=close)


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


_READERS: Mapping[type[ast.AST], Callable[[_Reader, Any, int], Term]] = {
    ast.Constant: _Reader.number,
    ast.Name: _Reader.name,
    ast.UnaryOp: _Reader.unary,
    ast.BinOp: _Reader.binary,
    ast.Compare: _Reader.compare,
    ast.BoolOp: _Reader.boolean,
    ast.Call: _Reader.call,
}
_REFUSED: Mapping[type[ast.AST], str] = {
    ast.IfExp: "must be written where(condition, a, b)",
    ast.Tuple: "has a comma outside of a call",
    ast.Starred: "is not part of expressions",
}
