"""Loads a strategy's YAML text, or reports all of its faults."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from ktrdr.errors import Fault, StrategyError, nearest
from ktrdr.payloads.plugins import Plugins
from ktrdr.strategy.document import Document, Path, path_text, read_document
from ktrdr.strategy.plugin_sections import plugin_faults, with_plugin_types, with_plugins
from ktrdr.strategy.ranges import find_ranges
from ktrdr.strategy.sections.indicators import INDICATOR_KINDS, IndicatorEntry, indicator_kind
from ktrdr.strategy.spec import Strategy
from ktrdr.strategy.trading_faults import trading_faults
from ktrdr.strategy.validation_errors import plain, shown, translated
from ktrdr.timeframe import Timeframe

MAX_FAULTS = 50

HINT = "`ktrdr strategies schema` shows every key with its range, `ktrdr indicators list` every indicator."


E = TypeVar("E", bound=IndicatorEntry)


class IndicatorCatalogue(Protocol):
    """What loading needs to know about indicators. Paths of faults are relative to the indicator."""

    def names(self) -> tuple[str, ...]: ...

    def check(self, entry: IndicatorEntry) -> Sequence[Fault]: ...

    def resolve(self, entry: E) -> E:
        """The same entry with canonical names and all defaults written out; it must have no faults."""

    def feature_names(self, entry: IndicatorEntry) -> tuple[str, ...]: ...

    def plugins(self) -> Plugins:
        """What the files of plugins declare."""


def load_strategy(text: str, catalogue: IndicatorCatalogue, parsed: Mapping[str, Any] | None = None) -> Strategy:
    """Load a strategy. Raises StrategyError with all faults, ordered by line, and no other error.

    `parsed` is what reading the text gives, for a caller that has it: most of the time goes into reading.
    """
    if parsed is not None:
        strategy, _ = check(Document(parsed, {}, []), catalogue)
        if strategy is not None:
            return strategy
    document = read_mapping(text)
    if faults := list(_search_faults(document)):
        raise StrategyError(faults, hint="start a search with: ktrdr search start FILE --symbols …")
    strategy, faults = check(document, catalogue)
    if strategy is None:
        raise StrategyError(presentable(faults), hint=HINT)
    return strategy


def load_resolved(text: str) -> Strategy:
    """Load a strategy that was loaded before and dumped, with other values in sections that no indicator has a part in.

    What its indicators and plugins are is not checked again. Raises StrategyError.
    """
    document = read_mapping(text)
    strategy, faults = _validated(document)
    if strategy is not None:
        faults += _trading_faults(strategy, document)
    if strategy is None or document.faults or faults:
        raise StrategyError(presentable([*document.faults, *faults]), hint=HINT)
    return strategy


def read_mapping(text: str) -> Document:
    """The document of a strategy, which is a mapping at least. Raises StrategyError."""
    document = read_document(text)
    if not isinstance(document.data, dict):
        fault = Fault("strategy", f"must be a mapping of keys to values; it is {shown(document.data)}", line=1)
        raise StrategyError([*document.faults, fault], hint=HINT)
    return document


def check(document: Document, catalogue: IndicatorCatalogue) -> tuple[Strategy | None, list[Fault]]:
    """The strategy of a document that is a mapping; or None, and all faults in no order."""
    strategy, faults = _validated(document)
    indicators = _checked_indicators(document, catalogue)
    faults = [
        *document.faults,
        *faults,
        *plugin_faults(document, catalogue),
        *indicators.faults,
        *_timeframe_faults(document),
        *_calendar_faults(document, faults),
    ]
    if strategy is not None:
        faults += _trading_faults(strategy, document)
    if strategy is None or faults:
        return None, faults
    return with_plugins(strategy, catalogue).model_copy(update={"indicators": tuple(indicators.resolved)}), []


def strategy_schema(catalogue: IndicatorCatalogue | None = None) -> dict[str, Any]:
    """The JSON Schema of strategies, for editors. With a catalogue it includes the indicators' names."""
    schema = Strategy.model_json_schema()
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "ktrdr strategy",
        "description": "A trading model: its network, its training, and what it learns from bars.",
    }
    if catalogue is not None:
        with_plugin_types(schema, catalogue.plugins())
        name = schema["$defs"]["Indicator"]["properties"]["name"]
        name["anyOf"] = [{"enum": list(catalogue.names())}, {"pattern": "[A-Z]"}]
    return schema


def _validated(document: Document) -> tuple[Strategy | None, list[Fault]]:
    try:
        return Strategy.model_validate(document.data), []
    except ValidationError as error:
        return None, translated(error, document)


def _trading_faults(strategy: Strategy, document: Document) -> list[Fault]:
    return [Fault(path_text(path), message, line=document.line(path)) for path, message in trading_faults(strategy)]


def _search_faults(document: Document) -> Iterator[Fault]:
    """What only a search may have: ranges, and the section that is about them."""
    for path, _ in find_ranges(document.data):
        message = "is a range; a training needs one value, and `ktrdr search start` takes ranges"
        yield Fault(path_text(path), message, line=document.line(path))
    if "search" in document.data:
        message = "is for `ktrdr search start`; a training has no such section"
        yield Fault("search", message, line=document.line(("search",)))


