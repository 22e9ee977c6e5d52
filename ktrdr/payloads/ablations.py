"""What a model loses when it is trained without one of its indicators."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ktrdr.payloads.evaluation import Lead
from ktrdr.payloads.payload import BarInstant, Payload
from ktrdr.payloads.results import FileResults, Results


class TrainedWithout(Payload):
    """A training of the same strategy on the same bars with the same seed, but without one indicator."""

    name: str = Field(description="The indicator's declared name, or its place in the strategy; or `returns`.")
    indicator: str = Field(description="What it computes, such as rsi; or log_return.")
    operation_id: str = Field(description="The operation of the training.")
    val_loss: float | None = Field(None, description="Validation loss of its best epoch; null where it has no model.")
    lead: float | None = Field(None, description="Its lead over the hardest baseline on its own validation samples.")
    reason: str = Field("", description="Why it has no model.")


class ComparedWithout(TrainedWithout):
    """The same beside the model that has all indicators, on the validation samples that all of them share."""

    lost: Lead | None = Field(
        None,
        description="What the model loses without the indicator, and the paired test that it loses anything: in nats a "
        "sample, or in a regression in training variances of squared error.",
    )
    adjusted_p_value: float | None = Field(None, description="The p-value with all indicators counted (Holm).")
    accuracy_lost: float | None = Field(None, description="Share of samples that are predicted right no longer.")


class AblationResults(FileResults):
    """Results of an ablation."""

    kind: Literal["ablation"] = Field("ablation", description="The kind of results.")
    model: str = Field(description="Operation that trained the model with all indicators.")
    samples: int = Field(description="Number of validation samples that all trainings share.")
    first: BarInstant = Field(alias="from", description="Opening of the first sample's last bar.")
    last: BarInstant = Field(alias="to", description="Opening of the last sample's last bar.")
    measure: Literal["log_loss", "squared_error"] = Field(description="By what a loss is measured.")
    val_loss: float | None = Field(description="Validation loss of the model with all indicators.")
    lead: float | None = Field(description="Its lead over the hardest baseline on its validation samples.")
    indicators: tuple[ComparedWithout, ...] = Field(description="The greatest loss first; those without a model last.")
    verdict: str = Field(description="What the model does worse without, in words.")


class UnfinishedAblationResults(Results):
    """Results of an ablation that failed or was cancelled."""

    kind: Literal["unfinished_ablation"] = Field("unfinished_ablation", description="The kind of results.")
    indicators: tuple[TrainedWithout, ...] = Field(description="The trainings that had ended before that.")
