"""Sections of a strategy whose type is a plugin, which is known once the plugins are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from ktrdr.errors import Fault, nearest
from ktrdr.payloads.plugins import PluginDeclaration, PluginFile, PluginKind, Plugins
from ktrdr.strategy.document import Document, path_text
from ktrdr.strategy.sections.base import (
    LabelSpec,
    ModelSpec,
    PluginLabel,
    PluginModel,
    PluginSection,
    Section,
    members_by_type,
)
from ktrdr.strategy.sections.labels import ShippedLabels
from ktrdr.strategy.sections.model import ShippedModel
from ktrdr.strategy.spec import Strategy
from ktrdr.strategy.validation_errors import plain, shown

_KINDS: dict[str, PluginKind] = {"model": "network", "labels": "label"}
_SHIPPED = {"model": members_by_type(ShippedModel), "labels": members_by_type(ShippedLabels)}
_SECTIONS: dict[str, type[PluginSection]] = {"model": PluginModel, "labels": PluginLabel}
_BASES: dict[str, type[Section]] = {"model": ModelSpec, "labels": LabelSpec}


class KnowsPlugins(Protocol):
    def plugins(self) -> Plugins: ...


def plugin_faults(document: Document, catalogue: KnowsPlugins) -> Iterator[Fault]:
    """What is wrong with sections whose type is no shipped one, beyond what the schema says of them."""
    for place, section in _SECTIONS.items():
        data = document.data.get(place)
        kind = data.get("type") if isinstance(data, dict) else None
        if isinstance(kind, str) and kind not in _SHIPPED[place]:
            for fault in _section_faults(section.unchecked(data), place, catalogue.plugins()):
                path = (place, fault.path)
                yield replace(fault, path=path_text(path), value=plain(fault.value), line=document.line(path))


def with_plugins(strategy: Strategy, catalogue: KnowsPlugins) -> Strategy:
    """The strategy with all parameters of its plugins and the hashes of their files; it must have no faults."""
    sections = {place: getattr(strategy, place) for place in _SECTIONS}
    own = {place: section for place, section in sections.items() if isinstance(section, PluginSection)}
    return strategy.model_copy(
        update={place: _resolved(section, place, catalogue.plugins()) for place, section in own.items()}
    )


def parameter_faults(declared: PluginDeclaration, parameters: Mapping[str, Any]) -> Iterator[Fault]:
    """What is wrong with a plugin's parameters; paths are their names."""
    known = {each.name: each for each in declared.parameters}
    for key, value in parameters.items():
        if (parameter := known.get(key)) is None:
            has = f"it has {', '.join(known)}" if known else "it has no parameters"
            yield Fault(key, f"is not a parameter of {declared.name}; {has}", value, nearest(key, known))
        elif rule := parameter.broken_rule(value):
            yield Fault(key, f"must {rule}; it is {shown(value)}", value)


def hash_faults(expected: str | None, file: PluginFile) -> Iterator[Fault]:
    """Whether a document asks for another content of a plugin's file."""
    if expected not in (None, file.sha256):
        yield Fault("sha256", f"must be {file.sha256}, the SHA-256 of {file.path}, or be left out", expected)


def unusable_files(plugins: Plugins) -> str:
    """What stands after an unknown name, because a file that cannot be used may declare it."""
    return "".join(f"; a plugin file cannot be used: {error}" for error in plugins.errors())


def _section_faults(section: PluginSection, place: str, plugins: Plugins) -> Iterator[Fault]:
    found = plugins.find(_KINDS[place], section.type)
    if found is None:
        known = [*_SHIPPED[place], *plugins.names(_KINDS[place])]
        message = f"must be one of {', '.join(known)}; it is {section.type!r}{unusable_files(plugins)}"
        yield Fault("type", message, section.type, nearest(section.type, known))
        return
    file, declared = found
    yield from parameter_faults(declared, section.parameters)
    yield from hash_faults(section.sha256, file)
    if isinstance(section, PluginLabel) and section.classes not in (None, declared.classes, list(declared.classes)):
        yield Fault("classes", f"must be what {declared.name} declares, {list(declared.classes)}, or be left out")


def _resolved(section: PluginSection, place: str, plugins: Plugins) -> PluginSection:
    found = plugins.find(_KINDS[place], section.type)
    assert found is not None
    file, declared = found
    own = {"classes": declared.classes} if isinstance(section, PluginLabel) else {}
    parameters = declared.resolved(section.parameters)
    return section.model_copy(update={"sha256": file.sha256, "parameters": parameters, **own})


# The JSON Schema.


def with_plugin_types(schema: dict[str, Any], plugins: Plugins) -> dict[str, Any]:
    """The JSON Schema of strategies, with the plugins that are labels and networks beside the shipped ones."""
    for place, kind in _KINDS.items():
        union = schema["properties"][place]
        for declared in plugins.declared(kind):
            definition = f"plugin_{kind}_{declared.name}"
            reference = f"#/$defs/{definition}"
            schema["$defs"][definition] = _section_schema(declared, place)
            union["oneOf"].append({"$ref": reference})
            union["discriminator"]["mapping"][declared.name] = reference
    if names := plugins.names("feature"):
        schema["$defs"]["PluginFeature"]["properties"]["plugin"]["enum"] = names
    return schema


def _section_schema(declared: PluginDeclaration, place: str) -> dict[str, Any]:
    own = {each.name: each.json_schema() for each in declared.parameters}
    written = ("sha256", *(("classes",) if place == "labels" else ()))
    kept: dict[str, Any] = {name: {"description": "Written by ktrdr."} for name in written}
    return {
        "title": declared.name,
        "description": declared.description,
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "type": {"const": declared.name, "type": "string"},
            **_BASES[place].model_json_schema()["properties"],
            **own,
            **kept,
        },
        "required": ["type"],
    }
