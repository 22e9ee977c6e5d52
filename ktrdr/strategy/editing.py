"""Changes values in the text of a strategy, and leaves everything else in it: order, comments, style."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import lru_cache
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from ktrdr.errors import Fault, StrategyError
from ktrdr.strategy.document import Path, parse_path, path_text, read_document, read_scalar
from ktrdr.strategy.validation_errors import plain, shown

UNLIMITED = 1_000_000

# Characters for private use, which stand for values.
_MARKS = "".join(map(chr, range(0xE000, 0xE100)))
_PLACE = re.compile(f"([{_MARKS[0]}-{_MARKS[-1]}])(?:( +)(?=#))?")
_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)

_HINT = "name places as in training.learning_rate or indicators[0].period"


def with_settings(text: str, settings: Mapping[str, Any]) -> str:
    """The strategy with these values by their places, such as `indicators[0].period`.

    Whether the values and the keys are right is for loading to find out. Raises StrategyError for a place that the
    document cannot have.
    """
    document = read_document(text)
    if not settings or document.faults or not isinstance(document.data, dict):
        return text
    values = {_parse_place(name): value for name, value in settings.items()}
    if faults := [fault for path in values for fault in _unreachable(document.data, path)]:
        raise StrategyError(faults, hint=_HINT)
    return edited(text, values)


def edited(text: str, values: Mapping[Path, Any], without: Sequence[Path] = ()) -> str:
    """The text with these values, and without these entries; all places are those of the given text.

    `text` is what `read_document` reads without faults. A section that a value needs is made.
    """
    root = deepcopy(_loaded(text))
    for path, value in values.items():
        _put(root, path, value)
    for path in sorted(without, reverse=True):
        _remove(root, path)
    stream = StringIO()
    _round_trip().dump(root, stream)
    return stream.getvalue()


def filled(text: str, values: Mapping[Path, Any], without: Sequence[Path] = ()) -> str:
    """What `edited` makes of the text, faster where the same places are given again and again other values."""
    texts = [_plain_text(value) for value in values.values()]
    template = _template(text, tuple(values), tuple(without)) if len(values) <= len(_MARKS) else None
    if template is None or None in texts:
        return edited(text, values, without)

    def put(match: re.Match[str]) -> str:
        value, space = texts[_MARKS.index(match[1])] or "", match[2] or ""
        # A comment keeps its column, as far as the value leaves room.
        return value + " " * max(min(1, len(space)), len(space) + 1 - len(value))

    return _PLACE.sub(put, template)


@lru_cache(maxsize=64)
def _template(text: str, paths: Sequence[Path], without: Sequence[Path]) -> str | None:
    """The text with a mark at each place; None where it has marks of its own."""
    if _PLACE.search(text):
        return None
    return edited(text, dict(zip(paths, _MARKS, strict=False)), without)


def _plain_text(value: Any) -> str | None:
    """How YAML writes the value wherever it stands; None where that depends on the place or the text."""
    if isinstance(value, str):
        return value if _WORD.fullmatch(value) and read_scalar(value) == value else None
    return None if isinstance(value, dict | list | tuple) else _scalar_text(value)


def _parse_place(name: str) -> Path:
    if path := parse_path(name):
        return path
    raise StrategyError([Fault(name[:200] or "strategy", "is no place in a strategy")], hint=_HINT)


def _unreachable(data: Any, path: Path) -> Iterator[Fault]:
    """At most one fault: an entry of a list that is not there, or one below what has no entries."""
    holder = data
    for depth, key in enumerate(path):
        if isinstance(holder, list) and isinstance(key, int) and key < len(holder):
            holder = holder[key]
        elif isinstance(holder, dict) and isinstance(key, str):
            holder = holder.get(key)
        elif holder is None and isinstance(key, str) and depth:
            continue
        else:
            place = path_text(path[:depth])
            yield Fault(path_text(path), f"is no place: {place} is {shown(holder)}", plain(holder))
            return


@lru_cache(maxsize=4)
def _loaded(text: str) -> Any:
    """Not to be changed: all trials of a search are made from one text."""
    return _round_trip().load(text)


class _TextOnly(VersionedResolver):
    """Takes every scalar for text, so that what is not changed is written as it was read."""

    @property
    def versioned_resolver(self) -> dict[str, Any]:
        return {}


def _round_trip() -> YAML:
    yaml = YAML()
    yaml.Resolver = _TextOnly
    yaml.width = UNLIMITED
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _put(root: Any, path: Path, value: Any) -> None:
    holder = root
    for key in path[:-1]:
        if isinstance(holder, dict) and not isinstance(holder.get(key), dict | list):
            holder[key] = CommentedMap()
        holder = holder[key]
    holder[path[-1]] = _in_one_line(value)


def _in_one_line(value: Any) -> Any:
    if isinstance(value, dict):
        mapping = CommentedMap((key, _in_one_line(item)) for key, item in value.items())
        mapping.fa.set_flow_style()
        return mapping
    if isinstance(value, list | tuple):
        sequence = CommentedSeq(map(_in_one_line, value))
        sequence.fa.set_flow_style()
        return sequence
    return _scalar_text(value)


def _scalar_text(value: Any) -> str:
    if not isinstance(value, str):
        return repr(value) if isinstance(value, float) else json.dumps(value)
    return value if read_scalar(value) == value else DoubleQuotedScalarString(value)


def _remove(root: Any, path: Path) -> None:
    holder = root
    for key in path[:-1]:
        holder = holder[key]
    del holder[path[-1]]
