"""How good a model is on rows that it was not trained on, beside the baselines that it must beat."""

from __future__ import annotations

from pydantic import Field

from ktrdr.payloads.payload import BarInstant, Payload
from ktrdr.payloads.selection import SelectionVerdict

OTHER = "other"
"""The part of rows that are in no part of a training."""

NAIVE = ("majority", "mean", "persistence")
"""Baselines that know nothing; a model must beat each of them that fits its labels."""


def adjective(part: str) -> str:
    """What samples of a part are called."""
    return "predicted" if part == OTHER else part


class ClassScores(Payload):
    """The scores of one predictor of classes."""

    accuracy: float = Field(description="Share of samples whose class was predicted.")
    balanced_accuracy: float = Field(description="Mean recall of the classes that occur.")
    mcc: float = Field(description="Matthews correlation coefficient, from -1 to 1.")
    log_loss: float | None = Field(description="Cross-entropy in nats; null for what gives no probabilities.")


class NumberScores(Payload):
    """The scores of one predictor of numbers."""

    mse: float = Field(description="Mean squared error, in variances of the training targets.")
    r2: float = Field(description="Coefficient of determination against the training mean.")
    ic: float | None = Field(description="Information coefficient (Pearson's); null for a constant prediction.")
    rank_ic: float | None = Field(description="The same of ranks (Spearman's); null for a constant prediction.")
    accuracy: float = Field(description="Share of samples whose sign was predicted.")


class CalibrationBin(Payload):
    """Samples of similar confidence."""

    confidence: float = Field(description="Mean probability of the predicted class.")
    accuracy: float = Field(description="Share of samples whose class was predicted.")
    samples: int = Field(description="Number of samples in the bin.")


class Calibration(Payload):
    """Whether probabilities mean what they say."""

    expected_error: float = Field(description="Expected calibration error, from 0 to 1.")
    error_by_chance: float = Field(
        description="The error that a perfectly calibrated model would show on as many samples."
    )
    bins: tuple[CalibrationBin, ...] = Field(description="Bins of equally many samples, by rising confidence.")


class Lead(Payload):
    """A paired, one-sided test that the model is better than one rival."""

    lead: float = Field(description="Mean gain over the rival: a share of samples, or training variances of error.")
    standard_error: float = Field(description="Standard error of the lead, in the same unit.")
    p_value: float = Field(description="Probability of such a lead by chance alone.")
    interval: tuple[float, float] | None = Field(
        None, description="The lead's interval of 95 % confidence; null in results of 0.1.0."
    )


class Difference(Payload):
    """A paired, two-sided test of two models on the same rows."""

    difference: float = Field(description="Mean gain of the first over the second, in the unit of a lead.")
    standard_error: float = Field(description="Standard error of the difference, in the same unit.")
    p_value: float = Field(description="Probability of so large a difference, either way, by chance alone.")
    interval: tuple[float, float] = Field(description="The difference's confidence interval.")


class Significance(Payload):
    """Whether the model's lead is more than chance."""

    beats_baselines: bool = Field(
        description="Whether the model beats each naive baseline, and times its predictions, at the significance level."
    )
    level: float = Field(description="Significance level of each test.")
    effective_samples: int = Field(
        description="Independent samples that would tell the accuracy as precisely as these, which overlap."
    )
    against: dict[str, Lead] = Field(description="The test against each rival, by its name.")
    timing: Lead | None = Field(
        None,
        description="The test that predictions agree with outcomes more than by chance (Pesaran and Timmermann): of "
        "classes the chance-corrected share of hits, of numbers the correlation, within each symbol; null in results "
        "of 0.1.0.",
    )

    @property
    def hardest_baseline(self) -> tuple[str, Lead]:
        """The naive baseline that the model has beaten least surely, by the measure that it is judged by."""
        naive = {name: self.against[name] for name in NAIVE if name in self.against}
        return max(naive.items(), key=lambda named: (named[1].p_value, -named[1].lead))


class GroupLead(Payload):
    """The model's lead on the samples of one symbol or of one year."""

    group: str = Field(description="The symbol, or the year.")
    samples: int = Field(description="Number of its samples.")
    accuracy: float = Field(description="Share of them whose class, or sign, was predicted.")
    lead: Lead = Field(description="The test on these samples alone.")


class Breakdown(Payload):
    """The lead over one baseline by symbol and by year. One significant group among many may be chance."""

    rival: str = Field(description="The naive baseline that is hardest to beat, by its p-value over all samples.")
    by_symbol: tuple[GroupLead, ...] = Field(description="A group for each symbol, in the order of the symbols.")
    by_year: tuple[GroupLead, ...] = Field(description="A group for each calendar year (UTC), in order.")


class PartEvaluation(Payload):
    """What evaluations of classes and of numbers have in common."""

    part: str = Field(description="The rows that were predicted: validation, test, or other bars.")
    samples: int = Field(alias="validation_samples", description="Number of samples, of the test part too.")
    first: BarInstant = Field(alias="from", description="Opening of the first sample's last bar.")
    last: BarInstant = Field(alias="to", description="Opening of the last sample's last bar.")
    accuracy: float = Field(description="Share of samples whose class, or sign, was predicted.")
    accuracy_interval: tuple[float, float] = Field(description="The accuracy's interval of 95 % confidence (Wilson).")
    class_names: tuple[str, ...] = Field(description="The classes in the order of the model's outputs; none: numbers.")
    significance: Significance = Field(description="Whether the lead over the baselines is more than chance.")
    breakdown: Breakdown | None = Field(None, description="The lead by symbol and by year; null in results of 0.1.0.")
    selection: SelectionVerdict | None = Field(
        None,
        description="The lead beside all tries at the same rows so far; null of trials, and in older results.",
    )
    verdict: str = Field(description="The evaluation in words.")

    @property
    def adjective(self) -> str:
        """What its samples are called."""
        return adjective(self.part)


class Classification(PartEvaluation):
    """An evaluation of predicted classes."""

    balanced_accuracy: float = Field(description="Mean recall of the classes that occur.")
    mcc: float = Field(description="Matthews correlation coefficient, from -1 to 1.")
    log_loss: float = Field(description="Cross-entropy in nats.")
    log_loss_lead: Lead | None = Field(
        None,
        description="The test that the probabilities are better than the training part's class shares, in nats of "
        "log-loss (Diebold and Mariano); null in results of 0.1.0.",
    )
    f1: dict[str, float] = Field(description="F1 score of each class.")
    confusion: tuple[tuple[int, ...], ...] = Field(
        description="`confusion[i][j]` counts samples of class i that were predicted as class j."
    )
    calibration: Calibration = Field(description="Whether the probabilities mean what they say.")
    baselines: dict[str, ClassScores] = Field(description="The rivals' scores on the same samples, by their names.")


class Regression(PartEvaluation):
    """An evaluation of predicted numbers."""

    mse: float = Field(description="Mean squared error, in variances of the training targets.")
    r2: float = Field(description="Coefficient of determination against the training mean.")
    ic: float | None = Field(description="Information coefficient (Pearson's); null for a constant prediction.")
    ic_t: float | None = Field(description="Its t-value, which allows for labels that overlap.")
    rank_ic: float | None = Field(description="The same of ranks (Spearman's); null for a constant prediction.")
    rank_ic_t: float | None = Field(description="Its t-value, which allows for labels that overlap.")
    baselines: dict[str, NumberScores] = Field(description="The rivals' scores on the same samples, by their names.")


Evaluation = Classification | Regression
