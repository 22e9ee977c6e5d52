"""Plugins as their files declare them: features, labels and networks that were written outside this package."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Literal

from pydantic import Field

from ktrdr.payloads.payload import Payload

PluginKind = Literal["feature", "label", "network"]
ParameterType = Literal["integer", "number", "boolean", "string"]
Value = int | float | bool | str

Unit = Literal["none", "price", "price difference", "price squared"]
"""What a feature's values are measured in, which decides the formula that makes them free of a scale."""

_RULES: dict[ParameterType, str] = {
    "integer": "be a whole number",
    "number": "be a number",
    "boolean": "be true or false",
    "string": "be text",
}


class PluginParameter(Payload):
    """One parameter, as the signature of its plugin declares it."""

    name: str
    type: ParameterType
    default: Value
    ge: float | None = Field(None, description="The least value.")
    gt: float | None = Field(None, description="Values lie above it.")
    le: float | None = Field(None, description="The greatest value.")
    lt: float | None = Field(None, description="Values lie below it.")
    choices: tuple[str, ...] = Field((), description="The only values, where there are few.")
    description: str = ""

    def broken_rule(self, value: Any) -> str | None:
        """What a value must be and is not, as the rest of a sentence after "must"."""
        if not _is_of(self.type, value):
            return _RULES[self.type]
        if self.choices and value not in self.choices:
            return f"be one of {', '.join(self.choices)}"
        return next((rule for rule, holds in self._bounds(value) if not holds), None)

    def _bounds(self, value: Any) -> Iterator[tuple[str, bool]]:
        if self.ge is not None:
            yield f"be at least {self.ge:.15g}", value >= self.ge
        if self.gt is not None:
            yield f"be greater than {self.gt:.15g}", value > self.gt
        if self.le is not None:
            yield f"be at most {self.le:.15g}", value <= self.le
        if self.lt is not None:
            yield f"be less than {self.lt:.15g}", value < self.lt

    def json_schema(self) -> dict[str, Any]:
        bounds = {"minimum": self.ge, "exclusiveMinimum": self.gt, "maximum": self.le, "exclusiveMaximum": self.lt}
        about = {"description": self.description} if self.description else {}
        choices = {"enum": list(self.choices)} if self.choices else {}
        limits = {key: bound for key, bound in bounds.items() if bound is not None}
        return {"type": self.type, "default": self.default} | limits | choices | about


class PluginDeclaration(Payload):
    """One plugin."""

    kind: PluginKind
    name: str = Field(description="Under which a strategy names it.")
    function: str = Field(description="The function or class in its file.")
    line: int = Field(description="Where that begins.")
    description: str = Field("", description="The first line of its docstring.")
    parameters: tuple[PluginParameter, ...] = ()
    outputs: tuple[str, ...] = Field((), description="Of a feature with several columns, their names.")
    unit: Unit = Field("none", description="Of a feature: what its values are measured in.")
    warmup: int = Field(0, description="Of a feature: leading bars without a value, at the default parameters.")
    classes: tuple[str, ...] = Field((), description="Of a label: the names of its classes; none in a regression.")
    cuts: tuple[float, ...] = Field((), description="Of a label: the borders between its classes.")

    def resolved(self, parameters: Mapping[str, Any]) -> dict[str, Value]:
        """All parameters by name, in the order of the signature; those given must have no faults."""
        return {each.name: _as(each.type, parameters.get(each.name, each.default)) for each in self.parameters}


class PluginFile(Payload):
    """One file of the setting KTRDR_PLUGINS."""

    path: str
    sha256: str = Field("", description="Of its content; empty where it cannot be read.")
    plugins: tuple[PluginDeclaration, ...] = ()
    error: str = Field("", description="Why it cannot be used; empty where it can.")

    def find(self, kind: PluginKind, name: str) -> PluginDeclaration | None:
        return next((each for each in self.plugins if (each.kind, each.name) == (kind, name)), None)


class Plugins(Payload):
    """All files of the setting, in its order."""

    files: tuple[PluginFile, ...] = ()

    def find(self, kind: PluginKind, name: str) -> tuple[PluginFile, PluginDeclaration] | None:
        pairs = ((file, file.find(kind, name)) for file in self.files)
        return next(((file, declared) for file, declared in pairs if declared), None)

    def declared(self, kind: PluginKind) -> list[PluginDeclaration]:
        return [each for file in self.files for each in file.plugins if each.kind == kind]

    def names(self, kind: PluginKind) -> list[str]:
        return [each.name for each in self.declared(kind)]

    def errors(self) -> list[str]:
        return [file.error for file in self.files if file.error]

    def only(self, used: Sequence[tuple[PluginKind, str]]) -> Plugins:
        """The files that declare these plugins."""
        return Plugins(files=tuple(file for file in self.files if any(file.find(*each) for each in used)))

    def recorded(self) -> Plugins:
        """The usable files by their names alone, for records that are to hold on another machine."""
        usable = (file for file in self.files if not file.error)
        return Plugins(files=tuple(file.model_copy(update={"path": PurePath(file.path).name}) for file in usable))


def _is_of(kind: ParameterType, value: Any) -> bool:
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return type(value) is {"integer": int, "boolean": bool, "string": str}[kind]


def _as(kind: ParameterType, value: Any) -> Value:
    resolved: Value = float(value) if kind == "number" else value
    return resolved
