"""The rules between the ranges of a search and its settings."""

from __future__ import annotations

from collections.abc import Iterator

from ktrdr.payloads.search import Objective
from ktrdr.strategy.document import Path
from ktrdr.strategy.ranges import Choice, Parameter, Range
from ktrdr.strategy.search_space import SECTION, Search
from ktrdr.strategy.search_spec import MAX_TRIALS

Rule = tuple[Path, str]
"""A place, and the rest of a sentence that begins with it."""

# What decides which question is asked, and on which rows: trials that differ in it cannot be ranked.
FIXED: tuple[Path, ...] = (
    ("name",),
    ("timeframes",),
    ("calendar",),
    ("data",),
    ("validation",),
    ("training", "validation_split"),
    ("costs",),
)


def broken_rules(search: Search) -> Iterator[Rule]:
    if not search.parameters:
        message = "has nothing to vary; put a range in place of a value, such as hidden_size: {int: [16, 64]}"
        yield SECTION, f"{message}, or write search: {{seeds: 5}}"
        return
    for parameter in search.parameters:
        yield from _parameter_rules(parameter)
    yield from _size_rules(search)
    yield from _objective_rules(search)
    yield from _halving_rules(search)


def _parameter_rules(parameter: Parameter) -> Iterator[Rule]:
    if any(parameter.path[: len(place)] == place for place in FIXED):
        yield parameter.path, "must be one value: trials that differ in it cannot be ranked"
    if parameter.decides_presence and not _is_yes_or_no(parameter.range):
        yield parameter.path, "must be {choice: [true, false]}"


def _is_yes_or_no(own: Range) -> bool:
    return isinstance(own, Choice) and all(isinstance(option, bool) for option in own.options)


def _size_rules(search: Search) -> Iterator[Rule]:
    settings, size = search.settings, search.grid_size
    trials: Path = ("search", "trials")
    if settings.seeds is not None:
        if len(search.parameters) > 1:
            yield ("search", "seeds"), "must stand in a strategy without ranges: every seed is one trial"
    elif settings.sampler == "grid" and size is None:
        yield from _missing_points(search)
    elif size is not None and (settings.trials or 0) > size:
        yield trials, f"must be at most {size}, for there are no more different trials; it is {settings.trials}"
    elif settings.trials is None and settings.sampler != "grid":
        yield trials, "is missing; only a grid has a number of its own"
    elif settings.trials is None and size is not None and size > MAX_TRIALS:
        yield trials, f"is missing; the grid has {size:,} trials, and a search at most {MAX_TRIALS:,}"


def _missing_points(search: Search) -> Iterator[Rule]:
    for parameter in search.parameters:
        if parameter.range.values is None:
            yield parameter.path, "must say how many values a grid takes, with points, such as points: 5"


def _objective_rules(search: Search) -> Iterator[Rule]:
    place: Path = ("search", "objective")
    objective, labels = search.settings.objective, search.strategy.labels.type
    if objective is Objective.IC and not search.strategy.is_regression:
        yield place, f"must not be ic, which needs labels of type forward_return; they are {labels}"
    varied = [each.name for each in search.parameters if each.path[0] == "labels"]
    if objective is Objective.VAL_LOSS and varied:
        yield place, f"must be lead, accuracy or sharpe: losses cannot be ranked where {varied[0]} varies"
    traded = [each.name for each in search.parameters if each.path[0] == "positions"]
    if objective is not Objective.SHARPE and traded:
        yield place, f"must be sharpe where {traded[0]} varies: positions change what is earned, and no prediction"


def _halving_rules(search: Search) -> Iterator[Rule]:
    halving, epochs = search.settings.halving, search.strategy.training.epochs
    if halving is None:
        return
    if any(each.path == ("training", "epochs") for each in search.parameters):
        yield ("training", "epochs"), "must be one number: search.halving decides how long each trial goes on"
    elif halving.min_epochs >= epochs:
        place: Path = ("search", "halving", "min_epochs")
        yield place, f"must be less than training.epochs, {epochs}; it is {halving.min_epochs}"
