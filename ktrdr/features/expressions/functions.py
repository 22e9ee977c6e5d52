"""The functions of expressions that are not TA-Lib's. Each reads its bar and those before it, and no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ktrdr.features.expressions.terms import Term, common_unit, defined, require_numbers
from ktrdr.features.expressions.units import NO_UNIT, Unit

if TYPE_CHECKING:
    import polars as pl

UnitRule = Callable[[Sequence[Term], int], Unit]
"""The unit of a result from the series that a function reads, and its window."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function.

    name: as expressions call it
    arguments: x, y, a and b are series, condition is true or false, n a number of bars, q a share from 0 to 1
    title: what it computes
    unit: of the result
    compute: from Polars expressions of the series, n as a whole number and q
    least: of n
    default: of n, where it may be left out
    own_bar: whether the n bars include the bar itself; else the function reads n bars before it
    uses: how often a series stands in the Polars expression
    """

    name: str
    arguments: tuple[str, ...]
    title: str
    unit: UnitRule
    compute: Callable[..., pl.Expr]
    least: int = 1
    default: int | None = None
    own_bar: bool = True
    uses: int = 1

    @property
    def signature(self) -> str:
        shown = [f"n={self.default}" if each == "n" and self.default is not None else each for each in self.arguments]
        return f"{self.name}({', '.join(shown)})"

    def memory(self, window: int) -> int:
        """Leading rows without a result, of an argument without any."""
        return window - self.own_bar if "n" in self.arguments else 0


# Units.


def _same(series: Sequence[Term], _: int) -> Unit:
    """Of weighted means, and of single values."""
    return series[0].unit


def _difference(series: Sequence[Term], _: int) -> Unit:
    return series[0].unit.shiftless


def _total(series: Sequence[Term], window: int) -> Unit:
    return series[0].unit.plus(series[0].unit.scaled(window - 1))


def _none(_: Sequence[Term], __: int) -> Unit:
    """Of ranks and correlations, which no unit changes."""
    return NO_UNIT


def _numbers(series: Sequence[Term], _: int) -> Unit:
    require_numbers(*series)
    return series[0].unit


def _sign(series: Sequence[Term], _: int) -> Unit:
    require_numbers(*series)
    return NO_UNIT


def _root(series: Sequence[Term], _: int) -> Unit:
    require_numbers(*series)
    return series[0].unit.power(0.5)


def _logarithm(series: Sequence[Term], _: int) -> Unit:
    require_numbers(*series)
    return series[0].unit.logarithm()


def _exponential(series: Sequence[Term], _: int) -> Unit:
    if not series[0].unit.shiftless.is_none:
        raise series[0].wrong(f"is {series[0].unit}, which is no exponent; divide it by another of its kind first")
    return series[0].unit.exponential()


def _chosen(series: Sequence[Term], _: int) -> Unit:
    return common_unit(series[-2:], "chosen between")


# Values.


def _where(condition: pl.Expr, one: pl.Expr, other: pl.Expr) -> pl.Expr:
    import polars as pl

    return pl.when(condition).then(one).when(~condition).then(other)


def _larger(one: pl.Expr, other: pl.Expr) -> pl.Expr:
    return _where(one >= other, one, other)


def _smaller(one: pl.Expr, other: pl.Expr) -> pl.Expr:
    return _where(one <= other, one, other)


def _mean(x: pl.Expr, n: int) -> pl.Expr:
    return x.rolling_mean(n, min_samples=n)


def _std(x: pl.Expr, n: int) -> pl.Expr:
    return x.rolling_std(n, min_samples=n)


def _zscore(x: pl.Expr, n: int) -> pl.Expr:
    return defined((x - _mean(x, n)) / _std(x, n))


def _rank(x: pl.Expr, n: int) -> pl.Expr:
    return (x.rolling_rank(n, "average", min_samples=n) - 1) / (n - 1)


def _correlation(x: pl.Expr, y: pl.Expr, n: int) -> pl.Expr:
    """Undefined where one does not vary: what rounding leaves of its variance correlates with anything."""
    import polars as pl

    varies = (_std(x, n) > 0) & (_std(y, n) > 0)
    return pl.when(varies).then(defined(pl.rolling_corr(x, y, window_size=n, min_samples=n)))


def _wilder(x: pl.Expr, n: int) -> pl.Expr:
    """The mean of n values, then average[t] = average[t - 1] + (x[t] - average[t - 1]) / n (Wilder 1978, p. 23)."""
    import polars as pl

    mean = _mean(x, n)
    known = mean.is_not_null().cum_sum()
    seeded = pl.when(known > 1).then(x).when(known == 1).then(mean)
    return seeded.ewm_mean(alpha=1 / n, adjust=False, ignore_nulls=True)


def _all() -> tuple[Function, ...]:
    x, xn = ("x",), ("x", "n")
    return (
        Function("lag", xn, "x as it was n bars before", _same, lambda x, n: x.shift(n), 0, 1, own_bar=False),
        Function("diff", xn, "x - lag(x, n)", _difference, lambda x, n: x.diff(n), 1, 1, own_bar=False),
        Function("mean", xn, "mean of the last n bars", _same, _mean),
        Function("sum", xn, "sum of the last n bars", _total, lambda x, n: x.rolling_sum(n, min_samples=n)),
        Function("std", xn, "standard deviation of the last n bars (of a sample: n - 1)", _difference, _std, 2),
        Function("lowest", xn, "least of the last n bars", _same, lambda x, n: x.rolling_min(n, min_samples=n)),
        Function("highest", xn, "greatest of the last n bars", _same, lambda x, n: x.rolling_max(n, min_samples=n)),
        Function("median", xn, "median of the last n bars", _same, lambda x, n: x.rolling_median(n, min_samples=n)),
        Function(
            "quantile",
            ("x", "n", "q"),
            "quantile q of the last n bars, interpolated",
            _same,
            lambda x, n, q: x.rolling_quantile(q, "linear", n, min_samples=n),
        ),
        Function("rank", xn, "place of x among the last n bars, from 0 (least) to 1", _none, _rank, 2),
        Function("zscore", xn, "(x - mean(x, n)) / std(x, n)", _none, _zscore, 2, uses=3),
        Function(
            "corr", ("x", "y", "n"), "correlation of x and y over the last n bars", _none, _correlation, 2, uses=2
        ),
        Function("wilder", xn, "Wilder's average: exponential, with weight 1 / n", _same, _wilder, uses=3),
        Function("log", x, "natural logarithm", _logarithm, lambda x: defined(x.log())),
        Function("exp", x, "exponential", _exponential, lambda x: defined(x.exp())),
        Function("sqrt", x, "square root", _root, lambda x: defined(x.sqrt())),
        Function("abs", x, "absolute value", _numbers, lambda x: x.abs()),
        Function("sign", x, "-1, 0 or 1", _sign, lambda x: x.sign()),
        Function("min", ("a", "b"), "the smaller of two values of the same bar", _chosen, _smaller, uses=3),
        Function("max", ("a", "b"), "the larger of two values of the same bar", _chosen, _larger, uses=3),
        Function("where", ("condition", "a", "b"), "a where the condition holds, else b", _chosen, _where, uses=2),
    )


FUNCTIONS: dict[str, Function] = {function.name: function for function in _all()}
