"""Translates pydantic's errors: place, rule, value and nearest valid value."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ktrdr.errors import Fault, nearest
from ktrdr.payloads.trading_rules import Costs, Positions
from ktrdr.strategy.document import Document, Path, path_text
from ktrdr.strategy.search_spec import Halving, SearchSettings
from ktrdr.strategy.sections.base import SHIPPED, members_by_type
from ktrdr.strategy.sections.indicators import INDICATOR_KINDS
from ktrdr.strategy.sections.labels import ShippedLabels
from ktrdr.strategy.sections.model import ShippedModel
from ktrdr.strategy.sections.training import EarlyStopping, Schedule, Training
from ktrdr.strategy.sections.validation import Validation
from ktrdr.strategy.spec import Controls, Data, Features, Strategy
from ktrdr.timeframe import Timeframe

SECTIONS: dict[Path, type[BaseModel]] = {
    (): Strategy,
    ("training",): Training,
    ("training", "early_stopping"): EarlyStopping,
    ("features",): Features,
    ("data",): Data,
    ("positions",): Positions,
    ("costs",): Costs,
    ("controls",): Controls,
    ("search",): SearchSettings,
    ("search", "halving"): Halving,
}
UNIONS: dict[str, dict[str, type[BaseModel]]] = {
    "model": members_by_type(ShippedModel),
    "training.schedule": members_by_type(Schedule),
    "labels": members_by_type(ShippedLabels),
    "validation": members_by_type(Validation),
}

RULES = {
    "greater_than": "be greater than {gt:.15g}",
    "greater_than_equal": "be at least {ge:.15g}",
    "less_than": "be less than {lt:.15g}",
    "less_than_equal": "be at most {le:.15g}",
    "finite_number": "be a finite number",
    "int_type": "be a whole number",
    "float_type": "be a number",
    "string_type": "be text",
    "bool_type": "be true or false",
    "model_type": "be a mapping",
    "model_attributes_type": "be a mapping",
    "tuple_type": "be a list",
    "string_too_short": "have at least {min_length} characters",
    "string_too_long": "have at most {max_length} characters",
    "too_short": "have at least {min_length} entries",
    "too_long": "have at most {max_length} entries",
    "literal_error": "be {choices}",
    "enum": "be {choices}",
    "union_tag_invalid": "be {choices}",
}
PATTERNS = {
    "as": "begin with a letter and go on with letters, digits, - and _, at most 64",
    "table": "begin with a letter and go on with letters, digits, - and _, at most 64",
    "calendar": "be an exchange's code, such as XNYS, or 24/7",
}
EMBARGO = "be a count of bars or a share such as 1%"


def translated(error: ValidationError, document: Document) -> list[Fault]:
    """One fault for each invalid place."""
    faults: dict[Path, Fault] = {}
    for details in error.errors(include_url=False):
        if not _is_echo(details):
            path = _path(details)
            # A value that is neither an integer nor a real number fails twice; the second error has the rule.
            faults[path] = _fault(details, path, document)
    return list(faults.values())


def shown(value: Any) -> str:
    """A value for a message: short, with YAML's names."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict | list | tuple):
        return "a mapping" if isinstance(value, dict) else f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def plain(value: Any) -> Any:
    """A value for `Fault.value`, which must be valid JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    return value[:200] if isinstance(value, str) else shown(value)


def _is_echo(details: ErrorDetails) -> bool:
    """Whether an error follows from another: a list too short for its bad entries, a number that is also not text."""
    value, context = details["input"], details.get("ctx", {})
    if details["type"] == "too_short":
        return isinstance(value, list | tuple) and len(value) >= context["min_length"]
    return details["loc"][-2:] == ("embargo", "constrained-str") and type(value) is int


def _path(details: ErrorDetails) -> Path:
    """The place in the document, without the tags of unions and the group of an indicator's parameters."""
    location = _without_tag(details["loc"])
    if location[:1] == ("indicators",):
        location = (*location[:2], *location[3:])
        if location[2:3] == ("parameters",):
            location = (*location[:2], *location[3:4])
    if location[:1] == ("validation",) and location[1:2] == ("embargo",):
        location = location[:2]
    if (key := details.get("ctx", {}).get("key")) is not None:
        return (*location, *key) if isinstance(key, tuple) else (*location, key)
    return (*location, "type") if details["type"].startswith("union_tag") else location


