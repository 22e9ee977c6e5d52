"""A search: a strategy with ranges, its proposals by chance and by grid, and the strategy of each trial."""

from __future__ import annotations

import random
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from ktrdr.strategy.document import Document, Path
from ktrdr.strategy.editing import filled
from ktrdr.strategy.grid import grid_size, grid_values
from ktrdr.strategy.ranges import Parameter
from ktrdr.strategy.search_spec import SearchSettings
from ktrdr.strategy.spec import Strategy

SECTION: Path = ("search",)

MAX_SHUFFLED = 10_000
"""Combinations up to which proposals by chance repeat none."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """The values of one trial.

    number: of the trial, from 0
    values: one for each parameter of the search, in their order; None for those of an indicator that is not there
    """

    number: int
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """A strategy with ranges.

    text: the YAML with its ranges and its section `search`
    document: the same, parsed
    settings: that section
    parameters: what varies, in the document's order
    strategy: with the first value of each range
    """

    text: str
    document: Document
    settings: SearchSettings
    parameters: tuple[Parameter, ...]
    strategy: Strategy

    @property
    def grid_size(self) -> int | None:
        """The number of different trials; None where a parameter has any number of values."""
        return grid_size(self.parameters)

    @property
    def trials(self) -> int:
        count = self.settings.trials or self.grid_size
        assert count is not None
        return count

    def present(self, proposal: Proposal) -> list[tuple[Parameter, Any]]:
        """The parameters with their values, without those of the indicators that are not there."""
        absent = self._absent(proposal.values)
        pairs = zip(self.parameters, proposal.values, strict=True)
        return [(each, value) for each, value in pairs if each.decides_presence or each.path[:2] not in absent]

    def named(self, proposal: Proposal) -> dict[str, Any]:
        """The values by their titles, such as `training.learning_rate` and `average.period`."""
        return {each.title: value for each, value in self.present(proposal)}

    def strategy_text(self, proposal: Proposal) -> str:
        """The YAML of one trial: no ranges, no section `search`, all else as it was written."""
        present = self.present(proposal)
        values = {each.path: value for each, value in present if not each.decides_presence}
        decisions = [(each.path, value) for each, value in present if each.decides_presence]
        without = [path if value else path[:2] for path, value in decisions]
        return filled(self.text, values, [*without, SECTION])

    def strategy_document(self, proposal: Proposal) -> Document:
        """What reading `strategy_text` would give, with the lines of the search."""
        return with_values(self.document, self.parameters, proposal.values)

    def at_random(self, number: int) -> Proposal:
        """A proposal by chance, which the search's seed and the number decide. A small space repeats none."""
        size = self.grid_size
        if size is not None and size <= MAX_SHUFFLED:
            return self.on_grid(_shuffled(size, self.settings.seed)[number % size], number)
        draw = random.Random(f"{self.settings.seed}/{number}")
        return self.proposal(number, [each.range.pick(draw.random()) for each in self.parameters])

    def on_grid(self, position: int, number: int) -> Proposal:
        return Proposal(number, grid_values(self.parameters, position))

    def proposal(self, number: int, values: Sequence[Any]) -> Proposal:
        """A proposal of these values, without those of the indicators that are not there."""
        absent = self._absent(values)
        pairs = zip(self.parameters, values, strict=True)
        return Proposal(
            number,
            tuple(None if each.path[:2] in absent and not each.decides_presence else value for each, value in pairs),
        )

    def _absent(self, values: Sequence[Any]) -> set[Path]:
        pairs = zip(self.parameters, values, strict=True)
        return {each.path[:2] for each, value in pairs if each.decides_presence and not value}


def with_values(document: Document, parameters: Sequence[Parameter], values: Sequence[Any]) -> Document:
    """The document of a trial: `values` in place of the parameters' ranges, and no section `search`."""
    data = deepcopy(document.data)
    data.pop("search", None)
    absent = set()
    for parameter, value in zip(parameters, values, strict=True):
        *way, key = parameter.path
        holder = data
        for part in way:
            if isinstance(holder, dict) and holder.get(part) is None:
                holder[part] = {}  # a section that only the search gives a value to
            holder = holder[part]
        if not parameter.decides_presence:
            holder[key] = value
        elif value:
            del holder[key]
        else:
            absent.add(way[1])
    if absent:
        data["indicators"] = [item for number, item in enumerate(data["indicators"]) if number not in absent]
    return Document(data, document.lines, document.faults)


def _shuffled(size: int, seed: int) -> list[int]:
    """All positions in an order by chance, which no version of Python changes (Fisher and Yates)."""
    draw, order = random.Random(seed), list(range(size))
    for last in range(size - 1, 0, -1):
        other = int(draw.random() * (last + 1))
        order[last], order[other] = order[other], order[last]
    return order
