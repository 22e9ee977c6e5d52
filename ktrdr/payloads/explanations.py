"""Which features a trained model depends on."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ktrdr.payloads.evaluation import Lead
from ktrdr.payloads.payload import BarInstant, Payload
from ktrdr.payloads.results import FileResults


class FeatureGroup(Payload):
    """The features of one indicator, shuffled together."""

    name: str = Field(description="The indicator's declared name, or its place in the strategy; or `returns`.")
    indicator: str = Field(description="What it computes, such as rsi; or log_return.")
    features: tuple[str, ...] = Field(description="Its features.")
    importance: Lead = Field(
        description="What shuffling them costs, and the paired test that it costs anything: in nats a sample, or in a "
        "regression in training variances of squared error."
    )
    adjusted_p_value: float = Field(description="The p-value with all groups counted (Holm).")
    accuracy_lost: float = Field(description="Share of samples that are predicted right no longer.")
    gain: float | None = Field(
        None,
        description="Of trees the share of their splits' whole gain, the fall of the loss in training, that splits on "
        "these features have; null for networks.",
    )
    splits: int | None = Field(None, description="Of trees the number of splits on these features; null for networks.")


class ExplanationResults(FileResults):
    """Results of an explanation."""

    kind: Literal["explanation"] = Field("explanation", description="The kind of results.")
    model: str = Field(description="Operation that trained the model.")
    samples: int = Field(description="Number of validation samples.")
    first: BarInstant = Field(alias="from", description="Opening of the first sample's last bar.")
    last: BarInstant = Field(alias="to", description="Opening of the last sample's last bar.")
    measure: Literal["log_loss", "squared_error"] = Field(description="By what importance is measured.")
    repeats: int = Field(description="How often each group was shuffled; importance is the mean.")
    block: int = Field(description="Rows that stay together when features are shuffled.")
    groups: tuple[FeatureGroup, ...] = Field(description="The most important first.")
    verdict: str = Field(description="What the model depends on, in words.")
