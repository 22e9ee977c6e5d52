"""Entries of `indicators` that are columns of tables: their faults and their feature. They need no bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ktrdr.errors import Fault, nearest
from ktrdr.features.feature import Feature, Scale
from ktrdr.features.sources import Series
from ktrdr.strategy.sections.indicators import TableColumn

if TYPE_CHECKING:
    import polars as pl


class TableColumns:
    """The kind of entries that are columns of tables. Their numbers enter as they are: no price scales them."""

    def check(self, entry: TableColumn) -> Sequence[Fault]:
        return [
            Fault(
                key,
                f"is not a key of a table's column; its keys are {', '.join(entry.keys)}",
                value,
                nearest(key, entry.keys),
            )
            for key, value in entry.parameters.items()
        ]

    def resolve(self, entry: TableColumn) -> TableColumn:
        return entry

    def features(self, entry: TableColumn) -> tuple[Feature, ...]:
        return (Feature(entry.as_ or entry.formula, Scale.OWN),)

    def warmup(self, entry: TableColumn) -> int:
        return 0

    def compute(self, entries: Sequence[TableColumn], bars: pl.DataFrame) -> Iterator[dict[str, Series]]:
        """Nothing, for a column is joined and not computed on bars."""
        return iter(())
