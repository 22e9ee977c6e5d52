"""The schema of strategies: parsed once, immutable afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Self, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from ktrdr.payloads.plugins import PluginKind
from ktrdr.payloads.tables import NAME_PATTERN
from ktrdr.payloads.trading_rules import Costs, Positions
from ktrdr.strategy.section import FileHash, LabelSpec, ModelSpec, PluginLabel, PluginModel, Section
from ktrdr.timeframe import Timeframe

Source = Literal["open", "high", "low", "close", "volume", "hl2", "hlc3", "ohlc4", "returns"]

NamedTimeframe = Annotated[Timeframe, Field(strict=False)]
"""As YAML and JSON have it, by its name."""

BOOSTING_RATE = 0.05

Fraction = Annotated[float, Field(ge=0, lt=1)]


SHIPPED, PLUGIN = "shipped", "plugin"


def members_by_type(union: Any) -> dict[str, type[BaseModel]]:
    """The members of a discriminated union by their types."""
    members = get_args(get_args(union)[0])
    return {get_args(member.model_fields["type"].annotation)[0]: member for member in members}


def _shipped_or_plugin(shipped: Any) -> Discriminator:
    """Tells a type that is a plugin by a name that no shipped one has."""
    types = members_by_type(shipped)

    def tag(data: Any) -> str:
        named = data.get("type") if isinstance(data, dict) else getattr(data, "type", None)
        return PLUGIN if isinstance(named, str) and named not in types else SHIPPED

    return Discriminator(tag)


def _only_shipped(schema: JsonSchemaValue) -> None:
    """Leave out the plugins, which no schema knows that is made without them."""
    schema.update(schema.pop("oneOf")[0])


class Network(ModelSpec):
    layers: int = Field(2, ge=1, le=16, description="Number of stacked layers.")
    hidden_size: int = Field(64, ge=1, le=4096, description="Units in each layer.")
    dropout: Fraction = Field(0.0, description="Share of activations dropped between layers while training.")


class LSTM(Network):
    type: Literal["lstm"]


class GRU(Network):
    type: Literal["gru"]


class MLP(Network):
    type: Literal["mlp"]


class TCN(Network):
    """Dilated causal convolutions, the dilation doubling with each layer."""

    type: Literal["tcn"]
    kernel_size: int = Field(3, ge=2, le=64, description="Bars that one convolution sees.")


class Transformer(Network):
    """Self-attention that looks at a bar and those before it."""

    type: Literal["transformer"]
    heads: int = Field(4, ge=1, le=64, description="Attention heads; they divide hidden_size.")

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        if self.hidden_size % self.heads:
            raise PydanticCustomError(
                "heads",
                "divide hidden_size; it is {heads}, and hidden_size is {size}",
                {"heads": self.heads, "size": self.hidden_size, "key": "heads"},
            )
        return self


class GradientBoosting(ModelSpec):
    """Boosted trees over the window's values side by side; an epoch is one round."""

    type: Literal["gradient_boosting"]
    sequence_length: int = Field(1, ge=1, le=2048, description="Bars in one window; all their values are inputs.")
    leaves: int = Field(15, ge=2, le=4096, description="Most leaves of a tree.")
    min_leaf_samples: int = Field(20, ge=1, le=1_000_000, description="Fewest samples in a leaf.")
    feature_fraction: float = Field(1.0, gt=0, le=1, description="Share of the inputs that each tree may use.")
    l2: float = Field(0.0, ge=0, le=1e6, description="Strength of the pull of leaf values towards zero.")


ShippedModel = Annotated[LSTM | GRU | MLP | TCN | Transformer | GradientBoosting, Field(discriminator="type")]

Model = Annotated[
    Annotated[ShippedModel, Tag(SHIPPED)] | Annotated[PluginModel, Tag(PLUGIN)],
    _shipped_or_plugin(ShippedModel),
    Field(description="The model that is trained.", json_schema_extra=_only_shipped),
]


class EarlyStopping(Section):
    patience: int = Field(ge=1, le=100_000, description="Epochs without improvement before the training stops.")
    min_delta: float = Field(0.0, ge=0, description="Smallest fall of the validation loss that counts.")


