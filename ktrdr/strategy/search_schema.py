"""The JSON Schema of searches: that of strategies, with ranges and the section `search`."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ktrdr.strategy.ranges import KINDS
from ktrdr.strategy.search_rules import FIXED
from ktrdr.strategy.search_spec import SearchSettings
from ktrdr.strategy.sections.indicators import INDICATOR_KINDS

_RANGE = {"$ref": "#/$defs/Range"}
_ABOUT = ("title", "description", "default")

JsonSchema = dict[str, Any]


def with_ranges(schema: JsonSchema) -> JsonSchema:
    """The schema of strategies, where a range may stand in place of each value that a search may vary."""
    definitions = schema["$defs"] | _definitions()
    for name in sorted(_sections(schema)):
        section = definitions[name]
        fixed = {str(place[1]) for place in FIXED if len(place) == 2 and place[0] == name.lower()}
        definitions[name] = section | {"properties": _ranged(section["properties"], fixed)}
    for kind in INDICATOR_KINDS.values():
        entry = definitions[kind.__name__]
        entry["properties"]["include"] = _RANGE
        if entry["additionalProperties"]:
            entry["additionalProperties"] = _with_range(entry["additionalProperties"])
    own = _ranged(schema["properties"], {str(place[0]) for place in FIXED if len(place) == 1})
    return schema | {"$defs": definitions, "properties": own | {"search": {"$ref": "#/$defs/SearchSettings"}}}


def _definitions() -> JsonSchema:
    models: list[type[BaseModel]] = [*KINDS.values(), SearchSettings]
    _, whole = models_json_schema([(model, "validation") for model in models])
    kinds = [{"$ref": f"#/$defs/{kind.__name__}"} for kind in KINDS.values()]
    definitions: JsonSchema = whole["$defs"]
    return definitions | {"Range": {"description": "Values among which a search chooses.", "anyOf": kinds}}


def _sections(schema: JsonSchema) -> set[str]:
    """The definitions of which a search may vary a key."""
    fixed = {name for key, value in schema["properties"].items() if (key,) in FIXED for name in _references(value)}
    return {name for name, section in schema["$defs"].items() if "properties" in section} - fixed


def _references(value: JsonSchema) -> list[str]:
    return re.findall(r"#/\$defs/(\w+)", json.dumps(value))


def _ranged(properties: JsonSchema, fixed: set[str]) -> JsonSchema:
    return {key: value if key in fixed else _with_range(value) for key, value in properties.items()}


def _with_range(value: JsonSchema) -> JsonSchema:
    about = {key: value[key] for key in _ABOUT if key in value}
    return about | {"anyOf": [*_alternatives(value), _RANGE]}


def _alternatives(value: JsonSchema) -> list[JsonSchema]:
    rest = {key: part for key, part in value.items() if key not in (*_ABOUT, "discriminator")}
    for key in ("anyOf", "oneOf"):
        if rest.keys() == {key}:
            return list(rest[key])
    return [rest]
