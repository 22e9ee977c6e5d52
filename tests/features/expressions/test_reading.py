"""The whitelist: what an expression may hold, and what is said of everything else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrdr.errors import Fault
from ktrdr.features.expressions.formulas import Formulas
from ktrdr.features.expressions.functions import FUNCTIONS
from ktrdr.features.expressions.series import SERIES
from ktrdr.features.talib_functions import TalibFunctions
from tests.features.expressions.formulas import RIGHT, entry

FORMULAS = Formulas()


def fault(text: str, **keys: Any) -> Fault:
    (found,) = FORMULAS.check(entry(text, **keys))
    return found


def test_right_expressions_have_no_faults() -> None:
    assert [text for text in RIGHT if FORMULAS.check(entry(text))] == []


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("close + clos", 9, ["clos is no series", "key beside"]),
        ("rsx(close, 14)", 1, ["no function rsx"]),
        ("1 + ema", 5, ["ema is a function", "brackets"]),
        ("close.shift(1)", 6, ["'.'", "lag(x, 1)"]),
        ("close[0]", 6, ["'['", "lag(x, 1)"]),
        ("open('x')", 6, ["no texts"]),
        ("close & open", 7, ["write and"]),
        ("close ^ 2", 7, ["**"]),
        ("close % 2", 7, ["'%'"]),
        ("close // 2", 1, ["operator"]),
        ("(lambda: 1)()", 8, ["':'"]),
        ("lag(close)(1)", 1, ["lag(close) is no function"]),
        ("close if close > open else open", 1, ["where(condition, a, b)"]),
        ("close in open", 1, ["comparison that is not known"]),
        ("close > open, 1", 1, ["comma"]),
        ("mean(*close, 5)", 6, ["not part of expressions"]),
        ("mean(**close)", 1, ["has no argument **"]),
        ("(x for x in close)", 1, ["not part of expressions"]),
        ("True * returns", 1, ["True is no number"]),
        ("1e999 * returns", 1, ["too large"]),
        ("9 ** 9 ** 9 * returns", 1, ["no finite value"]),
        ("(0 - 8) ** 0.5 * returns", 1, ["no finite value"]),
        ("returns / 0", 1, ["divides by 0"]),
        ("close close", 7, ["missing here"]),
        ("(returns", 1, ["never closed"]),
        ("1or 2", 1, ["'1'"]),
        ("returns\u00a0", 8, ["no meaning here"]),
        ("  returns +\n  clos", 13, ["clos is no series"]),
        ("3 + 4", 1, ["no series of the bars"]),
        ("lag(3, 1) + returns", 1, ["a number in place of a series"]),
        ("mean(returns, 5, 6)", 1, ["3 arguments", "mean(x, n)"]),
        ("mean(returns, m=5)", 1, ["no argument m", "mean(x, n)"]),
        ("mean(returns, 5, n=5)", 1, ["n twice"]),
        ("mean(x=returns, n=5, n=6)", 1, ["an argument twice"]),
        ("corr(returns, n=5)", 1, ["lacks its argument y"]),
        ("mean(returns, 2.5)", 1, ["whole number", "it is 2.5"]),
        ("mean(returns, 0)", 1, ["at least 1", "it is 0"]),
        ("mean(returns, 100001)", 1, ["at most 100,000"]),
        ("mean(returns, volume)", 1, ["fixed number of bars"]),
        ("quantile(returns, 5, 2)", 1, ["from 0 to 1", "it is 2"]),
        ("quantile(returns, 5, returns)", 1, ["from 0 to 1", "it is returns"]),
        ("where(returns, 1, 2)", 7, ["must be a condition"]),
        ("not returns", 5, ["must be a condition"]),
        ("close > open and returns", 18, ["must be a condition"]),
        ("macd(close) / close", 1, ["several outputs: macd, macdsignal, macdhist", "output=macd"]),
        ("macd(close, output=x) / close", 1, ["no output x"]),
        ("sma(returns, returns, 5)", 1, ["names 2 series; sma reads 1"]),
        ("correl(returns, 5, returns)", 1, ["series before its numbers"]),
        ("rsi(close, 5, 6)", 1, ["2 numbers"]),
        ("rsi(close, name=5)", 1, ["no argument name"]),
        ("rsi(close, timeperiod=returns)", 1, ["fixed number"]),
        ("rsi(close, perod=5)", 1, ["perod is not a parameter"]),
        ("rsi(close, 1)", 1, ["timeperiod must be at least 2; it is 1"]),
        ("mavp(close, 5)", 1, ["names 1 series; mavp reads 2"]),
        ("-" * 80 + "returns", 66, ["64 levels"]),
        ("(" * 300 + "returns" + ")" * 300, 201, ["too many nested"]),
        ("zscore(" * 9 + "returns" + ", 3)" * 9, 15, ["more than 2,000 steps"]),
    ],
)
def test_everything_else_is_refused_with_its_place(text: str, position: int, words: list[str]) -> None:
    found = fault(text)

    assert found.path == "expr"
    assert found.message.startswith(f"is wrong at character {position}: ")
    assert [word for word in words if word not in found.message] == []


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("clse / open", "close"),
        ("rsj(close, 14)", "rsi"),
        ("shift(close, 1) / close", "lag"),
        ("rolling_mean(returns, 5)", "mean"),
        ("rsi(close, perod=5)", "period"),
    ],
)
def test_the_nearest_name_is_suggested(text: str, suggestion: str) -> None:
    assert fault(text).suggestion == suggestion


@pytest.mark.parametrize(
    ("text", "keys", "path", "words"),
    [
        ("mean(returns, n)", {"n": 0}, "n", ["in mean(returns, n) must be at least 1; it is 0"]),
        ("ema(returns, n)", {"n": 0}, "n", ["in ema(returns, n) must be at least 1; it is 0"]),
        ("quantile(returns, 9, share)", {"share": 2}, "share", ["from 0 to 1; it is 2"]),
        ("returns * 2", {"n": 3}, "n", ["not named in returns * 2"]),
        ("returns * close", {"close": 3}, "close", ["name of a series"]),
        ("returns * mean", {"mean": 3}, "mean", ["name of a function"]),
        ("returns", {"1x": 3}, "1x", ["no name"]),
    ],
)
def test_a_wrong_number_beside_an_expression_is_named(
    text: str, keys: dict[str, float], path: str, words: list[str]
) -> None:
    found = fault(text, **keys)

    assert (found.path, found.value) == (path, keys[path])
    assert [word for word in words if word not in found.message] == []


TOKENS = [*SERIES, *FUNCTIONS, "rsi", "macd", "n", "1", "20", "-1", "0.5", "and", "not", "if", "lambda", "__class__"]
SIGNS = [
    "(",
    ")",
    ",",
    "+",
    "-",
    "*",
    "/",
    "**",
    "<",
    "==",
    "=",
    ".",
    "[",
    "'",
    ":",
    "@",
    "\n",
    "\r",
    "\t",
    "\u00a0",
    "é",
    "\0",
    "\\",
    "#",
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([*TOKENS, *SIGNS]), min_size=1, max_size=25))
def test_no_text_does_more_than_be_refused(tokens: list[str]) -> None:
    text = " ".join(tokens)[:1000]

    for found in FORMULAS.check(entry(text, n=3)):
        assert found.path in ("expr", "n")
        assert found.message


def test_names_of_functions_and_series_differ() -> None:
    assert not set(SERIES) & set(FUNCTIONS)
    assert not set(SERIES) & set(TalibFunctions().names())
