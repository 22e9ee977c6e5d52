"""Loads a strategy with ranges, or reports all of its faults before anything starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ValidationError

from ktrdr.errors import Fault, StrategyError, nearest
from ktrdr.strategy.document import Document, Path, path_text
from ktrdr.strategy.loading import HINT, IndicatorCatalogue, check, presentable, read_mapping
from ktrdr.strategy.ranges import KINDS, IntRange, Parameter, Range, find_ranges
from ktrdr.strategy.search_rules import broken_rules
from ktrdr.strategy.search_space import SECTION, Search, with_values
from ktrdr.strategy.search_spec import SearchSettings
from ktrdr.strategy.spec import Strategy
from ktrdr.strategy.validation_errors import plain, shown, translated

DRAWS = 32
"""Trials by chance that are checked before anything starts."""

MAX_PARAMETERS = 64

SEED: Path = ("training", "seed")


def load_search(text: str, catalogue: IndicatorCatalogue) -> Search:
    """Load a search. Raises StrategyError with all faults, ordered by line, and no other error."""
    document = read_mapping(text)
    settings, faults = _read_settings(document)
    parameters, range_faults = _read_parameters(document)
    if len(parameters) > MAX_PARAMETERS:
        message = f"may vary at most {MAX_PARAMETERS} keys; there are {len(parameters)} ranges"
        raise StrategyError([Fault("search", message, line=document.line(SECTION))], hint=HINT)
    variants = _Variants(document, tuple(parameters), catalogue)
    strategy, value_faults = variants.check_ends()
    faults += range_faults + [fault for fault in value_faults if not _is_below(fault, range_faults)]
    if settings is None or strategy is None or faults:
        raise StrategyError(presentable(faults), hint=HINT)
    search = Search(text, document, settings, (*parameters, *_seeds(settings, strategy)), strategy)
    if faults := _faults_of(search, document) or list(variants.check_draws(search)):
        raise StrategyError(presentable(faults), hint=HINT)
    return search


def is_search(text: str) -> bool:
    """Whether a text has what only a search may have. Raises StrategyError for what is no strategy at all."""
    data = read_mapping(text).data
    return "search" in data or next(find_ranges(data), None) is not None


class _WithSearch(BaseModel):
    search: SearchSettings


def _read_settings(document: Document) -> tuple[SearchSettings | None, list[Fault]]:
    if "search" not in document.data:
        return None, [Fault("search", "is missing; ranges need it, such as search: {trials: 20}", line=1)]
    try:
        return _WithSearch.model_validate(document.data).search, []
    except ValidationError as error:
        return None, translated(error, document)


def _seeds(settings: SearchSettings, strategy: Strategy) -> Iterator[Parameter]:
    """What `search: {seeds: 5}` varies: the strategy's own seed and those after it."""
    if settings.seeds:
        first = strategy.training.seed
        yield Parameter(SEED, IntRange(int=(first, first + settings.seeds - 1)))


def _faults_of(search: Search, document: Document) -> list[Fault]:
    return [Fault(path_text(path), message, line=document.line(path)) for path, message in broken_rules(search)]


# Ranges.


def _read_parameters(document: Document) -> tuple[list[Parameter], list[Fault]]:
    parameters: list[Parameter] = []
    faults: list[Fault] = []
    for path, data in find_ranges(document.data):
        own_faults = list(_key_faults(path, data, document))
        if own_faults:
            faults += own_faults
            continue
        try:
            parameters.append(Parameter(path, _kind(data).model_validate(data), _declared_name(path, document.data)))
        except ValidationError as error:
            faults += [_placed(fault, path, document) for fault in translated(error, _within(path, data, document))]
    return parameters, faults


def _declared_name(path: Path, data: Any) -> str:
    """The name that the indicator at this path declares, unless another declares the same."""
    if path[0] != "indicators" or len(path) < 3 or not isinstance(data["indicators"], list):
        return ""
    names = [each.get("as") if isinstance(each, dict) else None for each in data["indicators"]]
    name = names[int(path[1])]
    return name if isinstance(name, str) and names.count(name) == 1 else ""


