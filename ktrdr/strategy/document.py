"""Reads YAML text as plain data with line numbers.

Supports what a strategy needs: one document of mappings, lists and scalars by the core schema of YAML 1.2. Anchors,
aliases and tags are refused, so a document is never larger than its text and never constructs objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from ktrdr.errors import Fault, StrategyError

MAX_BYTES = 1_000_000
MAX_DEPTH = 16
MAX_ENTRIES = 5_000

Path = tuple[str | int, ...]

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]{1,400}")
_BASED_INTEGER = re.compile(r"0o[0-7]{1,400}|0x[0-9a-fA-F]{1,400}")
_REAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*|\[\d{1,4}\])*", re.ASCII)
_PATH_PART = re.compile(r"([A-Za-z_]\w*)|\[(\d+)\]", re.ASCII)
_SPECIAL = re.compile(r"([-+]?)\.(inf|Inf|INF|nan|NaN|NAN)")


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document.

    data: mappings, lists and scalars
    lines: path of every entry -> its line, counted from 1
    faults: faults of form, such as duplicate keys
    """

    data: Any
    lines: dict[Path, int]
    faults: list[Fault]

    def line(self, path: Path) -> int | None:
        """The line of an entry, or of the nearest one around it."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path)


def read_document(text: str) -> Document:
    """Raises StrategyError when the text cannot be read at all."""
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise _refused(f"is larger than {MAX_BYTES:,} bytes")
    if not text.strip():
        raise _refused("is empty")
    if "\0" in text:
        raise _refused("is not text: it holds binary data", line=text[: text.index("\0")].count("\n") + 1)
    builder = _Builder(_events(text))
    data = builder.build()
    return Document(data, builder.lines, builder.faults)


def path_text(path: Path) -> str:
    """`indicators[2].period`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part[:64]}" for part in path)
    return text.removeprefix(".") or "strategy"


def parse_path(text: str) -> Path:
    """The path that `path_text` shows as this text; empty where there is none."""
    if not _PATH.fullmatch(text):
        return ()
    return tuple(int(index) if index else key for key, index in _PATH_PART.findall(text))


def _refused(message: str, line: int | None = None) -> StrategyError:
    return StrategyError([Fault("strategy", message, line=line)], hint="`ktrdr strategies schema` shows what is known.")


def _line(event: Event) -> int:
    return int(event.start_mark.line) + 1


def _events(text: str) -> Iterator[Event]:
    """Parser events, refusing all that a strategy never needs."""
    documents = 0
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            documents += isinstance(event, DocumentStartEvent)
            if documents > 1:
                raise _refused("must be one document; a second one begins", _line(event))
            if isinstance(event, AliasEvent) or getattr(event, "anchor", None) is not None:
                raise _refused("must not use anchors and aliases (& and *)", _line(event))
            if getattr(event, "tag", None) is not None:
                raise _refused(f"must not use tags; there is {event.tag}", _line(event))
            yield event
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "cannot be parsed"
        raise _refused(f"is not valid YAML: {problem}", mark.line + 1 if mark else None) from None
    except YAMLError as error:
        raise _refused(f"is not valid YAML: {str(error).splitlines()[0]}") from None


@dataclass
class _Builder:
    events: Iterator[Event]
    lines: dict[Path, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    entries: int = 0

    def build(self) -> Any:
        for event in self.events:
            if isinstance(event, MappingStartEvent | SequenceStartEvent | ScalarEvent):
                self.lines[()] = _line(event)
                data = self._value(event, ())
                for _ in self.events:
                    pass  # refuse anything after the document too
                return data
        raise _refused("is empty")

    def _value(self, event: Event, path: Path) -> Any:
        self.entries += 1
        if self.entries > MAX_ENTRIES:
            raise _refused(f"has more than {MAX_ENTRIES:,} entries", _line(event))
        if len(path) > MAX_DEPTH:
            raise _refused(f"is nested more than {MAX_DEPTH} levels deep", _line(event))
        if isinstance(event, MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(path)
        assert isinstance(event, ScalarEvent)
        return read_scalar(event.value) if event.implicit[0] else event.value

    def _mapping(self, path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key in self.events:
            if isinstance(key, MappingEndEvent):
                break
            if not isinstance(key, ScalarEvent):
                raise _refused("must have plain text as keys", _line(key))
            own = (*path, key.value)
            if key.value in mapping:
                message = f"is given twice; first on line {self.lines[own]}"
                self.faults.append(Fault(path_text(own), message, line=_line(key)))
            self.lines[own] = _line(key)
            mapping[key.value] = self._value(next(self.events), own)
        return mapping

    def _sequence(self, path: Path) -> list[Any]:
        sequence: list[Any] = []
        for event in self.events:
            if isinstance(event, SequenceEndEvent):
                break
            own = (*path, len(sequence))
            self.lines[own] = _line(event)
            sequence.append(self._value(event, own))
        return sequence


def read_scalar(text: str) -> Any:
    """A plain scalar by YAML 1.2's core schema, https://yaml.org/spec/1.2.2/#1032-tag-resolution."""
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED_INTEGER.fullmatch(text):
        return int(text, 0)
    if _REAL.fullmatch(text):
        return float(text)
    if special := _SPECIAL.fullmatch(text):
        return float(special[1] + special[2])
    return text
