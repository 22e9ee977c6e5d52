"""An evaluation in words: which baselines the model beats, how sure that is, and how small a lead could be seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ktrdr.evaluation import fixed_b
from ktrdr.evaluation.rivals import CONTROL, Rivals
from ktrdr.evaluation.scored_rows import ScoredRows
from ktrdr.formatting import count, p_value
from ktrdr.payloads.evaluation import Significance

POWER_80 = 0.8416
YARDSTICKS = {
    "logistic_regression": "a logistic regression on the last bar's features",
    "ridge_regression": "a ridge regression on the last bar's features",
}


@dataclass(frozen=True, slots=True)
class Wording:
    """How qualities are written.

    model: the model's mean quality, formatted
    rivals: the rivals' mean qualities, formatted
    unit: unit of a lead: percentage points of accuracy, or training variances of squared error
    scale: factor from a lead to that unit
    """

    model: str
    rivals: Rivals[str]
    unit: str
    scale: float


@dataclass(frozen=True, slots=True)
class VerdictInput:
    """The facts that a verdict needs.

    part: `validation` or `test`
    rows: the scored samples
    wording: how their qualities are written
    control_beats: whether the control beats the naive baselines too
    """

    part: str
    rows: ScoredRows
    wording: Wording
    control_beats: bool


def verdict(case: VerdictInput, significance: Significance) -> str:
    return " ".join(
        [
            _against_baselines(case.wording, significance),
            *_against_yardsticks(case.wording, significance),
            *_control(case, significance),
            *_resolution(case, significance),
            _choice(case, significance),
        ]
    )


def _against_baselines(wording: Wording, significance: Significance) -> str:
    against = {name: significance.against[name] for name in wording.rivals.naive}
    rivals = " and ".join(f"{figure} ({name})" for name, figure in wording.rivals.naive.items())
    figures = f"{wording.model} against {rivals}"
    if significance.beats_baselines:
        return f"The model beats its baselines beyond chance: {figures}."
    if unbeaten := [name for name, lead in against.items() if lead.lead <= 0]:
        what = "its baselines" if len(unbeaten) == len(against) else f"the {unbeaten[0]} baseline"
        return f"The model does not beat {what}: {figures}."
    doubtful = {name: lead.p_value for name, lead in against.items() if lead.p_value >= significance.level}
    p_values = " and ".join(f"{p_value(value)} against {name}" for name, value in doubtful.items())
    return f"The model is ahead of its baselines, {figures}, but the lead may be chance: p = {p_values}."


def _against_yardsticks(wording: Wording, significance: Significance) -> Iterator[str]:
    for name, figure in wording.rivals.yardstick.items():
        lead, words = significance.against[name], YARDSTICKS[name]
        if lead.p_value < significance.level:
            yield f"It beats {words} too ({figure})."
        elif lead.lead > 0:
            yield f"Its lead over {words} ({figure}) may be chance: p = {p_value(lead.p_value)}."
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


def _resolution(case: VerdictInput, significance: Significance) -> Iterator[str]:
    """The lead over the hardest baseline that such gains would show in four of five parts like this one."""
    naive = case.wording.rivals.naive
    rival = max(naive, key=lambda name: significance.against[name].p_value)
    error = significance.against[rival].standard_error
    samples, effective = len(case.rows.hits), significance.effective_samples
    rows = f"These {count(samples)} {case.part} samples"
    if effective < samples:
        rows += f", equivalent to about {count(effective)} independent ones,"
    if error > 0:
        critical = fixed_b.critical_value(significance.level, case.rows.sampling.b)
        least = case.wording.scale * error * (critical + POWER_80)
        yield f"{rows} need a lead of about {least:.2g} {case.wording.unit} over {rival} to show it with 80% power."
    else:
        yield f"On all {count(samples)} {case.part} samples it does exactly as well as the {rival} baseline."


def _choice(case: VerdictInput, significance: Significance) -> str:
    level = f"the significance level is {100 * significance.level:g}%"
    if case.part == "test":
        return f"Nothing was selected on these rows; {level}."
    return f"The best epoch was selected on these same rows, which flatters it; {level} to allow for that."
