"""A table of runs as a Polars frame."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from ktrdr.payloads.runs import RunTable, Value
from ktrdr.run_table.query import as_text


def frame_of(table: RunTable) -> pl.DataFrame:
    """One row for each run. `created` is an instant in UTC, symbols, timeframes and tags are lists of texts.

    A setting that is a number in some runs and a text in others is a text in all.
    """
    columns = {
        column.name: _series(column.name, [row.values[place] for row in table.rows])
        for place, column in enumerate(table.columns)
    }
    frame = pl.DataFrame(columns)
    if "created" in columns and len(frame):
        frame = frame.with_columns(pl.col("created").str.to_datetime(time_zone="UTC"))
    return frame


def _series(name: str, values: Sequence[Value]) -> pl.Series:
    present = [value for value in values if value is not None]
    if present and all(isinstance(value, tuple) for value in present):
        return pl.Series(name, [list(value) if isinstance(value, tuple) else None for value in values])
    numbers = [value for value in present if isinstance(value, int | float) and not isinstance(value, bool)]
    kinds = {type(value) for value in present}
    if len(kinds) < 2 or len(numbers) == len(present):
        return pl.Series(name, values, strict=False)
    return pl.Series(name, [None if value is None else as_text(value) for value in values])
