"""From a strategy's YAML text to a Strategy, or to every fault it has."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from pydantic import ValidationError

from ktrdr.errors import Fault, StrategyError, nearest
from ktrdr.strategy.document import Document, Path, path_text, read_document
from ktrdr.strategy.spec import INDICATOR_KEYS, TIMEFRAMES, Indicator, Strategy
from ktrdr.strategy.validation_errors import plain, shown, translated

MAX_FAULTS = 50

_HINT = "`ktrdr strategies schema` shows every key with its range, `ktrdr indicators list` every indicator."


class IndicatorCatalogue(Protocol):
    """What loading must know about indicators. Paths of faults are relative to the indicator."""

    def names(self) -> tuple[str, ...]: ...

    def check(self, indicator: Indicator) -> Sequence[Fault]: ...

    def resolve(self, indicator: Indicator) -> Indicator:
        """The same indicator, which has no faults, with canonical names and every default written out."""

    def feature_names(self, indicator: Indicator) -> tuple[str, ...]: ...


def load_strategy(text: str, catalogue: IndicatorCatalogue) -> Strategy:
    """Raises StrategyError with all faults, in the order of their lines, and nothing else."""
    document = read_document(text)
    if not isinstance(document.data, dict):
        fault = Fault("strategy", f"must be a mapping of keys to values; it is {shown(document.data)}", line=1)
        raise StrategyError([*document.faults, fault], hint=_HINT)
    strategy, faults = _validated(document)
    indicators, more = _checked_indicators(document, catalogue)
    faults = [*document.faults, *faults, *more, *_timeframe_faults(document), *_calendar_faults(document, faults)]
    if strategy is None or faults:
        raise StrategyError(_presentable(faults), hint=_HINT)
    return strategy.model_copy(update={"indicators": indicators})


def strategy_schema(catalogue: IndicatorCatalogue | None = None) -> dict[str, Any]:
    """The JSON Schema of strategies, for editors; with a catalogue it knows the indicators' names too."""
    schema = Strategy.model_json_schema()
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "ktrdr strategy",
        "description": "A trading model: its network, its training, and what it learns from bars.",
    }
    if catalogue is not None:
        name = schema["$defs"]["Indicator"]["properties"]["name"]
        name["anyOf"] = [{"enum": list(catalogue.names())}, {"pattern": "[A-Z]"}]
    return schema


def _validated(document: Document) -> tuple[Strategy | None, list[Fault]]:
    try:
        return Strategy.model_validate(document.data), []
    except ValidationError as error:
        return None, translated(error, document)


def _timeframe_faults(document: Document) -> Iterator[Fault]:
    """Of indicators on bars that the strategy, which says on which it works, does not have."""
    timeframes = document.data.get("timeframes")
    if not isinstance(timeframes, list) or not timeframes or not all(each in TIMEFRAMES for each in timeframes):
        return
    for number, item in enumerate(_items(document)):
        own = item.get("timeframe") if isinstance(item, dict) else None
        if own in TIMEFRAMES and own not in timeframes:
            rule = timeframes[0] if len(timeframes) == 1 else f"one of {', '.join(timeframes)}"
            message = f"must be {rule}, as the strategy's timeframes are; it is {own!r}"
            path: Path = ("indicators", number, "timeframe")
            yield Fault(path_text(path), message, own, line=document.line(path))


def _calendar_faults(document: Document, known: Sequence[Fault]) -> Iterator[Fault]:
    name = document.data.get("calendar")
    if not isinstance(name, str) or any(fault.path == "calendar" for fault in known):
        return
    from exchange_calendars import get_calendar_names  # takes a second, so it waits until a calendar is named

    names = get_calendar_names(include_aliases=True)
    if name not in names:
        message = f"must be an exchange that exchange_calendars knows, such as XNYS, or 24/7; it is {shown(name)}"
        yield Fault("calendar", message, plain(name), nearest(name, names), document.line(("calendar",)))


def _items(document: Document) -> list[Any]:
    items = document.data.get("indicators")
    return items if isinstance(items, list) else []


# Names made so far: by what, and on which bars (None: on those of every timeframe).
_Makers = dict[str, list[tuple[str, str | None]]]


def _checked_indicators(document: Document, catalogue: IndicatorCatalogue) -> tuple[tuple[Indicator, ...], list[Fault]]:
    makers: _Makers = {"log_return": [("features.returns", None)]} if _returns(document.data) else {}
    resolved: list[Indicator] = []
    faults: list[Fault] = []
    for number, item in enumerate(_items(document)):
        own: Path = ("indicators", number)
        whole = _indicator(item)
        if (indicator := whole or _indicator(_sound_part(item))) is None:
            continue
        found = list(catalogue.check(indicator))
        if whole is None:
            found = [fault for fault in found if fault.path not in ("source", "sources")]
        elif not found:
            resolved.append(catalogue.resolve(indicator))
            names = catalogue.feature_names(indicator)
            found = list(_name_clashes(path_text(own), names, indicator.timeframe, makers))
        faults += [_placed(fault, own, document) for fault in found]
    if not makers and not document.data.get("indicators"):
        message = "must be true when there are no indicators, or the model has nothing to look at"
        faults.append(Fault("features.returns", message, False, line=document.line(("features", "returns"))))
    return tuple(resolved), faults


def _returns(data: Mapping[str, Any]) -> bool:
    features = data.get("features")
    return not (isinstance(features, dict) and features.get("returns") is False)


def _indicator(item: Any) -> Indicator | None:
    try:
        return Indicator.model_validate(item)
    except ValidationError:
        return None


def _sound_part(item: Any) -> Any:
    """What can still be checked of an indicator that is malformed elsewhere: its name and its numbers."""
    if not isinstance(item, dict):
        return item
    numbers = {key: value for key, value in item.items() if type(value) in (int, float) and key not in INDICATOR_KEYS}
    return {"name": item.get("name")} | {key: value for key, value in numbers.items() if math.isfinite(value)}


def _name_clashes(place: str, names: Sequence[str], timeframe: str | None, makers: _Makers) -> Iterator[Fault]:
    """Notes the names as made at `place`; a clash is told once for each indicator."""
    clash = next(
        ((name, maker) for name in names for maker, other in makers.get(name, []) if _overlap(timeframe, other)), None
    )
    for name in names:
        makers.setdefault(name, []).append((place, timeframe))
    if clash:
        yield Fault("", f"makes the feature {clash[0]}, which {clash[1]} makes too; name it otherwise with `as`")


def _overlap(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one == other


def _placed(fault: Fault, own: Path, document: Document) -> Fault:
    path: Path = (*own, fault.path) if fault.path else own
    return replace(fault, path=path_text(path), value=plain(fault.value), line=document.line(path))


def _presentable(faults: Sequence[Fault]) -> list[Fault]:
    ordered = sorted(faults, key=lambda fault: fault.line or 0)
    rest = len(ordered) - MAX_FAULTS
    return ordered[:MAX_FAULTS] + ([Fault("strategy", f"has {rest} more faults")] if rest > 0 else [])
