"""What comes of a trained model's use: predictions, and an export."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, JsonValue

from ktrdr.payloads.payload import BarInstant, Payload
from ktrdr.payloads.preflight import PartName
from ktrdr.payloads.results import FileResults, Results

_PROBABILITY = "probability_"


class PredictedBar(Payload):
    """What a model says at the close of one bar. Of classes, `probability_<class>` is the probability of each."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float | None]

    timestamp: BarInstant = Field(description="Opening of the bar.")
    close: float | None = Field(description="Its close.")
    predicted: str | float | None = Field(description="The predicted class, or a number in the label's unit.")
    part: PartName | None = Field(
        None, description="The part of the training that holds the bar, whose label the model or its author has seen."
    )

    def probability(self, class_name: str) -> float | None:
        """None where the model gives none."""
        return self.__pydantic_extra__.get(f"{_PROBABILITY}{class_name}")


class PredictedLabel(Payload):
    """What the model was trained to predict, as the strategy says; kinds of label add settings of their own."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    type: str = Field(description="Kind of the label.")
    horizon: int = Field(description="Bars from the predicted bar to the one that settles its label, at most.")


class PredictionResults(Results):
    """Results of a prediction."""

    kind: Literal["prediction"] = Field("prediction", description="The kind of results.")
    model: str = Field(description="Operation that trained the model.")
    symbol: str = Field(description="The symbol that was predicted.")
    timeframe: str = Field(description="The timeframe of its bars.")
    class_names: tuple[str, ...] = Field(description="The classes in the order of the model's outputs; none: numbers.")
    label: PredictedLabel = Field(description="What the model was trained to predict.")
    bars_changed: bool = Field(
        False, description="Whether the symbol's bars of the training's time are others than those it was trained on."
    )
    trained_on_symbol: bool = Field(description="Whether the model was trained on this symbol.")
    class_weights: tuple[float, ...] = Field(
        (),
        description="Weights of the classes in the loss of the training. The predicted class is the one with the "
        "largest probability times weight; the probabilities themselves are without weights.",
    )
    has_weighted_probabilities: bool = Field(
        False,
        description="Whether the probabilities still contain the class weights of the training, because the model is "
        "of an earlier version that did not keep them.",
    )
    sealed_bars: int = Field(
        0, description="Bars that are left out, because they lie in the time of the model's sealed test part."
    )
    predictions: tuple[PredictedBar, ...] = Field(description="The newest closed bars, oldest first.")


class ExportResults(FileResults):
    """Results of an export. The exported model was compared with the trained one before it was written."""

    kind: Literal["export"] = Field("export", description="The kind of results.")
    model: str = Field(description="Operation that trained the model.")
    format: str = Field(description="Format of the file.")
    compared_on: str = Field(description="The symbol on whose bars the two models were compared.")
    size_bytes: int = Field(description="Size of the file.")
    windows_compared: int = Field(description="Windows on which the two models were compared.")
    largest_difference: float = Field(description="Largest difference of an output, relative where that is above 1.")
    inputs: dict[str, str] = Field(description="The exported model's inputs: type, shape and meaning.")
    outputs: dict[str, str] = Field(description="The exported model's outputs: type, shape and meaning.")
