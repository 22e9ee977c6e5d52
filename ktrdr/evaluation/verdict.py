"""An evaluation in words: what the model beats, what these rows can tell, and who has chosen by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ktrdr.evaluation.significance import Sampling, Significance

YARDSTICKS = {
    "logistic_regression": "a logistic regression on the last bar's features",
    "ridge_regression": "a ridge regression on the last bar's features",
}


@dataclass(frozen=True, slots=True)
class VerdictInput:
    """What is to be judged; `figures` tells the quality of the model and of its rivals, `control` is None without one.

    `unit` is how a lead is told: accuracies lead by percentage points, errors by shares of the training variance.
    """

    part: str
    samples: int
    naive: Sequence[str]
    yardstick: str
    figures: Mapping[str, str]
    unit: str
    scale: float
    control_beats: bool | None


def verdict(case: VerdictInput, significance: Significance, sampling: Sampling) -> str:
    return " ".join(
        [
            _against_baselines(case, significance),
            _against_yardstick(case, significance),
            *_control(case, significance),
            *_resolution(case, significance, sampling),
            _choice(case, significance),
        ]
    )


def _against_baselines(case: VerdictInput, significance: Significance) -> str:
    against = {name: significance["against"][name] for name in case.naive}
    rivals = " and ".join(f"{case.figures[name]} ({name})" for name in case.naive)
    figures = f"{case.figures['model']} against {rivals}"
    if significance["beats_baselines"]:
        return f"The model beats its baselines beyond chance: {figures}."
    if unbeaten := [name for name, lead in against.items() if lead["lead"] <= 0]:
        what = "its baselines" if len(unbeaten) == len(against) else f"the {unbeaten[0]} baseline"
        return f"The model does not beat {what}: {figures}."
    doubtful = {name: lead["p_value"] for name, lead in against.items() if lead["p_value"] >= significance["level"]}
    chances = " and ".join(f"{_chance(value)} against {name}" for name, value in doubtful.items())
    return f"The model is ahead of its baselines, {figures}, but that can be chance: p = {chances}."


def _against_yardstick(case: VerdictInput, significance: Significance) -> str:
    lead, name = significance["against"][case.yardstick], YARDSTICKS[case.yardstick]
    figure = case.figures[case.yardstick]
    if lead["p_value"] < significance["level"]:
        return f"It beats {name} too ({figure})."
    if lead["lead"] > 0:
        return f"Its lead over {name} ({figure}) can be chance: p = {_chance(lead['p_value'])}."
    return f"{name[0].upper()}{name[1:]} does as well or better ({figure})."


def _control(case: VerdictInput, significance: Significance) -> Iterator[str]:
    """A model that has learnt nothing can still lean the right way by luck, where the features tell much."""
    if case.control_beats and significance["against"]["shuffled_control"]["p_value"] >= significance["level"]:
        yield (
            f"But the same model trained on shuffled labels ({case.figures['shuffled_control']}) beats the baselines "
            "as well and is hardly worse: the lead need not come from what was learnt."
        )


def _resolution(case: VerdictInput, significance: Significance, sampling: Sampling) -> Iterator[str]:
    """The lead that a model needs on these rows, over the baseline that is hardest to beat."""
    from scipy.special import stdtrit

    rival = max(case.naive, key=lambda name: significance["against"][name]["p_value"])
    hardest = significance["against"][rival]
    critical = -float(stdtrit(sampling.freedom, significance["level"]))
    worth = significance["effective_samples"]
    rows = f"These {case.samples:,} {case.part} samples"
    if worth < case.samples:
        rows += f", worth about {worth:,} independent ones,"
    if hardest["standard_error"] > 0:
        least = case.scale * hardest["standard_error"] * critical
        yield f"{rows} can tell a lead of {least:.2g} {case.unit} over {rival} from chance, not less."
    else:
        yield f"On all {case.samples:,} {case.part} samples it is as right or wrong as the {rival} baseline."


def _choice(case: VerdictInput, significance: Significance) -> str:
    level = f"{100 * significance['level']:g}%"
    if case.part == "test":
        return f"Nothing was chosen by these rows; the test's level is {level}."
    return (
        f"The best epoch was chosen on these same rows, which flatters it; the test's level, {level}, allows for that."
    )


def _chance(value: float) -> str:
    if value < 0.001:
        return "less than 0.001"
    return f"{value:.2f}" if value >= 0.01 else f"{value:.3f}"