class RateByStep(Section):
    """Settings of schedules that follow the steps of the optimizer, over all of `training.epochs`."""

    warmup_ratio: float
    final_factor: float = Field(0.0, ge=0, le=1, description="Rate of the last step, as a share of learning_rate.")


class Cosine(RateByStep):
    """A linear rise to learning_rate, then half a cosine down."""

    type: Literal["cosine"]
    warmup_ratio: Fraction = Field(0.0, description="Share of all steps in which the rate rises.")


class OneCycle(RateByStep):
    """Half a cosine from a low rate up to learning_rate, then half a cosine down."""

    type: Literal["one_cycle"]
    warmup_ratio: Fraction = Field(0.3, description="Share of all steps in which the rate rises.")
    initial_factor: float = Field(0.04, gt=0, le=1, description="Rate of the first step, as a share of learning_rate.")


class Plateau(Section):
    """A lower rate whenever the validation loss has stopped falling."""

    type: Literal["plateau"]
    patience: int = Field(5, ge=1, le=100_000, description="Epochs without improvement before the rate falls.")
    factor: float = Field(0.5, gt=0, lt=1, description="What the rate is multiplied by then.")
    min_delta: float = Field(0.0, ge=0, description="Smallest fall of the validation loss that counts.")
    min_factor: Fraction = Field(0.0, description="Lowest rate, as a share of learning_rate.")


Schedule = Annotated[Cosine | OneCycle | Plateau, Field(discriminator="type")]


class Training(Section):
    epochs: int = Field(50, ge=1, le=100_000, description="Passes over the training part.")
    batch_size: int = Field(32, ge=1, le=65_536, description="Samples in one step of the optimizer.")
    validation_split: float = Field(
        0.2, ge=0.001, le=0.999, description="Share of the samples, the latest, kept to validate."
    )
    learning_rate: float = Field(
        1e-3, gt=0, le=10, description="Step size of the optimizer; of gradient_boosting 0.05 by default."
    )
    # Left out of documents where it is null, so that strategies from before it was there keep their fingerprints.
    schedule: Schedule | None = Field(
        None,
        exclude_if=lambda schedule: schedule is None,
        description="How the learning rate changes; null: not at all.",
    )
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", description="How weights follow gradients.")
    weight_decay: float = Field(0.0, ge=0, le=10, description="Strength of the pull of weights towards zero.")
    seed: int = Field(42, ge=0, lt=2**32, description="The same seed and inputs give the same bits.")
    early_stopping: EarlyStopping | None = Field(None, description="When to stop before the last epoch.")
    class_weights: Literal["balanced", "none"] = Field("none", description="Whether rare classes weigh more.")
    threads: int = Field(1, ge=1, le=256, description="CPU threads; part of what makes a run repeatable.")
    gradient_clip: float | None = Field(None, gt=0, description="Largest norm of a step's gradient.")
    sample_weights: Literal["uniqueness", "none"] = Field(
        "none", description="Whether samples whose labels overlap others' in time weigh less."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="auto: a CUDA GPU where there is one.")


NamedAs = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]

OnTimeframe = Annotated[
    NamedTimeframe | None,
    Field(description="The bars it is computed on; by default those of every timeframe of the strategy."),
]


OnSymbol = Annotated[
    Annotated[str, Field(min_length=1, max_length=64)] | None,
    Field(description="Whose bars it is computed on; by default those of the symbol that is predicted."),
]


