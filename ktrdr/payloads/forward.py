"""What predictions that were made before their outcomes have come to."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from ktrdr.payloads.payload import Payload

USUAL = "usual_prediction"
"""The rival that always says what the model itself has said most often so far."""


class ForwardGain(Payload):
    """The model beside one rival that knows nothing."""

    lead: float = Field(description="Mean gain: a share of the predictions, or training variances of squared error.")
    e_value: float = Field(description="Wealth of one who began with 1 and bet on the gain; without one it stays near.")
    highest: float = Field(description="The highest it has been.")


class ForwardTest(Payload):
    """The sequential test of predictions that were made before their outcomes; it may be looked at at any time."""

    predictions: int = Field(description="Predictions that were made in time.")
    settled: int = Field(description="Those whose outcome is known.")
    accuracy: float | None = Field(description="Share of the settled ones whose class, or sign, was right.")
    against: dict[str, ForwardGain] = Field(description="By the rival's name; empty while nothing is settled.")
    e_value: float = Field(1.0, description="The least of them now.")
    highest: float = Field(1.0, description="The highest that the least of them has been.")
    enough: float = Field(description="The e-value at which a lead is claimed; without one, 5 % of models reach it.")
    claimed_at: datetime | None = Field(None, description="When it was reached first; null where it never was.")
    is_regression: bool = Field(False, description="Whether the model predicts numbers.")

    @property
    def hardest(self) -> str | None:
        """The rival with the least e-value."""
        return min(self.against, key=lambda name: self.against[name].e_value, default=None)