def _timeframe_faults(document: Document) -> Iterator[Fault]:
    """Faults of indicators on timeframes that the strategy's own list lacks."""
    timeframes = document.data.get("timeframes")
    known = list(Timeframe)
    if not isinstance(timeframes, list) or not timeframes or not all(each in known for each in timeframes):
        return
    for number, item in enumerate(_items(document)):
        own = item.get("timeframe") if isinstance(item, dict) and "symbol" not in item else None
        if own in known and own not in timeframes:
            rule = timeframes[0] if len(timeframes) == 1 else f"one of {', '.join(timeframes)}"
            message = f"must be {rule}, as the strategy's timeframes are; it is {own!r}"
            path: Path = ("indicators", number, "timeframe")
            yield Fault(path_text(path), message, own, line=document.line(path))


def _calendar_faults(document: Document, known: Sequence[Fault]) -> Iterator[Fault]:
    name = document.data.get("calendar")
    if not isinstance(name, str) or any(fault.path == "calendar" for fault in known):
        return
    from exchange_calendars import get_calendar_names  # a slow import, needed only for a calendar

    names = get_calendar_names(include_aliases=True)
    if name not in names:
        message = f"must be an exchange that exchange_calendars knows, such as XNYS, or 24/7; it is {shown(name)}"
        yield Fault("calendar", message, plain(name), nearest(name, names), document.line(("calendar",)))


def _items(document: Document) -> list[Any]:
    items = document.data.get("indicators")
    return items if isinstance(items, list) else []


@dataclass(frozen=True, slots=True)
class _Maker:
    """The origin of a feature name.

    place: path in the document
    timeframe: the bars it is made from; None for those of every timeframe
    """

    place: str
    timeframe: str | None

    def overlaps(self, other: _Maker) -> bool:
        return self.timeframe is None or other.timeframe is None or self.timeframe == other.timeframe


class _Indicators:
    """The indicators of a document, added in its order.

    resolved: those without a fault, with every default written out
    faults: what is wrong with the others
    """

    def __init__(self, document: Document, catalogue: IndicatorCatalogue) -> None:
        self.resolved: list[IndicatorEntry] = []
        self.faults: list[Fault] = []
        self._document = document
        self._catalogue = catalogue
        self._makers: dict[str, list[_Maker]] = {}

    def add_returns(self) -> None:
        self._makers["log_return"] = [_Maker("features.returns", None)]

    def add(self, number: int, item: Any) -> None:
        path: Path = ("indicators", number)
        if (indicator := _indicator(item)) is not None:
            faults = self._add_whole(path_text(path), indicator)
        elif (part := _indicator(_sound_part(item))) is not None:
            faults = [fault for fault in self._catalogue.check(part) if fault.path not in ("source", "sources")]
        else:
            faults = []
        self.faults += [_placed(fault, path, self._document) for fault in faults]

    def _add_whole(self, place: str, indicator: IndicatorEntry) -> Sequence[Fault]:
        if faults := self._catalogue.check(indicator):
            return faults
        resolved = self._catalogue.resolve(indicator)
        self.resolved.append(resolved)
        return self._note_names(self._catalogue.feature_names(resolved), _Maker(place, resolved.timeframe))

    def _note_names(self, names: Sequence[str], maker: _Maker) -> list[Fault]:
        """At most one fault, even when several names clash."""
        clashes = [
            Fault("", f"makes the feature {name}, which {other.place} makes too; name it otherwise with `as`")
            for name in names
            for other in self._makers.get(name, ())
            if maker.overlaps(other)
        ]
        for name in names:
            self._makers.setdefault(name, []).append(maker)
        return clashes[:1]


def _checked_indicators(document: Document, catalogue: IndicatorCatalogue) -> _Indicators:
    indicators = _Indicators(document, catalogue)
    if _returns(document.data):
        indicators.add_returns()
    elif not document.data.get("indicators"):
        message = "must be true when there are no indicators, or the model has no inputs"
        path: Path = ("features", "returns")
        indicators.faults.append(Fault(path_text(path), message, False, line=document.line(path)))
    for number, item in enumerate(_items(document)):
        indicators.add(number, item)
    return indicators


def _returns(data: Mapping[str, Any]) -> bool:
    features = data.get("features")
    return not (isinstance(features, dict) and features.get("returns") is False)


def _indicator(item: Any) -> IndicatorEntry | None:
    try:
        return INDICATOR_KINDS[indicator_kind(item)].model_validate(item)
    except ValidationError:
        return None


def _sound_part(item: Any) -> Any:
    """The parts of a malformed indicator that can still be checked: what it computes and its numbers."""
    if not isinstance(item, dict):
        return item
    kind = INDICATOR_KINDS[indicator_kind(item)]
    numbers = {key: value for key, value in item.items() if type(value) in (int, float) and key not in kind.keys}
    return {key: item[key] for key in kind.required if key in item} | {
        key: value for key, value in numbers.items() if math.isfinite(value)
    }


def _placed(fault: Fault, own: Path, document: Document) -> Fault:
    path: Path = (*own, fault.path) if fault.path else own
    return replace(fault, path=path_text(path), value=plain(fault.value), line=document.line(path))


def presentable(faults: Sequence[Fault]) -> list[Fault]:
    """By line, and no more than a person reads."""
    ordered = sorted(faults, key=lambda fault: fault.line or 0)
    rest = len(ordered) - MAX_FAULTS
    return ordered[:MAX_FAULTS] + ([Fault("strategy", f"has {rest} more faults")] if rest > 0 else [])