class IndicatorEntry(Section):
    """The base of all kinds of entries of `indicators`. Keys that are not a kind's own are its parameters.

    key: the key that tells the kind, whose value says what is computed
    required: the keys that it needs
    keys: all of the kind's own
    """

    key: ClassVar[str]
    required: ClassVar[tuple[str, ...]]
    keys: ClassVar[tuple[str, ...]]

    if TYPE_CHECKING:  # each kind declares them among its own keys, in its own order
        parameters: dict[str, int | float]

        @property
        def as_(self) -> str | None: ...

        @property
        def timeframe(self) -> Timeframe | None: ...

        @property
        def symbol(self) -> str | None: ...

    def timeframes_in(self, timeframes: Sequence[Timeframe]) -> tuple[Timeframe, ...]:
        """The bars that it is computed on in a strategy of these timeframes; those of another symbol may be others."""
        if self.timeframe is None:
            return tuple(timeframes)
        return (self.timeframe,) if self.symbol or self.timeframe in timeframes else ()

    @model_validator(mode="before")
    @classmethod
    def _gather_parameters(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        own = {key: value for key, value in data.items() if key in cls.keys}
        return own | {"parameters": {key: value for key, value in data.items() if key not in cls.keys}}

    @model_serializer(mode="wrap")
    def _spread_parameters(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """An entry about the own symbol has no key `symbol`, so that its strategy has the hash that it always had."""
        hidden = {"parameters"} if self.symbol else {"parameters", "symbol"}
        return {key: value for key, value in handler(self).items() if key not in hidden} | self.parameters

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core_schema))
        schema.get("properties", {}).pop("parameters", None)
        return schema

    @property
    def formula(self) -> str:
        """What it computes, as the strategy writes it."""
        return f"{getattr(self, self.key)} of {self.symbol}" if self.symbol else str(getattr(self, self.key))


class Indicator(IndicatorEntry):
    """One TA-Lib function. In a document its parameters are keys next to its name, without a key of their own."""

    key: ClassVar[str] = "name"
    required: ClassVar[tuple[str, ...]] = ("name",)
    keys: ClassVar[tuple[str, ...]] = ("name", "as", "source", "sources", "timeframe", "symbol")

    name: str = Field(min_length=1, max_length=32, description="A TA-Lib function, in any case.")
    as_: NamedAs | None = Field(
        None, alias="as", description="Name of the feature; by default made of the function and its parameters."
    )
    source: Source | None = Field(None, description="What a function of one series reads; by default the close.")
    sources: tuple[Source, ...] | None = Field(
        None, strict=False, min_length=2, max_length=4, description="What a function of several free series reads."
    )
    timeframe: OnTimeframe = None
    symbol: OnSymbol = None
    parameters: dict[str, int | float] = Field(default_factory=dict)

    def __hash__(self) -> int:
        own = (self.name, self.as_, self.source, self.sources, self.timeframe, self.symbol)
        return hash((*own, *sorted(self.parameters.items())))

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        schema["properties"]["period"] = {
            "type": "integer",
            "minimum": 1,
            "maximum": 100_000,
            "description": "Short for the function's `timeperiod`, in bars.",
        }
        schema["additionalProperties"] = {"type": "number", "description": "A parameter of the function."}
        return schema


class Expression(IndicatorEntry):
    """A formula over series of the bars. Numbers that it names are keys next to it."""

    key: ClassVar[str] = "expr"
    required: ClassVar[tuple[str, ...]] = ("expr", "as")
    keys: ClassVar[tuple[str, ...]] = ("expr", "as", "timeframe", "symbol")

    expr: str = Field(min_length=1, max_length=1000, description="The formula, as close / ema(close, 20) - 1.")
    as_: NamedAs = Field(alias="as", description="Name of the feature.")
    timeframe: OnTimeframe = None
    symbol: OnSymbol = None
    parameters: dict[str, int | float] = Field(default_factory=dict)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        schema["additionalProperties"] = {"type": "number", "description": "A number that the formula names."}
        return schema