def _kind(data: dict[str, Any]) -> type[Range]:
    return next(KINDS[key] for key in data if key in KINDS)


def _key_faults(path: Path, data: dict[str, Any], document: Document) -> Iterator[Fault]:
    kinds = [key for key in data if key in KINDS]
    known = [field.alias or name for name, field in _kind(data).model_fields.items()]
    for key in data:
        if key in kinds[1:]:
            message = f"stands beside {kinds[0]}; a range has one of them"
        elif key not in known:
            message = f"is not a key of a range with {kinds[0]}"
        else:
            continue
        own = (*path, key)
        yield Fault(path_text(own), message, plain(data[key]), nearest(key, known), document.line(own))


def _within(path: Path, data: dict[str, Any], document: Document) -> Document:
    """A range as a document of its own, with the lines that it has in the whole."""
    lines = {own[len(path) :]: line for own, line in document.lines.items() if own[: len(path)] == path}
    return Document(data, lines, [])


def _placed(fault: Fault, path: Path, document: Document) -> Fault:
    """A fault of a range, with its place in the whole document."""
    return replace(fault, path=f"{path_text(path)}.{fault.path}", line=fault.line or document.line(path))


def _is_below(fault: Fault, others: Sequence[Fault]) -> bool:
    """Whether it is about a value that is no proper range, and so follows from another fault."""
    return any(other.path.startswith(f"{fault.path}.") or fault.path.startswith(f"{other.path}.") for other in others)


# Values.


@dataclass(frozen=True, slots=True)
class _Variants:
    """The strategies that the ranges of a document make."""

    document: Document
    parameters: tuple[Parameter, ...]
    catalogue: IndicatorCatalogue

    def check_ends(self) -> tuple[Strategy | None, list[Fault]]:
        """The strategy of all first values, and the faults of it and of each other end, one changed at a time."""
        first = [_first(each) for each in self.parameters]
        strategy, faults = self._check(first)
        known = {(fault.path, fault.message) for fault in faults}
        faults = [self._at_first_end(fault) for fault in faults]
        for number, parameter in enumerate(self.parameters):
            for place, value in parameter.range.ends[1:] if not parameter.decides_presence else ():
                _, others = self._check([*first[:number], value, *first[number + 1 :]])
                new = [fault for fault in others if (fault.path, fault.message) not in known]
                faults += [self._at_end(fault, parameter, place, value) for fault in new]
        return strategy, faults

    def check_draws(self, search: Search) -> Iterator[Fault]:
        """At most one fault: values that are right by themselves may not go together."""
        for number in range(min(DRAWS, search.trials)) if self.parameters else ():
            proposal = search.at_random(number)
            _, faults = self._check(proposal.values)
            if faults:
                values = ", ".join(f"{name} {shown(value)}" for name, value in search.named(proposal).items())
                message = f"makes strategies that are refused; with {values}: {faults[0].path} {faults[0].message}"
                yield Fault("search", message, line=self.document.line(SECTION))
                return

    def _check(self, values: Sequence[Any]) -> tuple[Strategy | None, list[Fault]]:
        return check(with_values(self.document, self.parameters, values), self.catalogue)

    def _at_first_end(self, fault: Fault) -> Fault:
        for parameter in self.parameters:
            place, value = parameter.range.ends[0]
            if _names(fault.path, parameter.name):
                return self._at_end(fault, parameter, place, value)
        return fault

    def _at_end(self, fault: Fault, parameter: Parameter, place: Path, value: Any) -> Fault:
        if not _names(fault.path, parameter.name):
            return replace(fault, message=f"{fault.message} (with {parameter.name} {shown(value)})")
        if fault.path == parameter.name and not fault.message.endswith(f"it is {shown(value)}"):
            return fault  # about the key, whatever its value
        own = (*parameter.path, *place)
        rest = fault.path.removeprefix(parameter.name)
        return replace(fault, path=path_text(own) + rest, line=self.document.line(own))


def _names(path: str, name: str) -> bool:
    return path == name or path.startswith((f"{name}.", f"{name}["))


def _first(parameter: Parameter) -> Any:
    return True if parameter.decides_presence else parameter.range.ends[0][1]
