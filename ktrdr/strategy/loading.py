"""From a strategy's YAML text to a Strategy, or to every fault it has."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from pydantic import ValidationError

from ktrdr.errors import Fault, StrategyError
from ktrdr.strategy.document import Document, Path, path_text, read_document
from ktrdr.strategy.faults import plain, shown, translated
from ktrdr.strategy.spec import INDICATOR_KEYS, Indicator, Strategy

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
    faults = [*document.faults, *faults, *more]
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


def _checked_indicators(document: Document, catalogue: IndicatorCatalogue) -> tuple[tuple[Indicator, ...], list[Fault]]:
    items = document.data.get("indicators")
    makers: dict[str, str] = {"log_return": "features.returns"} if _returns(document.data) else {}
    resolved: list[Indicator] = []
    faults: list[Fault] = []
    for number, item in enumerate(items if isinstance(items, list) else []):
        own: Path = ("indicators", number)
        whole = _indicator(item)
        if (indicator := whole or _indicator(_sound_part(item))) is None:
            continue
        found = list(catalogue.check(indicator))
        if whole is None:
            found = [fault for fault in found if fault.path not in ("source", "sources")]
        elif not found:
            resolved.append(catalogue.resolve(indicator))
            found = list(_name_clashes(path_text(own), catalogue.feature_names(indicator), makers))
        faults += [_placed(fault, own, document) for fault in found]
    if not makers and not items:
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


def _name_clashes(place: str, names: Iterable[str], makers: dict[str, str]) -> Iterator[Fault]:
    """Notes the names as made at `place`; a clash is told once for each indicator."""
    clash = next(((name, makers[name]) for name in names if name in makers), None)
    for name in names:
        makers.setdefault(name, place)
    if clash:
        yield Fault("", f"makes the feature {clash[0]}, which {clash[1]} makes too; name it otherwise with `as`")


def _placed(fault: Fault, own: Path, document: Document) -> Fault:
    path: Path = (*own, fault.path) if fault.path else own
    return replace(fault, path=path_text(path), value=plain(fault.value), line=document.line(path))


def _presentable(faults: Sequence[Fault]) -> list[Fault]:
    ordered = sorted(faults, key=lambda fault: fault.line or 0)
    rest = len(ordered) - MAX_FAULTS
    return ordered[:MAX_FAULTS] + ([Fault("strategy", f"has {rest} more faults")] if rest > 0 else [])