class TableColumn(IndicatorEntry):
    """A column of a stored table, joined by when its values were known."""

    key: ClassVar[str] = "table"
    required: ClassVar[tuple[str, ...]] = ("table", "column")
    keys: ClassVar[tuple[str, ...]] = ("table", "column", "as", "value")

    table: str = Field(pattern=NAME_PATTERN, description="A table that `ktrdr data import-table` has stored.")
    column: str = Field(min_length=1, max_length=64, description="A column of numbers in it.")
    as_: NamedAs | None = Field(
        None, alias="as", description="Name of the feature; by default made of the table and the column."
    )
    value: Literal["level", "change", "age"] = Field(
        "level",
        description="The value of the newest period that is known, its change since the period before, or for how many "
        "days it has been known.",
    )
    parameters: dict[str, int | float] = Field(default_factory=dict)

    @property
    def timeframe(self) -> None:
        return None

    @property
    def symbol(self) -> None:
        return None

    def timeframes_in(self, timeframes: Sequence[Timeframe]) -> tuple[Timeframe, ...]:
        """None, for it is not computed on bars."""
        return ()

    @property
    def formula(self) -> str:
        return ".".join([self.table, self.column, *([self.value] if self.value != "level" else [])])

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return super().__get_pydantic_json_schema__(core_schema, handler) | {"additionalProperties": False}


class PluginFeature(IndicatorEntry):
    """A feature of one's own. Parameters of its function are keys next to its name."""

    key: ClassVar[str] = "plugin"
    required: ClassVar[tuple[str, ...]] = ("plugin",)
    keys: ClassVar[tuple[str, ...]] = ("plugin", "as", "timeframe", "symbol", "sha256")

    plugin: str = Field(min_length=1, max_length=32, description="A feature that `ktrdr plugins list` shows.")
    as_: NamedAs | None = Field(
        None, alias="as", description="Name of the feature; by default made of the plugin and its parameters."
    )
    timeframe: OnTimeframe = None
    symbol: OnSymbol = None
    sha256: FileHash = None
    parameters: dict[str, int | float] = Field(default_factory=dict)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        schema["additionalProperties"] = {"type": "number", "description": "A parameter of the plugin."}
        return schema


INDICATOR_KINDS: dict[str, type[IndicatorEntry]] = {
    kind.key: kind for kind in (Expression, TableColumn, PluginFeature, Indicator)
}
"""The kinds of entries by the keys that tell them; the last one is what an entry without any is taken for."""


def indicator_kind(entry: Any) -> str:
    """The key of `INDICATOR_KINDS` that tells the kind of an entry, parsed or not."""
    if isinstance(entry, IndicatorEntry):
        return entry.key
    return next((key for key in INDICATOR_KINDS if isinstance(entry, dict) and key in entry), Indicator.key)


AnyIndicator = Annotated[
    Annotated[Expression, Tag(Expression.key)]
    | Annotated[TableColumn, Tag(TableColumn.key)]
    | Annotated[PluginFeature, Tag(PluginFeature.key)]
    | Annotated[Indicator, Tag(Indicator.key)],
    Discriminator(indicator_kind),
]


class Direction(LabelSpec):
    """Whether the close `horizon` bars ahead is higher or lower."""

    type: Literal["direction"] = Field("direction", description="The direction of the move ahead.")
    threshold: float = Field(
        0.0, ge=0, lt=1, description="Relative move that counts; above 0 there is a third class, flat, between."
    )
    quantiles: Annotated[tuple[float, ...], Field(min_length=1, max_length=2)] | None = Field(
        None,
        strict=False,
        description="In place of a threshold: cut the moves of the training part at these shares, as [0.33, 0.67].",
    )

    @model_validator(mode="after")
    def _check_quantiles(self) -> Self:
        cuts = self.quantiles
        if cuts is not None and not (all(0 < cut < 1 for cut in cuts) and list(cuts) == sorted(set(cuts))):
            raise PydanticCustomError("quantiles", "rise and lie between 0 and 1", {"key": "quantiles"})
        if cuts is not None and self.threshold:
            raise PydanticCustomError(
                "quantiles",
                "be absent where there is a threshold, or the threshold where there are quantiles",
                {"key": "quantiles"},
            )
        return self


class ForwardReturn(LabelSpec):
    """The log return of the next `horizon` bars, a number: the training is a regression."""

    type: Literal["forward_return"]


