"""The section `indicators`: each kind of entries is told by a key of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import (
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from ktrdr.payloads.tables import NAME_PATTERN
from ktrdr.strategy.sections.base import FileHash, NamedTimeframe, Section
from ktrdr.timeframe import Timeframe

Source = Literal["open", "high", "low", "close", "volume", "hl2", "hlc3", "ohlc4", "returns"]

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
