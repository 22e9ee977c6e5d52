"""How trained models compare: what went into them, and how they predicted the same rows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from ktrdr.payloads.evaluation import Difference
from ktrdr.payloads.payload import BarInstant, Payload


class InputDifference(Payload):
    """One input in which models differ."""

    name: str = Field(description="The setting's path in the strategy, or what else went in.")
    values: tuple[JsonValue, ...] = Field(description="Its value in each model; null where a model has none.")


class PairedTest(Payload):
    """Two models on the same rows."""

    first: str = Field(description="Operation of the model with the better score.")
    second: str = Field(description="Operation of the other.")
    test: Difference = Field(description="The difference of their scores, in favour of the first.")


class RowsComparison(Payload):
    """Models on the rows that all of them have predicted, by the measure that they are judged by."""

    part: Literal["validation", "test"] = Field(
        description="The part of these rows: test where all models have opened it on the same rows."
    )
    measure: Literal["accuracy", "mse"] = Field(
        description="Share of right classes; or mean squared error in variances of the labels, of which less is better."
    )
    samples: int = Field(description="Number of rows.")
    unlike: int = Field(description="Rows that are left out, because the models' labels differ there.")
    first: BarInstant = Field(alias="from", description="Opening of the first row's last bar.")
    last: BarInstant = Field(alias="to", description="Opening of the last row's last bar.")
    scores: tuple[float, ...] = Field(description="Each model's measure on these rows.")
    level: float = Field(description="Significance level of each test: that of the part, shared among all pairs.")
    tests: tuple[PairedTest, ...] = Field(description="The best model against each other one.")


class Comparison(Payload):
    """Two or more models side by side."""

    models: tuple[str, ...] = Field(description="Their operations, in the order of all values.")
    inputs: tuple[InputDifference, ...] = Field(description="What went into them differently; nothing that is equal.")
    rows: RowsComparison | None = Field(description="The test on the same rows; null where they have none.")
    winner: str | None = Field(description="The model that is ahead of all others beyond chance, if there is one.")
    verdict: str = Field(description="Who is ahead, or why that cannot be said.")