class TripleBarrier(LabelSpec):
    """The barrier that the close touches first: upper, lower, or the end of `horizon` bars (López de Prado, ch. 3)."""

    type: Literal["triple_barrier"]
    horizon: int = Field(10, ge=1, le=10_000, description="Bars after which the label is flat.")
    volatility_span: int = Field(20, ge=2, le=100_000, description="Span of the moving deviation of log returns.")
    upper: float = Field(2.0, gt=0, le=1000, description="Distance of the upper barrier, in deviations.")
    lower: float = Field(2.0, gt=0, le=1000, description="Distance of the lower barrier, in deviations.")


class Trend(LabelSpec):
    """The t-value of a line fitted to the log closes of a bar and the `horizon` bars after it."""

    type: Literal["trend"]
    horizon: int = Field(10, ge=2, le=10_000, description="Bars ahead that the line is fitted to.")
    t_value: float = Field(2.0, ge=0, le=1e6, description="Above it lies a trend; 0 leaves two classes, down and up.")


def _typed(default: str) -> BeforeValidator:
    """A section whose type may be left out."""

    def fill(data: Any) -> Any:
        return {"type": default, **data} if isinstance(data, dict) else data

    return BeforeValidator(fill)


ShippedLabels = Annotated[Direction | ForwardReturn | TripleBarrier | Trend, Field(discriminator="type")]

Labels = Annotated[
    Annotated[
        Annotated[ShippedLabels, Tag(SHIPPED)] | Annotated[PluginLabel, Tag(PLUGIN)],
        _shipped_or_plugin(ShippedLabels),
        Field(json_schema_extra=_only_shipped),
    ],
    _typed("direction"),
]

Embargo = Annotated[int, Field(ge=0, le=1_000_000)] | Annotated[str, Field(pattern=r"^\d{1,2}(\.\d{1,6})?%$")]


class ValidationSpec(Section):
    embargo: Embargo = Field(
        0, description="Bars, or a share of them as 1%, left out at every border, beyond what labels reach over."
    )
    test: float = Field(0.0, ge=0, lt=0.9, description="Share of the samples, the latest, that is never chosen by.")


class Holdout(ValidationSpec):
    """One border: training before, validation (training.validation_split) after."""

    type: Literal["holdout"] = "holdout"


class WalkForward(ValidationSpec):
    """One model for each fold, trained on the samples before it. Folds follow each other in time."""

    type: Literal["walk_forward"]
    folds: int = Field(5, ge=2, le=50, description="Parts of the time after the first training part.")
    initial: float = Field(0.5, gt=0, lt=1, description="Share of the samples before the first fold.")
    window: Literal["expanding", "rolling"] = Field(
        "expanding", description="Whether a fold trains on all that was before, or on as much as the first."
    )


class PurgedKFold(ValidationSpec):
    """One model for each fold, trained on the samples before and after it (López de Prado, ch. 7)."""

    type: Literal["purged_kfold"]
    folds: int = Field(5, ge=2, le=50, description="Parts of the time, each validated once.")
    embargo: Embargo = Field("1%", description="Bars, or a share of them, left out after a validation part.")


Validation = Annotated[Annotated[Holdout | WalkForward | PurgedKFold, Field(discriminator="type")], _typed("holdout")]


class Controls(Section):
    """Control models, which show what the training procedure reaches without information."""

    shuffled_labels: Literal["brief", "full", "none"] = Field(
        "brief", description="The same model on shuffled labels: a tenth of the epochs, all of them, or not at all."
    )


class Data(Section):
    """Requirements that bars must meet before a training; absent limits are not checked."""

    min_coverage: float | None = Field(
        None, ge=0, le=1, description="Least share of the bars expected by the calendar that must be there, as 0.99."
    )
    max_gap: int | None = Field(
        None, ge=0, le=1_000_000, description="Most expected bars in a row that may be missing."
    )
    holes: Literal["cut", "bridge"] = Field(
        "cut", description="Whether features, labels and returns stop at a hole in the bars, or bridge it."
    )


class Features(Section):
    returns: bool = Field(True, description="Whether the log return of the close is a feature.")
    scaling: Literal["standard", "robust", "none"] = Field(
        "standard", description="How features are scaled, with statistics of the training part alone."
    )


