"""An evaluation in words: what the model beats, what these rows can tell, and who has chosen by them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ktrdr.evaluation.significance import CONTROL, Rivals, Sampling
from ktrdr.formatting import count, p_value
from ktrdr.payloads.evaluation import Significance

YARDSTICKS = {
    "logistic_regression": "a logistic regression on the last bar's features",
    "ridge_regression": "a ridge regression on the last bar's features",
}


@dataclass(frozen=True, slots=True)
class VerdictInput:
    """What a verdict is made of.

    part, samples: the rows that were predicted
    model: the model's quality in words
    rivals: theirs
    unit: of a lead: accuracies lead by percentage points, errors by shares of the training variance
    scale: how many of them a lead of 1 is
    control_beats: whether the control beats the naive baselines too; None without a control
    """

    part: str
    samples: int
    model: str
    rivals: Rivals[str]
    unit: str
    scale: float
    control_beats: bool | None


def verdict(case: VerdictInput, significance: Significance, sampling: Sampling) -> str:
    return " ".join(
        [
            _against_baselines(case, significance),
            *_against_yardsticks(case, significance),
            *_control(case, significance),
            *_resolution(case, significance, sampling),
            _choice(case, significance),
        ]
    )


def _against_baselines(case: VerdictInput, significance: Significance) -> str:
    against = {name: significance.against[name] for name in case.rivals.naive}
    rivals = " and ".join(f"{figure} ({name})" for name, figure in case.rivals.naive.items())
    figures = f"{case.model} against {rivals}"
    if significance.beats_baselines:
        return f"The model beats its baselines beyond chance: {figures}."
    if unbeaten := [name for name, lead in against.items() if lead.lead <= 0]:
        what = "its baselines" if len(unbeaten) == len(against) else f"the {unbeaten[0]} baseline"
        return f"The model does not beat {what}: {figures}."
    doubtful = {name: lead.p_value for name, lead in against.items() if lead.p_value >= significance.level}
    chances = " and ".join(f"{p_value(value)} against {name}" for name, value in doubtful.items())
    return f"The model is ahead of its baselines, {figures}, but that can be chance: p = {chances}."


def _against_yardsticks(case: VerdictInput, significance: Significance) -> Iterator[str]:
    for name, figure in case.rivals.yardstick.items():
        lead, words = significance.against[name], YARDSTICKS[name]
        if lead.p_value < significance.level:
            yield f"It beats {words} too ({figure})."
        elif lead.lead > 0:
            yield f"Its lead over {words} ({figure}) can be chance: p = {p_value(lead.p_value)}."
        else:
            yield f"{words[0].upper()}{words[1:]} does as well or better ({figure})."


def _control(case: VerdictInput, significance: Significance) -> Iterator[str]:
    """A model that has learnt nothing can still lean the right way by luck, where the features tell much."""
    if case.control_beats and significance.against[CONTROL].p_value >= significance.level:
        yield (
            f"But the same model trained on shuffled labels ({case.rivals.control}) beats the baselines "
            "as well and is hardly worse: the lead need not come from what was learnt."
        )


def _resolution(case: VerdictInput, significance: Significance, sampling: Sampling) -> Iterator[str]:
    """The lead that a model needs on these rows, over the baseline that is hardest to beat."""
    from scipy.special import stdtrit

    rival = max(case.rivals.naive, key=lambda name: significance.against[name].p_value)
    hardest = significance.against[rival]
    critical = -float(stdtrit(sampling.freedom, significance.level))
    worth = significance.effective_samples
    rows = f"These {count(case.samples)} {case.part} samples"
    if worth < case.samples:
        rows += f", worth about {count(worth)} independent ones,"
    if hardest.standard_error > 0:
        least = case.scale * hardest.standard_error * critical
        yield f"{rows} can tell a lead of {least:.2g} {case.unit} over {rival} from chance, not less."
    else:
        yield f"On all {count(case.samples)} {case.part} samples it is as right or wrong as the {rival} baseline."


def _choice(case: VerdictInput, significance: Significance) -> str:
    level = f"the significance level is {100 * significance.level:g}%"
    if case.part == "test":
        return f"Nothing was chosen by these rows; {level}."
    return f"The best epoch was chosen on these same rows, which flatters it; {level}, which allows for that."
