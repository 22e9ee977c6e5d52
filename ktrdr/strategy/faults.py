"""pydantic's errors in this project's words: the place, the rule, the value and the nearest right one."""

from __future__ import annotations

import math
import re
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ktrdr.errors import Fault, nearest
from ktrdr.strategy.document import Document, Path, path_text
from ktrdr.strategy.spec import GRU, INDICATOR_KEYS, LSTM, MLP, EarlyStopping, Features, Labels, Strategy, Training

MODELS: dict[str, type[BaseModel]] = {"lstm": LSTM, "gru": GRU, "mlp": MLP}
SECTIONS: dict[Path, type[BaseModel]] = {
    (): Strategy,
    ("training",): Training,
    ("training", "early_stopping"): EarlyStopping,
    ("labels",): Labels,
    ("features",): Features,
}

RULES = {
    "greater_than": "be greater than {gt:.15g}",
    "greater_than_equal": "be at least {ge:.15g}",
    "less_than": "be less than {lt:.15g}",
    "less_than_equal": "be at most {le:.15g}",
    "finite_number": "be a finite number",
    "int_type": "be a whole number",
    "int_from_float": "be a whole number",
    "float_type": "be a number",
    "string_type": "be text",
    "bool_type": "be true or false",
    "dict_type": "be a mapping",
    "model_type": "be a mapping",
    "model_attributes_type": "be a mapping",
    "tuple_type": "be a list",
    "string_too_short": "have at least {min_length} characters",
    "string_too_long": "have at most {max_length} characters",
    "too_short": "have at least {min_length} entries",
    "too_long": "have at most {max_length} entries",
    "string_pattern_mismatch": "begin with a letter and go on with letters, digits, - and _, at most 64",
    "literal_error": "be {choices}",
    "union_tag_invalid": "be {choices}",
}


def translated(error: ValidationError, document: Document) -> list[Fault]:
    """One fault for each place that is wrong."""
    faults: dict[Path, Fault] = {}
    for details in error.errors(include_url=False):
        path = _path(details)
        # A number that is neither whole nor real fails twice; the second says what would be right.
        faults[path] = _fault(details, path, document)
    return list(faults.values())


def shown(value: Any) -> str:
    """A value as a message shows it: short, and in YAML's words."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict | list | tuple):
        return "a mapping" if isinstance(value, dict) else f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def plain(value: Any) -> Any:
    """A value as a fault carries it, which JSON must be able to hold."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    return value[:200] if isinstance(value, str) else shown(value)


def _path(details: ErrorDetails) -> Path:
    """The place in the document: without the tags of unions and the group that parameters are gathered in."""
    location = details["loc"]
    if location[:1] == ("model",):
        location = (*location[:1], *location[2:])
    if location[:1] == ("indicators",) and location[2:3] == ("parameters",):
        location = (*location[:2], *location[3:4])
    return (*location, "type") if details["type"].startswith("union_tag") else location


def _fault(details: ErrorDetails, path: Path, document: Document) -> Fault:
    kind, value = details["type"], details["input"]
    line = document.line(path)
    if kind in ("missing", "union_tag_not_found"):
        return Fault(path_text(path), "is missing", line=line)
    if kind == "extra_forbidden":
        return Fault(path_text(path), _unknown(path), plain(value), _known_key(path, document.data), line)
    if kind == "union_tag_invalid":
        value = value["type"]
    choices = _choices(details)
    suggestion = nearest(value, choices) if isinstance(value, str) else None
    if details["loc"][2:3] == ("parameters",):
        suggestion = nearest(str(path[-1]), INDICATOR_KEYS)
    return Fault(
        path_text(path), f"must {_rule(details, choices)}; it is {shown(value)}", plain(value), suggestion, line
    )


def _rule(details: ErrorDetails, choices: list[str]) -> str:
    if (rule := RULES.get(details["type"])) is None:
        return f"be right, but {details['msg'].lower()}"
    named = f"one of {', '.join(choices)}" if len(choices) > 1 else "".join(choices)
    return rule.format(**{**details.get("ctx", {}), "choices": named})


def _choices(details: ErrorDetails) -> list[str]:
    context = details.get("ctx", {})
    return re.findall(r"'([^']*)'", str(context.get("expected", context.get("expected_tags", ""))))


def _unknown(path: Path) -> str:
    return f"is not a key of {path_text(path[:-1])}" if len(path) > 1 else "is not a key of a strategy"


def _known_key(path: Path, data: dict[str, Any]) -> str | None:
    """The nearest key of the same section, or the same key where it belongs."""
    parent, key = path[:-1], str(path[-1])
    if parent == ("model",):
        section: type[BaseModel] | None = MODELS.get(data["model"].get("type"))
    else:
        section = SECTIONS.get(parent)
    found = nearest(key, section.model_fields) if section else None
    places: dict[Path, type[BaseModel]] = {**SECTIONS, ("model",): LSTM}
    homes = [path_text((*place, key)) for place, home in places.items() if key in home.model_fields]
    return found or next(iter(homes), None)
