"""A backtest in words: whether it earned anything, more than holding, and more than at other times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ktrdr.evaluation.random_entries import MIN_LOOK_BACKS
from ktrdr.evaluation.significance import INTERVAL_LEVEL
from ktrdr.formatting import count, p_equals, percentage, with_error
from ktrdr.payloads.backtest import Performance, RandomEntries
from ktrdr.payloads.evaluation import Lead
from ktrdr.payloads.selection import BacktestSelection

# One-sided: together with the other side 5 %.
_LEVEL = INTERVAL_LEVEL / 2


@dataclass(frozen=True, slots=True)
class ReturnTests:
    """p-values of the mean return above that of holding, and above zero."""

    holding: float
    zero: float


def describe_performance(
    model: Performance,
    held: Performance,
    chance: RandomEntries,
    over_holding: Lead,
    over_zero: Lead,
    selection: BacktestSelection | None = None,
) -> str:
    """The backtest in words; with several tries at its rows in `selection` the tests over all of them decide."""
    alone = tests = ReturnTests(over_holding.p_value, over_zero.p_value)
    if selection and selection.tries > 1:
        tests = ReturnTests(selection.holding_p_value, selection.zero_p_value)
    returns = (
        f"After costs the model returned {percentage(model.total_return)}, holding {percentage(held.total_return)}"
    )
    return " ".join(
        [
            f"{returns}; {_compare(tests)}",
            *_describe_tries(selection, alone),
            _describe_timing(chance),
            _describe_sharpe(model, tests),
            *_describe_deflation(selection),
        ]
    )


def _describe_tries(selection: BacktestSelection | None, alone: ReturnTests) -> Iterator[str]:
    if selection and selection.tries > 1:
        yield (
            f"That counts all {count(selection.tries)} tries on these rows; by itself the run has "
            f"{p_equals(alone.zero)} and {p_equals(alone.holding)}."
        )


def _compare(tests: ReturnTests) -> str:
    holding, zero = p_equals(tests.holding), p_equals(tests.zero)
    if tests.holding < _LEVEL:
        return f"that is more than holding, beyond chance ({holding})."
    if tests.zero < _LEVEL:
        return f"that is a gain beyond chance ({zero}), but not beyond chance more than holding ({holding})."
    return f"by chance alone it could gain as much ({zero}), and lead holding by as much ({holding})."


def _describe_timing(chance: RandomEntries) -> str:
    if chance.reason:
        return f"It was not compared with random entries: {chance.reason}."
    if chance.percentile is None:
        return (
            "It cannot be determined whether random entries would have done worse: each position looks back on "
            f"{count(chance.look_back or 0)} bars, and the backtest has fewer than {MIN_LOOK_BACKS} times as many."
        )
    if chance.low == chance.high:
        return "It never changed its position, so there is no timing to test."
    chance_alone = "" if chance.p_value is None else f" ({p_equals(chance.p_value)})"
    return f"{chance.percentile:.0f}% of random entries with the same turnover did worse{chance_alone}."


def _describe_sharpe(model: Performance, tests: ReturnTests) -> str:
    """A ratio is above or below zero as surely as the mean return is."""
    if model.sharpe is None or model.sharpe_standard_error is None:
        return "It has no Sharpe ratio: its equity never moved."
    ratio = with_error(model.sharpe, model.sharpe_standard_error)
    if _LEVEL <= tests.zero <= 1 - _LEVEL:
        return f"Its Sharpe ratio, {ratio}, is not distinguishable from zero on so few bars."
    return f"Its Sharpe ratio is {ratio}."


def _describe_deflation(selection: BacktestSelection | None) -> Iterator[str]:
    """What is left of the ratio when the best of all tries was selected."""
    if selection is None or selection.tries == 1 or selection.deflated_sharpe is None:
        return
    yield (
        f"The best of all tries, which are worth {selection.effective_trials:,.0f} independent ones, can expect "
        f"{selection.expected_sharpe:.2f} by luck; the probability that this one is better than that is "
        f"{percentage(selection.deflated_sharpe)} (deflated Sharpe ratio)."
    )
