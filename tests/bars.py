"""Series of bars for tests: made ones everywhere, and the real ones too where they lie beside the project."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from ktrdr.market.bars import conform
from tests import made_bars

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

Series = Callable[[str], pl.DataFrame]
"""`symbol_timeframe` -> the bars of that series."""


@cache
def made(name: str) -> pl.DataFrame:
    return made_bars.make(name)


@cache
def real(name: str) -> pl.DataFrame:
    return conform(pl.read_csv(_real_file(name), infer_schema=False))


def _real_file(name: str) -> Path:
    return SHARED / "bars" / f"{name}.csv"


NAMES = made_bars.NAMES
SOURCES: tuple[Series, ...] = (made, real) if (SHARED / "bars").is_dir() else (made,)
one_source = SOURCES[-1]
"""For tests that are too long to be run on each."""

every_source = pytest.mark.parametrize("series", SOURCES, ids=lambda source: source.__name__)


def csv_of(series: Series, name: str, folder: Path, year: int | None = None) -> Path:
    """The series, or one year of it, as a file: a whole real one where it lies, else one in `folder`."""
    if series is real and year is None:
        return _real_file(name)
    bars, path = series(name), folder / f"{name}.csv"
    bars = bars.filter(pl.col("timestamp").dt.year() == year) if year else bars
    bars.with_columns(pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv(path)
    return path
