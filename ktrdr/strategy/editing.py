"""Changes values in the text of a strategy, and leaves everything else in it: order, comments, style."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter

from ktrdr.errors import Fault, StrategyError
from ktrdr.strategy.document import Path, parse_path, path_text, read_document
from ktrdr.strategy.validation_errors import plain, shown

UNLIMITED = 1_000_000

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
    yaml = _round_trip()
    root = yaml.load(text)
    for path, value in values.items():
        _put(root, path, value)
    for path in sorted(without, reverse=True):
        _remove(root, path)
    stream = StringIO()
    yaml.dump(root, stream)
    return stream.getvalue()


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


class _Representer(RoundTripRepresenter):
    def represent_none(self, data: None) -> ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:null", "null")


_Representer.add_representer(type(None), _Representer.represent_none)


def _round_trip() -> YAML:
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.width = UNLIMITED
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _put(root: Any, path: Path, value: Any) -> None:
    holder = root
    for key in path[:-1]:
        if isinstance(holder, dict) and holder.get(key) is None:
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
    return value


def _remove(root: Any, path: Path) -> None:
    holder = root
    for key in path[:-1]:
        holder = holder[key]
    del holder[path[-1]]
