"""Verdicts over all tries in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ktrdr.formatting import count, p_equals, percentage, points, score
from ktrdr.payloads.selection import BacktestSelection, SelectionVerdict


@dataclass(frozen=True, slots=True)
class LeadWording:
    """How leads are written: a figure, and its unit."""

    figure: Callable[[float], str]
    unit: str

    def __call__(self, lead: float) -> str:
        return f"{self.figure(lead)} {self.unit}"


IN_POINTS = LeadWording(points, "points")
IN_VARIANCES = LeadWording(score, "training variances")


def describe_selection(selection: SelectionVerdict, wording: LeadWording) -> str:
    """The verdict over all tries by itself."""
    if selection.tries == 1:
        return f"{_lead(selection, wording)} ({p_equals(selection.p_value)}). Nothing else was tried on these rows."
    if selection.beats_baselines:
        return f"The model beats its baselines beyond chance. {survival(selection, wording)}"
    if is_objected(selection):
        return f"{_lead(selection, wording)} {objection(selection, wording)}"
    return f"{_lead(selection, wording)} (single-run {p_equals(selection.single_p_value)}). {standing(selection)}"


def _lead(selection: SelectionVerdict, wording: LeadWording) -> str:
    if selection.lead > 0:
        return f"The model is ahead of the {selection.over} baseline by {wording(selection.lead)}"
    return f"The model is not ahead of the {selection.over} baseline"


def is_objected(selection: SelectionVerdict) -> bool:
    """Whether the model would beat its baselines if nothing else had been tried."""
    return selection.single_p_value < selection.level and not selection.beats_baselines


def survival(selection: SelectionVerdict, wording: LeadWording) -> str:
    """Of a model that beats its baselines over all tries."""
    return (
        f"It is ahead by {wording(selection.lead)}; {_luckiest(selection, wording)}: "
        f"{p_equals(selection.p_value)} over all tries."
    )


def objection(selection: SelectionVerdict, wording: LeadWording) -> str:
    """After a lead that is beyond chance by itself, but not beyond that of the luckiest of all tries."""
    over_all = f"{p_equals(selection.p_value)} over all tries"
    alone = f"(single-run {p_equals(selection.single_p_value)}); but"
    if selection.lead > selection.luckiest.upper:
        return f"{alone} {_tried(selection.tries, selection.without_series)}, and its timing may be luck: {over_all}."
    return f"{alone} {_luckiest(selection, wording)}: {over_all}."


def standing(selection: SelectionVerdict) -> str:
    """Of a model that does not beat its baselines anyway."""
    tried = _tried(selection.tries, selection.without_series)
    return f"{tried[0].upper()}{tried[1:]}: {p_equals(selection.p_value)} over all tries."


def _luckiest(selection: SelectionVerdict, wording: LeadWording) -> str:
    tried = _tried(selection.tries, selection.without_series)
    upper = wording.figure(selection.luckiest.upper)
    return f"{tried}, and the luckiest of {count(selection.tries)} that know nothing would be ahead by up to {upper}"


def _tried(tries: int, without_series: int) -> str:
    """`43 models were evaluated on these rows`, `43 models were tried on these rows, 3 of them to no end`"""
    if not without_series:
        return f"{count(tries)} models were evaluated on these rows"
    return f"{count(tries)} models were tried on these rows ({count(without_series)} without a result)"


def describe_returns(selection: BacktestSelection) -> str:
    """How all tries change the tests of a backtest's returns."""
    tried = _tried(selection.tries, selection.without_series)
    zero, holding = p_equals(selection.zero_p_value), selection.holding_p_value
    more = "" if holding is None else f", and {p_equals(holding)} of more than holding"
    return f"{tried[0].upper()}{tried[1:]}: over all of them {zero} of a gain{more}."


def describe_deflation(selection: BacktestSelection) -> str:
    """What is left of a Sharpe ratio when the best of all tries was selected."""
    if selection.deflated_sharpe is None:
        return "Without a Sharpe ratio there is none to deflate."
    return (
        f"The best of as many tries, which count as {selection.effective_trials:,.0f} independent ones, is expected to "
        f"have a ratio of {selection.expected_sharpe:.2f} by luck; the probability that this one's true ratio is above "
        f"zero is {percentage(selection.deflated_sharpe)} (deflated Sharpe ratio)."
    )
