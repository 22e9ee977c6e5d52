"""Which column of a file holds the volume: ticks stand in where the volume itself is 0 throughout."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from ktrdr.market.files.columns import Columns
from ktrdr.market.files.numbers import as_floats, is_empty
from ktrdr.market.files.table import Table


def with_volume(table: Table, columns: Columns) -> tuple[Columns, str]:
    """The columns with the one that is taken as volume, or none; and what a reader has to know about it."""
    volume, ticks = columns.volume, columns.tick_volume
    if volume is None or is_empty(table.column(volume)).all():
        if ticks is not None:
            return replace(columns, volume=ticks), "volume counts ticks"
        words = "there is no volume in the file: it is 0" if volume is None else "no volume: it is 0"
        return replace(columns, volume=None), words
    if ticks is None or not _is_zero(table.column(volume)) or _is_zero(table.column(ticks)):
        return columns, ""
    names = table.names or ()
    words = f"volume from {names[ticks - 1]}, because {names[volume - 1]} is 0 throughout"
    return replace(columns, volume=ticks), words


def _is_zero(values: pl.Series) -> bool:
    return bool((as_floats(values).fill_null(0) == 0).all())
