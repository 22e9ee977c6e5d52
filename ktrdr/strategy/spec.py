"""What a strategy is: one schema, parsed once, frozen ever after."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

Source = Literal["open", "high", "low", "close", "volume", "hl2", "hlc3", "ohlc4", "returns"]

Fraction = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """Base of every part: unknown keys and quiet conversions are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, serialize_by_alias=True)


class Network(Section):
    layers: int = Field(2, ge=1, le=16, description="Number of stacked layers.")
    hidden_size: int = Field(64, ge=1, le=4096, description="Units in each layer.")
    dropout: Fraction = Field(0.0, description="Share of activations dropped between layers while training.")
    sequence_length: int = Field(20, ge=1, le=2048, description="Bars in one window, the model's input.")


class LSTM(Network):
    type: Literal["lstm"]


class GRU(Network):
    type: Literal["gru"]


class MLP(Network):
    type: Literal["mlp"]


Model = Annotated[LSTM | GRU | MLP, Field(discriminator="type", description="The network that is trained.")]


class EarlyStopping(Section):
    patience: int = Field(ge=1, le=100_000, description="Epochs without improvement before the training stops.")
    min_delta: float = Field(0.0, ge=0, description="Smallest fall of the validation loss that counts.")


class Training(Section):
    epochs: int = Field(50, ge=1, le=100_000, description="Passes over the training part.")
    batch_size: int = Field(32, ge=1, le=65_536, description="Samples in one step of the optimizer.")
    validation_split: float = Field(
        0.2, ge=0.001, le=0.999, description="Share of the samples, the latest, kept to validate."
    )
    learning_rate: float = Field(1e-3, gt=0, le=10, description="Step size of the optimizer.")
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", description="How weights follow gradients.")
    weight_decay: float = Field(0.0, ge=0, le=10, description="Strength of the pull of weights towards zero.")
    seed: int = Field(42, ge=0, lt=2**32, description="The same seed and inputs give the same bits.")
    early_stopping: EarlyStopping | None = Field(None, description="When to stop before the last epoch.")
    class_weights: Literal["balanced", "none"] = Field("none", description="Whether rare classes weigh more.")
    threads: int = Field(1, ge=1, le=256, description="CPU threads; part of what makes a run repeatable.")
    gradient_clip: float | None = Field(None, gt=0, description="Largest norm of a step's gradient.")


INDICATOR_KEYS = ("name", "as", "source", "sources")


class Indicator(Section):
    """One TA-Lib function; in a document its parameters stand beside its name, not under a key of their own."""

    name: str = Field(min_length=1, max_length=32, description="A TA-Lib function, in any case.")
    as_: str | None = Field(
        None,
        alias="as",
        pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$",
        description="Name of the feature; by default made of the function and its parameters.",
    )
    source: Source | None = Field(None, description="What a function of one series reads; by default the close.")
    sources: tuple[Source, ...] | None = Field(
        None, strict=False, min_length=2, max_length=4, description="What a function of several free series reads."
    )
    parameters: dict[str, int | float] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _gather_parameters(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        own = {key: value for key, value in data.items() if key in INDICATOR_KEYS}
        return own | {"parameters": {key: value for key, value in data.items() if key not in INDICATOR_KEYS}}

    @model_serializer(mode="wrap")
    def _spread_parameters(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = handler(self)
        return {key: value for key, value in fields.items() if key != "parameters"} | self.parameters

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core_schema))
        schema["properties"].pop("parameters", None)
        schema["properties"]["period"] = {
            "type": "integer",
            "minimum": 1,
            "maximum": 100_000,
            "description": "Short for the function's `timeperiod`, in bars.",
        }
        schema["additionalProperties"] = {"type": "number", "description": "A parameter of the function."}
        return schema


class Labels(Section):
    """What the model learns to tell: the direction of the close `horizon` bars ahead."""

    type: Literal["direction"] = Field("direction", description="The direction of the move ahead.")
    horizon: int = Field(1, ge=1, le=10_000, description="Bars from a window's last bar to the close it is judged by.")
    threshold: float = Field(
        0.0, ge=0, lt=1, description="Relative move that counts; above 0 there is a third class, flat, between."
    )


class Features(Section):
    returns: bool = Field(True, description="Whether the log return of the close is a feature.")
    scaling: Literal["standard", "robust", "none"] = Field(
        "standard", description="How features are scaled, with statistics of the training part alone."
    )


class Strategy(Section):
    name: str = Field(min_length=1, max_length=128, description="What the strategy is called.")
    description: str = Field("", max_length=10_000, description="What it tries, in words.")
    model: Model
    training: Training = Field(default_factory=Training, description="How the network is trained.")
    indicators: tuple[Indicator, ...] = Field(
        (), strict=False, max_length=256, description="TA-Lib functions whose values are features."
    )
    labels: Labels = Field(default_factory=Labels, description="What the model learns to tell.")
    features: Features = Field(default_factory=Features, description="How features are made of bars.")