class PluginUse(NamedTuple):
    """A plugin that a strategy uses, and the SHA-256 of its file, which a loaded strategy has."""

    kind: PluginKind
    name: str
    sha256: str | None


class Strategy(Section):
    name: str = Field(min_length=1, max_length=128, description="What the strategy is called.")
    description: str = Field("", max_length=10_000, description="What it tries, in words.")
    timeframes: tuple[NamedTimeframe, ...] = Field(
        (),
        strict=False,
        max_length=8,
        description="Of the bars, shortest first: samples end on those of the first; by default what is asked for.",
    )
    calendar: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9/_]{1,32}$",
        description="Exchange whose sessions say when a bar has closed and which are missing, as XNYS; by default the "
        "symbol's named one, or else a bar's full length, and a guess of what is missing.",
    )
    data: Data = Field(default_factory=Data, description="What bars it will do with.")
    model: Model
    training: Training = Field(default_factory=Training, description="How the model is trained.")
    validation: Validation = Field(default_factory=Holdout, description="On what it is judged.")
    indicators: tuple[AnyIndicator, ...] = Field(
        (),
        strict=False,
        max_length=256,
        description="TA-Lib functions, formulas and tables that features are made of.",
    )
    labels: Labels = Field(default_factory=Direction, description="What the model learns to tell.")
    features: Features = Field(default_factory=Features, description="How features are made of bars.")
    positions: Positions = Field(
        default_factory=Positions,
        exclude_if=lambda positions: positions == Positions(),
        description="How predictions become positions.",
    )
    costs: Costs = Field(default_factory=Costs, description="What trading on the predictions would cost.")
    controls: Controls = Field(default_factory=Controls, description="What is trained for comparison.")

    @model_validator(mode="before")
    @classmethod
    def _suit_learning_rate(cls, data: Any) -> Any:
        """A round of boosting takes larger steps than a batch: the usual default is another."""
        if not isinstance(data, dict) or not isinstance(model := data.get("model"), dict):
            return data
        training = data.get("training", {})
        if model.get("type") != "gradient_boosting" or not isinstance(training, dict) or "learning_rate" in training:
            return data
        return data | {"training": {"learning_rate": BOOSTING_RATE, **training}}

    @model_validator(mode="after")
    def _check_timeframes(self) -> Self:
        if list(self.timeframes) != sorted(set(self.timeframes), key=lambda each: each.length):
            raise PydanticCustomError("timeframes", "name each once, shortest first", {"key": "timeframes"})
        return self

    @model_validator(mode="after")
    def _check_schedule(self) -> Self:
        if self.training.schedule is not None and self.model.type == "gradient_boosting":
            raise PydanticCustomError(
                "schedule",
                "be absent with model.type gradient_boosting, whose rounds all have the same learning_rate",
                {"key": ("training", "schedule")},
            )
        return self

    @property
    def is_regression(self) -> bool:
        if isinstance(self.labels, PluginLabel):
            return not self.labels.classes
        return self.labels.type == "forward_return"

    @property
    def plugins(self) -> tuple[PluginUse, ...]:
        """What it uses of plugins."""
        uses = [
            PluginUse("feature", each.plugin, each.sha256)
            for each in self.indicators
            if isinstance(each, PluginFeature)
        ]
        if isinstance(self.labels, PluginLabel):
            uses.append(PluginUse("label", self.labels.type, self.labels.sha256))
        if isinstance(self.model, PluginModel):
            uses.append(PluginUse("network", self.model.type, self.model.sha256))
        return tuple(dict.fromkeys(uses))

    @property
    def table_columns(self) -> tuple[TableColumn, ...]:
        return tuple(each for each in self.indicators if isinstance(each, TableColumn))

    @property
    def slug(self) -> str:
        """The name in lower case with underscores, as files and lists show it."""
        return re.sub(r"[^a-z0-9]+", "_", self.name.lower()).strip("_") or "strategy"

    def on(self, timeframes: Iterable[str]) -> Strategy:
        """The same strategy on these timeframes, shortest first."""
        return self.model_copy(update={"timeframes": tuple(map(Timeframe, timeframes))})
