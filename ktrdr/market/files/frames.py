"""Frames of any columns and types as bars, for callers that have read a file themselves."""

from __future__ import annotations

from dataclasses import asdict

import polars as pl

from ktrdr.errors import BarsError
from ktrdr.market.bars import SCHEMA, VALUES, RowFault, find_faults, shown_faults
from ktrdr.market.files.columns import find_columns
from ktrdr.market.files.numbers import Marks, read_numbers
from ktrdr.market.files.stamps import read_stamps
from ktrdr.market.files.table import table_of
from ktrdr.market.files.zones import to_instants
from ktrdr.payloads.files import FileDialect
from ktrdr.timeframe import Timeframe

_ROWS_NAMED = 5


def conform(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame in SCHEMA, row order kept: names folded, dates, texts and epoch numbers made UTC instants.

    Times without a zone are taken as UTC. Other columns are dropped.

    Raises:
        InputError: day and month cannot be told apart, or a decimal mark from one of thousands.
        BarsError: a column is missing, or values cannot be read (all rows named, other faults listed beside).
    """
    if frame.schema == pl.Schema(SCHEMA):
        return frame
    table = table_of(frame)
    columns = find_columns(table, {}, "", None)
    if missing := [name for name in VALUES if name not in columns.values]:
        raise BarsError(f"no column {', '.join(missing)}; the columns found are {', '.join(frame.columns[:20])}")
    stamps = read_stamps(table, columns, Timeframe.DAY, FileDialect())
    texts = {name: table.column(place) for name, place in columns.values.items()}
    numbers = read_numbers(texts, Marks()).values
    read = pl.DataFrame({"timestamp": to_instants(stamps.times, ""), **numbers}).select(*SCHEMA)
    _check_readable(read, pl.DataFrame({"timestamp": stamps.texts, **texts}))
    return read


def _check_readable(read: pl.DataFrame, original: pl.DataFrame) -> None:
    """Raises BarsError naming the rows whose values could not be read, and what else is wrong with the others."""
    lost = original.select(pl.col(name).is_not_null() & read[name].is_null() for name in SCHEMA)
    unreadable = [fault for name in SCHEMA if (fault := _unreadable(name, original[name], lost[name]))]
    if not unreadable:
        return
    others = find_faults(read.with_row_index("row", offset=1).filter(~lost.max_horizontal()))
    faults = [*unreadable, *others]
    raise BarsError(
        shown_faults(faults),
        hint="correct or remove these rows and try again; nothing was stored",
        faults=[asdict(fault) for fault in faults],
    )


def _unreadable(name: str, original: pl.Series, lost: pl.Series) -> RowFault | None:
    rows = lost.arg_true()
    if not len(rows):
        return None
    example = str(original[rows[0]])[:40]
    what = "a time that can be read" if name == "timestamp" else "a number"
    return RowFault(f"{name} {example!r} is not {what}", len(rows), tuple((rows.head(_ROWS_NAMED) + 1).to_list()))
