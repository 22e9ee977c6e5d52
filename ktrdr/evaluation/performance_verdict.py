"""A backtest in words: whether it earned anything, more than holding, and more than at other times."""

from __future__ import annotations

from ktrdr.evaluation.random_entries import MIN_LOOK_BACKS
from ktrdr.evaluation.significance import INTERVAL_LEVEL
from ktrdr.formatting import count, p_equals, percentage, with_error
from ktrdr.payloads.backtest import Performance, RandomEntries
from ktrdr.payloads.evaluation import Lead

# One-sided: together with the other side 5 %.
_LEVEL = INTERVAL_LEVEL / 2


def describe_performance(
    model: Performance, held: Performance, chance: RandomEntries, over_holding: Lead, over_zero: Lead
) -> str:
    returns = (
        f"After costs the model returned {percentage(model.total_return)}, holding {percentage(held.total_return)}"
    )
    return " ".join(
        [
            f"{returns}; {_compare(over_holding, over_zero)}",
            _describe_timing(chance),
            _describe_sharpe(model, over_zero),
        ]
    )


def _compare(over_holding: Lead, over_zero: Lead) -> str:
    holding, zero = p_equals(over_holding.p_value), p_equals(over_zero.p_value)
    if over_holding.p_value < _LEVEL:
        return f"that is more than holding, beyond chance ({holding})."
    if over_zero.p_value < _LEVEL:
        return f"that is a gain beyond chance ({zero}), but not beyond chance more than holding ({holding})."
    return f"by chance alone it could gain as much ({zero}), and lead holding by as much ({holding})."


def _describe_timing(chance: RandomEntries) -> str:
    if chance.percentile is None:
        return (
            "It cannot be determined whether random entries would have done worse: each position looks back on "
            f"{count(chance.look_back or 0)} bars, and the backtest has fewer than {MIN_LOOK_BACKS} times as many."
        )
    if chance.low == chance.high:
        return "It never changed its position, so there is no timing to test."
    chance_alone = "" if chance.p_value is None else f" ({p_equals(chance.p_value)})"
    return f"{chance.percentile:.0f}% of random entries with the same turnover did worse{chance_alone}."


def _describe_sharpe(model: Performance, over_zero: Lead) -> str:
    """A ratio is above or below zero as surely as the mean return is."""
    if model.sharpe is None or model.sharpe_standard_error is None:
        return "It has no Sharpe ratio: its equity never moved."
    ratio = with_error(model.sharpe, model.sharpe_standard_error)
    if _LEVEL <= over_zero.p_value <= 1 - _LEVEL:
        return f"Its Sharpe ratio, {ratio}, is not distinguishable from zero on so few bars."
    return f"Its Sharpe ratio is {ratio}."
