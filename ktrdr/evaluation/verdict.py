"""An evaluation in words: which baselines the model beats, how sure that is, and how small a lead could be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ktrdr.evaluation.breakdown import describe_breakdown
from ktrdr.evaluation.resolution import Resolution
from ktrdr.evaluation.rivals import CONTROL, Rivals
from ktrdr.formatting import count, p_equals, p_value
from ktrdr.payloads.evaluation import OTHER, Breakdown, Lead, Significance, adjective
from ktrdr.payloads.selection import SelectionVerdict

YARDSTICKS = {
    "logistic_regression": "a logistic regression on the last bar's features",
    "ridge_regression": "a ridge regression on the last bar's features",
}


@dataclass(frozen=True, slots=True)
class Wording:
    """How qualities are written.

    model: the model's mean quality, formatted
    rivals: the rivals' mean qualities, formatted
    constant: what the model says of every sample, formatted; None where it says different things
    lead: formats a lead with its sign
    unit: its unit
    """

    model: str
    rivals: Rivals[str]
    constant: str | None
    lead: Callable[[float], str]
    unit: str


@dataclass(frozen=True, slots=True)
class VerdictInput:
    """The facts that a verdict needs.

    part: `validation` or `test`
    samples: rows that were predicted
    breakdown: the lead by symbol and by year
    log_loss_lead: of the probabilities over the training part's class shares; None in a regression
    resolution: what its rows can show; None where that is not known
    wording: how their qualities are written
    control_beats: whether the control beats the naive baselines too
    selection: the lead beside all tries at the same rows; None where they are not counted
    is_trial: whether it is one trial of a search
    """

    part: str
    samples: int
    breakdown: Breakdown
    log_loss_lead: Lead | None
    resolution: Resolution | None
    wording: Wording
    control_beats: bool
    selection: SelectionVerdict | None = None
    is_trial: bool = False


def verdict(case: VerdictInput, significance: Significance) -> str:
    return " ".join(
        [
            _against_baselines(case, significance),
            *_against_yardsticks(case, significance),
            *_control(case, significance),
            *_probabilities(case.log_loss_lead, significance.level),
            *describe_breakdown(case.breakdown, case.wording.lead, case.wording.unit),
            *_resolution(case, significance),
            _choice(case, significance),
        ]
    )


def _against_baselines(case: VerdictInput, significance: Significance) -> str:
    """With several tries at the same rows the test over all of them decides."""
    selection = case.selection
    if case.is_trial and significance.beats_baselines:
        return (
            f"Taken alone this trial would beat its baselines: {_figures(case.wording)}. What that is worth among all "
            "trials, the verdict on the search's winner says."
        )
    if selection is None or selection.tries == 1 or selection.lead <= 0:
        return _alone(case.wording, significance)
    if _is_outdone(case, significance):
        return f"The model does not beat its baselines beyond luck: {_figures(case.wording)}. {selection.verdict}"
    return f"{_alone(case.wording, significance)} {selection.verdict}"


def _is_outdone(case: VerdictInput, significance: Significance) -> bool:
    """Whether the model beats its baselines by itself, but the luckiest of all tries would too."""
    selection = case.selection
    return significance.beats_baselines and selection is not None and not selection.beats_baselines


def _alone(wording: Wording, significance: Significance) -> str:
    against = {name: significance.against[name] for name in wording.rivals.naive}
    figures = _figures(wording)
    if significance.beats_baselines:
        return f"The model beats its baselines beyond chance: {figures}."
    if unbeaten := [name for name, lead in against.items() if lead.lead <= 0]:
        what = "its baselines" if len(unbeaten) == len(against) else f"the {unbeaten[0]} baseline"
        constant = "" if wording.constant is None else f" It always says {wording.constant}."
        return f"The model does not beat {what}: {figures}.{constant}"
    doubtful = {name: lead.p_value for name, lead in against.items() if lead.p_value >= significance.level}
    timing = significance.timing
    if timing and (not doubtful or not timing.standard_error):
        return _without_timing(wording, figures, timing)
    p_values = " and ".join(f"{p_value(value)} against {name}" for name, value in doubtful.items())
    return f"The model is ahead of its baselines, {figures}, but the lead may be chance: p = {p_values}."


def _figures(wording: Wording) -> str:
    rivals = " and ".join(f"{figure} ({name})" for name, figure in wording.rivals.naive.items())
    return f"{wording.model} against {rivals}"


def _without_timing(wording: Wording, figures: str, timing: Lead) -> str:
    """A lead that needs no knowledge of when: a class got rarer or more frequent than in the training part."""
    lead = f"The model does not beat its baselines: it is ahead, {figures}, but"
    if wording.constant is not None:
        return f"{lead} it always says {wording.constant}, and so has timed nothing."
    if not timing.standard_error:
        return f"{lead} it always says the same of each symbol, and so has timed nothing."
    return f"{lead} its predictions agree with the outcomes hardly more than by chance: {p_equals(timing.p_value)}."


def _against_yardsticks(case: VerdictInput, significance: Significance) -> Iterator[str]:
    is_timed = significance.timing is None or significance.timing.p_value < significance.level
    beats = "Taken alone it beats" if _is_outdone(case, significance) else "It beats"
    for name, figure in case.wording.rivals.yardstick.items():
        lead, words = significance.against[name], YARDSTICKS[name]
        if lead.p_value < significance.level and not is_timed:
            yield f"Nor does its lead over {words} ({figure}) show any timing."
        elif lead.p_value < significance.level:
            yield f"{beats} {words} too ({figure})."
        elif lead.lead > 0:
            yield f"Its lead over {words} ({figure}) may be chance: {p_equals(lead.p_value)}."
        else:
            yield f"{words[0].upper()}{words[1:]} does as well or better ({figure})."


def _control(case: VerdictInput, significance: Significance) -> Iterator[str]:
    """The model need not have learnt anything if the shuffled-label control does almost as well."""
    if case.control_beats and significance.against[CONTROL].p_value >= significance.level:
        yield (
            f"But the same model trained on shuffled labels ({case.wording.rivals.control}) beats the baselines as "
            "well, and the difference between the two is not significant: the lead need not come from what the model "
            "learnt."
        )


def _probabilities(lead: Lead | None, level: float) -> Iterator[str]:
    if lead is None:
        return
    chance = p_equals(lead.p_value)
    if lead.p_value < level:
        yield f"Its probabilities are better than the classes' shares, beyond chance: {chance}."
    elif lead.lead > 0:
        yield f"Its probabilities are better than the classes' shares, but that may be chance: {chance}."
    else:
        yield "Its probabilities are no better than the classes' shares."


def _resolution(case: VerdictInput, significance: Significance) -> Iterator[str]:
    for name in case.wording.rivals.naive:
        if not significance.against[name].standard_error:
            samples = f"{count(case.samples)} {adjective(case.part)} samples"
            yield f"On all {samples} it does exactly as the {name} baseline."
            return
    if case.resolution:
        yield f"These {case.resolution.sentence(adjective(case.part))}."


def _choice(case: VerdictInput, significance: Significance) -> str:
    level = f"the significance level is {100 * significance.level:g}%"
    if case.part == "test":
        return f"Nothing was selected on these rows; {level}."
    if case.part == OTHER:
        return f"{level[0].upper()}{level[1:]}."
    return f"The best epoch was selected on these same rows, which flatters it; {level} to allow for that."
