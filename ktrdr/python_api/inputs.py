"""What callers pass, in the types that ktrdr works with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ktrdr.errors import InputError
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.features.inputs import with_other_series
from ktrdr.features.timeframes import on_timeframes
from ktrdr.home import Home
from ktrdr.market.store import BarStore
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.market.tables.store import TableStore
from ktrdr.settings import read_settings
from ktrdr.strategy.editing import with_settings
from ktrdr.strategy.loading import load_strategy
from ktrdr.strategy.spec import Strategy

if TYPE_CHECKING:
    pass

Day = date | str | None


def new_folder(strategy: Strategy) -> Path:
    """In the working directory, named after the strategy and the time."""
    return Path(f"{strategy.slug}-{datetime.now(UTC):%Y%m%d-%H%M%S}")


def read_strategy(
    strategy: Strategy | str | Path, timeframes: Sequence[str], settings: Mapping[str, Any] = MappingProxyType({})
) -> tuple[Strategy, str]:
    """The strategy on its timeframes, and its YAML text. Raises StrategyError and InputError."""
    text = with_settings(strategy_text(strategy), settings)
    return on_timeframes(load_strategy(text, IndicatorCatalogue()), timeframes), text


def strategy_text(strategy: Strategy | str | Path) -> str:
    """Raises InputError for a file that cannot be read."""
    if isinstance(strategy, Strategy):
        return strategy.model_dump_json(exclude_none=True)  # JSON is YAML
    return read_text(Path(strategy)) if isinstance(strategy, Path) or "\n" not in strategy else strategy


def read_bars(
    strategy: Strategy, symbols: Sequence[str], start: Day, end: Day, home: Path | str | None
) -> dict[str, SymbolBars]:
    """Read each symbol's bars of every timeframe, and what its features read beside them.

    Raises SeriesNotFound and TableNotFound.
    """
    opened, names = open_home(home), strategy.timeframes
    read = BarStore(opened.bars).read_ahead(symbols, names, parse_day(start), parse_day(end))
    bars = {symbol: SymbolBars.of({each: read(symbol, each) for each in names}) for symbol in symbols}
    return with_other_series(strategy, bars, read, TableStore(opened.tables).read)


def open_home(home: Path | str | None) -> Home:
    return Home(Path(home) if home else read_settings().ktrdr_home)


def parse_day(day: Day) -> date | None:
    """Raises InputError."""
    if not isinstance(day, str):
        return day
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise InputError(f"{day!r} is not a date", hint="write YYYY-MM-DD") from None


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", hint="check the folder and the name") from None


def read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"there is no file {path}", hint="pass a path, YAML text or a Strategy") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
