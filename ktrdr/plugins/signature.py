"""Parameters of a plugin, read from the signature of its function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic.fields import FieldInfo

from ktrdr.payloads.plugins import ParameterType, PluginParameter

_TYPES: dict[Any, ParameterType] = {int: "integer", float: "number", bool: "boolean", str: "string"}
_BOUNDS = ("ge", "gt", "le", "lt")


def parameters_of(
    function: Callable[..., Any], inputs: tuple[str, ...], *, only_numbers: bool
) -> tuple[PluginParameter, ...]:
    """All parameters but the inputs, which come first. Raises TypeError and ValueError for another signature."""
    declared = list(inspect.signature(function).parameters.values())
    if tuple(each.name for each in declared[: len(inputs)]) != inputs:
        raise TypeError(f"its first parameters must be {', '.join(inputs)}")
    own = declared[len(inputs) :]
    types = _resolved_types(function, [each.name for each in own])
    parameters = tuple(_parameter(each, types.get(each.name)) for each in own)
    if only_numbers and (text := [each.name for each in parameters if each.type not in ("integer", "number")]):
        raise TypeError(f"parameter {text[0]!r} must be an int or a float, as all parameters of a feature are")
    return parameters


def _resolved_types(function: Callable[..., Any], names: list[str]) -> dict[str, Any]:
    """The types of these parameters; others may stand for modules that only a type checker imports."""
    written = inspect.unwrap(function.__init__ if inspect.isclass(function) else function)
    wanted = SimpleNamespace(
        __annotations__={name: hint for name, hint in written.__annotations__.items() if name in names}
    )
    return get_type_hints(wanted, globalns=written.__globals__, include_extras=True)


def _parameter(declared: inspect.Parameter, annotation: Any) -> PluginParameter:
    name = declared.name
    if declared.kind in (declared.VAR_POSITIONAL, declared.VAR_KEYWORD):
        raise TypeError(f"parameter {name!r} must be named by itself, not be one of many")
    if declared.default is declared.empty:
        raise TypeError(f"parameter {name!r} must have a default")
    kind, choices = _type(name, annotation)
    about = _about(annotation)
    parameter = PluginParameter(name=name, type=kind, default=declared.default, choices=choices, **about)
    if rule := parameter.broken_rule(declared.default):
        raise ValueError(f"the default of {name!r} must {rule}; it is {declared.default!r}")
    return parameter


def _type(name: str, annotation: Any) -> tuple[ParameterType, tuple[str, ...]]:
    plain = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    if get_origin(plain) is Literal and all(isinstance(each, str) for each in get_args(plain)):
        return "string", get_args(plain)
    if plain not in _TYPES:
        raise TypeError(f"parameter {name!r} must have a type: int, float, bool, str or a Literal of texts")
    return _TYPES[plain], ()


def _about(annotation: Any) -> dict[str, Any]:
    """Bounds and description, where the type is `Annotated[int, Field(ge=1, description="…")]`."""
    about: dict[str, Any] = {}
    for note in get_args(annotation)[1:] if get_origin(annotation) is Annotated else ():
        if isinstance(note, FieldInfo):
            about["description"] = note.description or ""
        about |= dict(_bounds(note.metadata if isinstance(note, FieldInfo) else [note]))
    return about


def _bounds(constraints: list[Any]) -> Iterator[tuple[str, float]]:
    for each in constraints:
        for bound in _BOUNDS:
            if (value := getattr(each, bound, None)) is not None:
                yield bound, float(value)
