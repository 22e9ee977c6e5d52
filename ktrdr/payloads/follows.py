"""The rows of a follow, which are written before their outcomes exist; what is sent of them; and what was verified.

Numbers that must be the same to the bit are hexadecimal floats, as `float.hex` writes them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from ktrdr.payloads.forward import ForwardTest
from ktrdr.payloads.payload import BarInstant, Payload
from ktrdr.payloads.predictions import PredictedLabel

Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Hex = Annotated[str, Field(max_length=32)]

GENESIS = 64 * "0"
"""What the first row has in place of the hash of the row before."""


class ModelRow(Payload):
    """From here on this model predicts."""

    kind: Literal["model"] = Field("model", description="The kind of row.")
    previous: Hash = Field(GENESIS, description="SHA-256 of the line before; zeros in the first.")
    model: str = Field(description="Operation that trained the model.")
    strategy_name: str = Field(description="The strategy, as a slug.")
    fingerprint: Hash = Field(description="SHA-256 of strategy, fold and bars of its training.")
    weights_sha256: Hash = Field(description="Of the file of its weights.")
    timeframe: str = Field(description="Of the bars at whose closes it predicts.")
    label: PredictedLabel = Field(description="What it predicts.")
    class_names: tuple[str, ...] = Field(description="The classes in the order of its outputs; none: numbers.")
    trained_until: BarInstant = Field(description="Opening of the last bar of its samples; it predicts later ones.")
    is_replay: bool = Field(False, description="Whether stored bars were replayed, which is no evidence.")
    written_at: datetime = Field(description="When the row was written.")


class ReadSeries(Payload):
    """The bars of one series, or the rows of one table, that a prediction read."""

    rows: int = Field(description="Their number; of bars from the first day of the training on.")
    last: datetime | None = Field(description="Opening of the last bar, or when the last row was known; null for none.")
    sha256: Hash = Field(description="Of their content.")


class PredictionRow(Payload):
    """What the model said at the close of one bar."""

    kind: Literal["prediction"] = Field("prediction", description="The kind of row.")
    previous: Hash = Field(GENESIS, description="SHA-256 of the line before.")
    signal_id: str = Field(description="Of model, symbol and closing instant: the same for the same bar.")
    fingerprint: Hash = Field(description="That of the model.")
    symbol: str = Field(description="The predicted symbol.")
    opens_at: BarInstant = Field(description="Timestamp of the bar, as it is stored.")
    closes_at: BarInstant = Field(description="When the bar had closed.")
    bar: tuple[Hex, ...] = Field(description="Its open, high, low, close and volume.")
    read: dict[str, ReadSeries] = Field(description="What it depends on, by series: `1d`, `SPY 1d`, `table macro`.")
    outputs: tuple[Hex, ...] = Field(description="The model's outputs: logits, or a number in training deviations.")
    predicted: str = Field(description="The predicted class, or a number in the label's unit.")
    probabilities: dict[str, Hex] = Field(description="Of each class; none of a number.")
    baselines: dict[str, str] = Field(
        description="What baselines that know nothing said: a class, or a number in training deviations."
    )
    written_at: datetime = Field(description="When the row was written.")
    late: bool = Field(description="Whether the next bar may have closed by then, so that the row is no evidence.")

    @property
    def close(self) -> float:
        return float.fromhex(self.bar[3])


Row = Annotated[ModelRow | PredictionRow, Field(discriminator="kind")]
ROW: TypeAdapter[ModelRow | PredictionRow] = TypeAdapter(Row)


class Signal(Payload):
    """A prediction as it is sent to who asked for it, at least once; the same id is the same signal."""

    id: str = Field(description="The signal's id.")
    model: str = Field(description="Operation that trained the model.")
    symbol: str = Field(description="The predicted symbol.")
    timeframe: str = Field(description="Of the bar.")
    closed_at: BarInstant = Field(description="When the bar had closed.")
    close: float = Field(description="Its close.")
    predicted: str | float = Field(description="The predicted class, or a number in the label's unit.")
    probabilities: dict[str, float] = Field(description="Of each class; none of a number.")
    written_at: datetime = Field(description="When the prediction was recorded.")
    row_sha256: Hash = Field(description="Hash of its row in the follow's file.")


class Delivery(Payload):
    """One line of the file of deliveries: a receiver has signal `signal_id`, or begins after it."""

    receiver: str = Field(description="Kind of the receiver and a hash of where it is.")
    event: Literal["begins", "delivered"] = Field(description="What the line says.")
    signal_id: str = Field(description="The signal; empty where a receiver begins with the first.")
    at: datetime = Field(description="When.")


RowFinding = Literal["revised", "differs", "missing"]


class RowReport(Payload):
    """A row that could not be confirmed."""

    row: int = Field(description="Line of the file, counted from 1.")
    symbol: str = Field(description="The predicted symbol.")
    closes_at: BarInstant = Field(description="When the bar had closed.")
    finding: RowFinding = Field(
        description="revised: bars are others now; differs: the bars are the same and the prediction is not; "
        "missing: it cannot be computed again."
    )
    detail: str = Field(description="Which bar was revised, or why it cannot be computed.")


class FollowVerification(Payload):
    """What the verification of a follow came to."""

    model: str = Field(description="Operation that trained the model.")
    rows: int = Field(description="Rows of the file.")
    predictions: int = Field(description="Predictions among them.")
    late: int = Field(description="Predictions that are no evidence, as the next bar may have closed before.")
    identical: int = Field(description="Predictions that were computed again to the same bits.")
    head: Hash = Field(description="SHA-256 of the last line: who keeps it can tell whether rows were removed.")
    findings: tuple[RowReport, ...] = Field(description="Rows that could not be confirmed.")

    @property
    def is_sound(self) -> bool:
        """Whether no prediction differs on the same bars."""
        return not any(each.finding == "differs" for each in self.findings)


class FollowedPrediction(Payload):
    """A prediction and its outcome."""

    symbol: str = Field(description="The predicted symbol.")
    closes_at: BarInstant = Field(description="When the bar had closed.")
    close: float = Field(description="Its close.")
    predicted: str | float = Field(description="The predicted class, or a number in the label's unit.")
    outcome: str | float | None = Field(None, description="The label in the same terms; null until it is settled.")
    settled_at: BarInstant | None = Field(None, description="When the outcome was known.")
    late: bool = Field(description="Whether it is no evidence.")


class FollowReport(Payload):
    """A follow as it stands."""

    model: str = Field(description="Operation that trained the model.")
    timeframe: str = Field(description="Of its bars.")
    is_replay: bool = Field(description="Whether stored bars were replayed, which is no evidence.")
    head: Hash = Field(description="SHA-256 of the last line.")
    predictions: tuple[FollowedPrediction, ...] = Field(description="In the order in which they were made.")
    test: ForwardTest = Field(description="The sequential test of those that were made in time.")
