"""All numbers of nested models and dictionaries, by their paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

NUMBERS = (float, int, bool)


@dataclass(frozen=True)
class Leaf:
    """`pattern` has * for the names in a dictionary and for places in a sequence."""

    value: Any
    pattern: str


def leaves(value: Any, path: str = "", pattern: str = "") -> Iterator[tuple[str, Leaf]]:
    """Everything in `value` that holds nothing else, by its path."""
    if isinstance(value, BaseModel):
        inside = [(name, name, getattr(value, name)) for name in type(value).model_fields]
    elif isinstance(value, Mapping):
        inside = [(name, "*", each) for name, each in value.items()]
    elif isinstance(value, list | tuple):
        inside = [(str(place), "*", each) for place, each in enumerate(value)]
    else:
        yield path, Leaf(value, pattern)
        return
    for name, general, each in inside:
        yield from leaves(each, f"{path}.{name}" if path else name, f"{pattern}.{general}" if pattern else general)


def numeric_patterns(kind: Any, path: str = "") -> Iterator[str]:
    """The patterns of all numbers that a type can hold."""
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            yield from numeric_patterns(field.annotation, f"{path}.{name}" if path else name)
    elif origin in (Union, UnionType):
        for each in arguments:
            yield from numeric_patterns(each, path)
    elif origin is Annotated:
        yield from numeric_patterns(arguments[0], path)
    elif origin in (dict, tuple):
        for each in {*arguments} - {Ellipsis, str}:
            yield from numeric_patterns(each, f"{path}.*")
    elif kind in NUMBERS:
        yield path
