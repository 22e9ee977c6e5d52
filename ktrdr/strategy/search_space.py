"""A search: a strategy with ranges, its proposals by chance and by grid, and the strategy of each trial."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ktrdr.strategy.document import Path
from ktrdr.strategy.editing import edited
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
    settings: that section
    parameters: what varies, in the document's order
    strategy: with the first value of each range
    """

    text: str
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
        return edited(self.text, values, [*without, SECTION])

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


def _shuffled(size: int, seed: int) -> list[int]:
    """All positions in an order by chance, which no version of Python changes (Fisher and Yates)."""
    draw, order = random.Random(seed), list(range(size))
    for last in range(size - 1, 0, -1):
        other = int(draw.random() * (last + 1))
        order[last], order[other] = order[other], order[last]
    return order