def _without_tag(location: Path) -> Path:
    """Without what pydantic puts after the place of a union: the type of the member that failed, and what tells plugins
    from the shipped ones."""
    for end in range(1, len(location)):
        if path_text(location[:end]) in UNIONS:
            tags = 2 if location[end] == SHIPPED else 1
            return (*location[:end], *location[end + tags :])
    return location


def _fault(details: ErrorDetails, path: Path, document: Document) -> Fault:
    kind, value = details["type"], details["input"]
    line = document.line(path)
    if kind in ("missing", "union_tag_not_found"):
        return Fault(path_text(path), "is missing", line=line)
    if kind == "extra_forbidden":
        return Fault(
            path_text(path), _unknown(path, document.data), plain(value), _known_key(path, document.data), line
        )
    if "key" in details.get("ctx", {}):
        return _broken_agreement(details, path, line)
    if kind == "union_tag_invalid":
        value = value["type"]
    choices = _choices(details)
    suggestion = _suggestion(value, choices) if isinstance(value, str) else None
    if details["loc"][:1] == ("indicators",) and details["loc"][3:4] == ("parameters",):
        own, key = INDICATOR_KINDS[str(details["loc"][2])], str(path[-1])
        if others := [kind.key for kind in INDICATOR_KINDS.values() if key in kind.keys]:
            message = f"is a key of an entry with {others[0]}, and not of one with {own.key}"
            return Fault(path_text(path), message, plain(value), line=line)
        suggestion = nearest(key, own.keys)
    return Fault(
        path_text(path), f"must {_rule(details, path, choices)}; it is {shown(value)}", plain(value), suggestion, line
    )


def _suggestion(value: str, choices: Sequence[str]) -> str | None:
    return Timeframe.nearest(value) if list(choices) == list(Timeframe) else nearest(value, choices)


def _broken_agreement(details: ErrorDetails, path: Path, line: int | None) -> Fault:
    """A rule of the schema between several values. Its message may already contain the value."""
    section, rule = details["input"], details["msg"]
    value = section.get(path[-1]) if isinstance(section, dict) else None
    suffix = "" if value is None or "it is " in rule else f"; it is {shown(value)}"
    return Fault(path_text(path), f"must {rule}{suffix}", plain(value), line=line)


def _rule(details: ErrorDetails, path: Path, choices: list[str]) -> str:
    if path[-1:] == ("embargo",) and type(details["input"]) is not int:
        return EMBARGO
    if details["type"] == "string_pattern_mismatch" and path[-1] in PATTERNS:
        return PATTERNS[str(path[-1])]
    if (rule := RULES.get(details["type"])) is None:
        return f"be right, but {details['msg'].lower()}"
    named = f"one of {', '.join(choices)}" if len(choices) > 1 else "".join(choices)
    return rule.format(**{**details.get("ctx", {}), "choices": named})


def _choices(details: ErrorDetails) -> list[str]:
    context = details.get("ctx", {})
    return re.findall(r"'([^']*)'", str(context.get("expected", context.get("expected_tags", ""))))


# Unknown keys.


def _unknown(path: Path, data: Mapping[str, Any]) -> str:
    if len(path) == 1:
        return "is not a key of a strategy"
    place = path_text(path[:-1])
    if place not in UNIONS:
        return f"is not a key of {place}"
    members = UNIONS[place]
    having = [kind for kind, member in members.items() if path[-1] in member.model_fields]
    others = f", but of {', '.join(having)}" if having else ""
    return f"is not a key of {place} of type {_type(place, data)}{others}"


def _known_key(path: Path, data: Mapping[str, Any]) -> str | None:
    """The nearest key of the same section, or the path at which the key is valid."""
    parent, key = path[:-1], str(path[-1])
    if (place := path_text(parent)) in UNIONS:
        section: type[BaseModel] | None = UNIONS[place][_type(place, data)]
    else:
        section = SECTIONS.get(parent)
    if match := nearest(key, section.model_fields) if section else None:
        return match
    return next((path_text((*home, key)) for home in _homes(key) if home != parent), None)


def _type(place: str, data: Mapping[str, Any]) -> str:
    """The type of a union's member in the document; the only type with a default may be left out."""
    default = next((kind for kind, each in UNIONS[place].items() if not each.model_fields["type"].is_required()), "")
    section: Any = data
    for key in place.split("."):
        section = section.get(key, {})
    return str(section.get("type", default))


def _homes(key: str) -> Iterator[Path]:
    """The sections that have a key."""
    yield from (place for place, section in SECTIONS.items() if key in section.model_fields)
    for place, members in UNIONS.items():
        if any(key in member.model_fields for member in members.values()):
            yield tuple(place.split("."))
