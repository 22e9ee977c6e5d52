"""Stored bars and tables, and the features that are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ktrdr.errors import InputError
from ktrdr.market.store import BarStore
from ktrdr.market.tables.store import TableStore
from ktrdr.python_api.inputs import Day, open_home, parse_day, read_bars, read_bytes, read_strategy
from ktrdr.strategy.spec import Strategy
from ktrdr.timeframe import Timeframe

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.market.loading import Loaded
    from ktrdr.payloads.tables import TableInfo


def bars(
    symbol: str, timeframe: str, *, start: Day = None, end: Day = None, home: Path | str | None = None
) -> pl.DataFrame:
    """Read stored bars: timestamp (UTC, the opening instant), open, high, low, close, volume. Dates are inclusive.

    `home` is ktrdr's data folder; the default comes from the settings. Raises SeriesNotFound.
    """
    return BarStore(open_home(home).bars).read(symbol, timeframe, parse_day(start), parse_day(end))


def load(
    symbol: str,
    timeframe: str,
    *,
    provider: str = "auto",
    start: Day = None,
    end: Day = None,
    calendar: str = "",
    home: Path | str | None = None,
) -> Loaded:
    """Bring a stored series up to date, as `ktrdr data load` does: request only missing bars.

    `calendar`, such as XNYS, is named for the symbol; "guess" forgets the one that was. Raises InputError and
    ProviderError.
    """
    from ktrdr.market import loading
    from ktrdr.market.calendars import check_naming
    from ktrdr.market.providers import provider_for

    store = BarStore(open_home(home).bars)
    source = provider_for(provider, store.find(symbol, timeframe))
    first, last = parse_day(start), parse_day(end)
    wanted = loading.Wanted(symbol, Timeframe.parse(timeframe), first, last, calendar=check_naming(calendar))
    return loading.load(store, source, wanted, loading.Unwatched())


def import_table(
    file: Path | str,
    *,
    known_at: str,
    name: str = "",
    period_column: str = "",
    symbol_column: str = "",
    timezone: str = "",
    replace: bool = False,
    home: Path | str | None = None,
) -> TableInfo:
    """Import a CSV or Parquet file whose column `known_at` says since when each row is known, as `{table: name, …}`.

    `name` is by default the file's. Rows of one period with different `known_at` are its revisions; `period_column` and
    `symbol_column` are found by their names where they are not given. A date counts as known at the end of its day in
    `timezone`, or else wherever that is last on earth; times without a zone need one. Rows are added to a stored table,
    or take its place with `replace`.

    Raises InputError, ConflictError where stored rows have other numbers, and StorageError.
    """
    from ktrdr.payloads.tables import TableReading

    path = Path(file)
    options = {"period_column": period_column, "symbol_column": symbol_column, "timezone": timezone}
    reading = TableReading.model_validate({"known_at": known_at} | {key: each for key, each in options.items() if each})
    store = TableStore(open_home(home).tables)
    return store.import_file(name or path.stem, read_bytes(path), path.name, reading, replace=replace)


def tables(*, home: Path | str | None = None) -> tuple[TableInfo, ...]:
    """What is known of each stored table, by name. Raises StorageError."""
    return TableStore(open_home(home).tables).list()


def build_features(
    strategy: Strategy | str | Path,
    symbol: str | Sequence[str],
    timeframes: Sequence[str] = (),
    *,
    start: Day = None,
    end: Day = None,
    home: Path | str | None = None,
) -> pl.DataFrame:
    """Compute features: one row a bar of the shortest timeframe, with its opening instant and the unscaled features.

    Of several symbols the rows stand one symbol after another, and a first column names the symbol. Features are null
    in warm-up rows, of which there are more after a hole in the bars. `strategy` is a Strategy, YAML text or a path.
    Raises StrategyError, InputError, SeriesNotFound and TrainingDataError.
    """
    from ktrdr.features.feature_table import feature_table, feature_tables

    chosen, _ = read_strategy(strategy, timeframes)
    if isinstance(symbol, str):
        return feature_table(chosen, symbol, read_bars(chosen, [symbol], start, end, home)[symbol])
    if not symbol:
        raise InputError("no symbol is named", hint="name at least one, as AAPL")
    return feature_tables(chosen, read_bars(chosen, symbol, start, end, home))
