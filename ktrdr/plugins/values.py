"""Checks what the functions of plugins return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.plugins.loading import Plugin

if TYPE_CHECKING:
    import polars as pl

Series = NDArray[np.float64]


def one_series(plugin: Plugin, returned: Any, rows: int) -> Series:
    """[rows], float64, NaN for null. Raises PluginError for anything but a pl.Series of so many numbers."""
    import polars as pl

    if not isinstance(returned, pl.Series):
        raise plugin.error(f"returns {_article(returned)} and not a pl.Series")
    return _numbers(plugin, returned, rows, "a series")


def columns(plugin: Plugin, returned: Any, rows: int) -> list[Series]:
    """As `one_series`, of each output of a feature that declares several."""
    import polars as pl

    declared = list(plugin.declaration.outputs)
    if not isinstance(returned, pl.DataFrame):
        raise plugin.error(f"returns {_article(returned)} and not a pl.DataFrame with the columns {declared}")
    if returned.columns != declared:
        raise plugin.error(f"returns the columns {returned.columns}; its outputs are {declared}")
    return [_numbers(plugin, column, rows, f"the column {column.name}") for column in returned.get_columns()]


def _numbers(plugin: Plugin, values: pl.Series, rows: int, what: str) -> Series:
    import polars as pl

    if len(values) != rows:
        raise plugin.error(f"returns {what} of {len(values):,} values for {rows:,} bars")
    if not (values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.Null)):
        raise plugin.error(f"returns {what} of {values.dtype}, which are no numbers")
    return values.cast(pl.Float64).fill_null(np.nan).to_numpy(writable=True)


def _article(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
