"""The base of a strategy's sections, and those whose type may be a plugin."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue

from ktrdr.timeframe import Timeframe

NamedTimeframe = Annotated[Timeframe, Field(strict=False)]
"""As YAML and JSON have it, by its name."""

Fraction = Annotated[float, Field(ge=0, lt=1)]

SHIPPED, PLUGIN = "shipped", "plugin"


def members_by_type(union: Any) -> dict[str, type[BaseModel]]:
    """The members of a discriminated union by their types."""
    members = get_args(get_args(union)[0])
    return {get_args(member.model_fields["type"].annotation)[0]: member for member in members}


def shipped_or_plugin(shipped: Any) -> Discriminator:
    """Tells a type that is a plugin by a name that no shipped one has."""
    types = members_by_type(shipped)

    def tag(data: Any) -> str:
        named = data.get("type") if isinstance(data, dict) else getattr(data, "type", None)
        return PLUGIN if isinstance(named, str) and named not in types else SHIPPED

    return Discriminator(tag)


def only_shipped(schema: JsonSchemaValue) -> None:
    """Leave out the plugins, which no schema knows that is made without them."""
    schema.update(schema.pop("oneOf")[0])


def typed(default: str) -> BeforeValidator:
    """A section whose type may be left out."""

    def fill(data: Any) -> Any:
        return {"type": default, **data} if isinstance(data, dict) else data

    return BeforeValidator(fill)


class Section(BaseModel):
    """Base of all sections. Refuses unknown keys and implicit conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, serialize_by_alias=True)


class ModelSpec(Section):
    """Settings of all model families."""

    sequence_length: int = Field(20, ge=1, le=2048, description="Bars in one window, the model's input.")


class LabelSpec(Section):
    horizon: int = Field(1, ge=1, le=10_000, description="Bars from a window's last bar to the one that settles it.")


FileHash = Annotated[
    str | None,
    Field(description="SHA-256 of the plugin's file, written by ktrdr.", exclude_if=lambda sha256: sha256 is None),
]


class PluginSection(Section):
    """A section whose type is a plugin. In a document its parameters are keys of their own.

    sha256: of the plugin's file, which a strategy gets when it is loaded
    """

    type: str
    sha256: FileHash = None
    parameters: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def unchecked(cls, data: dict[str, Any]) -> PluginSection:
        """The section as a document has it, whatever the values are."""
        return cls.model_construct(**_gathered(cls, data))

    @model_validator(mode="before")
    @classmethod
    def _gather_parameters(cls, data: Any) -> Any:
        return _gathered(cls, data) if isinstance(data, dict) else data

    @model_serializer(mode="wrap")
    def _spread_parameters(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = handler(self)
        return {key: value for key, value in fields.items() if key != "parameters"} | self.parameters


def _gathered(section: type[PluginSection], data: dict[str, Any]) -> dict[str, Any]:
    """The keys of a section, and all others as its parameters."""
    own = {key: value for key, value in data.items() if key in section.model_fields}
    return own | {"parameters": {key: value for key, value in data.items() if key not in section.model_fields}}


class PluginModel(PluginSection, ModelSpec):
    """A network of one's own."""


class PluginLabel(PluginSection, LabelSpec):
    """A label of one's own. `classes` are those that its plugin declares, none in a regression."""

    classes: tuple[str, ...] | None = Field(
        None, strict=False, description="What the plugin declares, written by ktrdr."
    )
