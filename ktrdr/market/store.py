"""Bars on disk: one Parquet file for each series, replaced whole or not at all."""

from __future__ import annotations

import logging
import shlex
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
from filelock import BaseFileLock, FileLock

from ktrdr.errors import BarsError, InputError, ProviderConflict, SeriesNotFound, StorageError, nearest
from ktrdr.files import make_folder, remove_drafts
from ktrdr.instants import format_instant
from ktrdr.market import series_file
from ktrdr.market.bars import (
    PRICES,
    SCHEMA,
    VALUES,
    check_bars,
    check_range,
    check_spacing,
    check_symbol,
    folder_name,
    symbol_of,
)
from ktrdr.market.calendar_file import read_calendar, write_calendar
from ktrdr.market.closings import with_instants
from ktrdr.market.days import DAYS_OF_UTC, DayClock, by_trading_date
from ktrdr.market.files.frames import conform
from ktrdr.market.series_file import SeriesInfo, StoredBars, storage_errors
from ktrdr.timeframe import Timeframe

_CONFLICTS_NAMED = 3
# Beyond what rounding does to a price.
_READJUSTED = 1e-4

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What a merge did.

    Conflicts are stored bars that came again with other values: `rows_changed` counts them, and the new ones stay.
    `largest_change` is the largest difference of a price among them, relative to the larger; `first_changes` are their
    first instants, and `note` says it in words.
    """

    rows_new: int
    rows_changed: int
    rows_total: int
    first: datetime
    last: datetime
    provider: str
    largest_change: float = 0.0
    first_changes: tuple[datetime, ...] = ()
    note: str = ""


# Inside BarStore the word `list` is its method.
AllSeries = list[SeriesInfo]


class BarStore:
    """All series under one folder, `<root>/<SYMBOL>/<timeframe>.parquet`.

    Thread safety: any number of threads and processes may read and merge at once; merges of one series queue.
    Ownership: frames are copies that belong to the caller.
    Consistency: a reader sees the series before a merge or after it, never between.
    Durability: a merge that returned survives a crash; one that did not return left the old file or the new one.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, symbol: str, timeframe: str, start: date | None = None, end: date | None = None) -> pl.DataFrame:
        """The bars that `read_stored` gives, in the schema alone."""
        return self.read_stored(symbol, timeframe, start, end).frame.select(list(SCHEMA))

    def read_stored(
        self, symbol: str, timeframe: str, start: date | None = None, end: date | None = None
    ) -> StoredBars:
        """Bars from `start` to `end`, both inclusive, and who served them; with the columns of `closings.INSTANTS`.

        Raises:
            SeriesNotFound: the series is not stored.
            InputError: the dates are reversed, or no stored bar lies between them.
            StorageError: the file is damaged, or was put there by another tool and does not hold bars in their order.
        """
        return self.read_many([symbol], timeframe, start, end)[symbol]

    def read_many(
        self, symbols: Sequence[str], timeframe: str, start: date | None = None, end: date | None = None
    ) -> dict[str, StoredBars]:
        """What `read_stored` reads of each symbol, in less time; it raises the same."""
        paths = [self._existing(symbol, timeframe) for symbol in symbols]
        read: dict[str, StoredBars] = {}
        for symbol, path, stored in zip(
            symbols, paths, series_file.read_many(paths, *check_range(start, end)), strict=True
        ):
            if stored.frame.is_empty():
                raise self._outside(symbol, timeframe, start, end)
            read[symbol] = _with_calendar(path, stored)
        return read

    def read_ahead(
        self, symbols: Sequence[str], timeframes: Sequence[str], start: date | None = None, end: date | None = None
    ) -> Callable[[str, str], StoredBars]:
        """`read_stored` in that range, by symbol and timeframe; the first read of each named series is done at once."""
        ahead = {
            (symbol, timeframe): stored
            for timeframe in timeframes
            for symbol, stored in self.read_many(symbols, timeframe, start, end).items()
        }

        def read(symbol: str, timeframe: str) -> StoredBars:
            # Whoever reads a series owns it: nothing is held here any longer.
            return ahead.pop((symbol, timeframe), None) or self.read_stored(symbol, timeframe, start, end)

        return read

    def merge(
        self,
        symbol: str,
        timeframe: str,
        frame: pl.DataFrame,
        provider: str,
        *,
        replace: bool = False,
        clock: DayClock | None = None,
    ) -> MergeReport:
        """Unite the stored bars with `frame` by timestamp; where both have a bar, the new one stays.

        What is overwritten so is told, with its count, its size and its first instants. Bars that are stored already
        change nothing, not even the file. With `replace` the series holds the new bars alone afterwards, whatever was
        stored and in whatever state. Days and weeks stand at their trading dates and open by `clock`; where they stand
        at instants, both are found from these.

        Raises:
            BarsError: a row is wrong, the new bars stand between the stored ones, or their days open at another time;
                nothing was stored.
            ProviderConflict: the stored bars are of another provider; nothing was stored.
        """
        path, length = self._path(symbol, timeframe), Timeframe.parse(timeframe)
        new = check_bars(conform(frame))
        if new.is_empty():
            raise InputError(f"there are no bars of {symbol} {timeframe} to store", symbol=symbol, timeframe=timeframe)
        check_spacing(new, length)
        if length.is_by_date and clock is None:
            new, clock = by_trading_date(new, check_symbol(symbol), length, read_calendar(path.parent))
        check_bars(new, length)
        with storage_errors(path), _exclusive(path):
            remove_drafts(path)
            if replace or not path.exists():
                series_file.write(path, new, provider, clock)
                return _report(new, provider, rows_new=len(new))
            stored = series_file.info(path)
            check_provider(stored, provider)
            return _merge_into(path, new, provider, _joint_clock(stored, clock, new))

    def calendar(self, symbol: str) -> str | None:
        """The calendar that somebody has named for a symbol."""
        return read_calendar(self.root / folder_name(symbol))

    def set_calendar(self, symbol: str, name: str | None) -> None:
        """Without a name the calendar is a guess again."""
        folder = self.root / folder_name(symbol)
        with storage_errors(folder):
            write_calendar(folder, name)

    def list(self) -> AllSeries:
        """Every series by symbol and length of bar, from the files' footers; damaged files are logged and left out."""
        return [info for path in self._series_files() if (info := _info_or_warning(path))]

    def info(self, symbol: str, timeframe: str) -> SeriesInfo:
        return series_file.info(self._existing(symbol, timeframe))

    def find(self, symbol: str, timeframe: str) -> SeriesInfo | None:
        """As `info`, but None when the series is not stored."""
        path = self._path(symbol, timeframe)
        with storage_errors(path):
            return series_file.info(path) if path.is_file() else None

    def remove(self, symbol: str, timeframe: str) -> SeriesInfo:
        """Remove a series with all that is known of it, and say what it was. Raises SeriesNotFound, StorageError."""
        path = self._existing(symbol, timeframe)
        with storage_errors(path), _exclusive(path):
            removed = series_file.info(path)
            path.unlink()
            for beside in path.parent.glob(f".{path.stem}.*.json"):
                beside.unlink()
        return removed

    def timeframes(self, symbol: str) -> tuple[Timeframe, ...]:
        """Those that are stored of a symbol, shortest first."""
        name = check_symbol(symbol)
        return tuple(Timeframe(path.stem) for path in self._series_files() if path.parent.name == name)

    def check_writable(self) -> None:
        """Raises StorageError, with the system's reason, when bars could not be stored now."""
        probe = self.root / f".writable-{uuid.uuid4().hex}.tmp"
        with storage_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            try:
                probe.write_bytes(b"\0" * 4096)
            finally:
                probe.unlink(missing_ok=True)

    def _path(self, symbol: str, timeframe: str) -> Path:
        return self.root / folder_name(symbol) / f"{Timeframe.parse(timeframe)}.parquet"

    def _existing(self, symbol: str, timeframe: str) -> Path:
        path = self._path(symbol, timeframe)
        with storage_errors(path):
            if path.is_file():
                return path
        symbol, timeframe = symbol_of(path.parent.name), path.stem
        stored = [(symbol_of(file.parent.name), file.stem) for file in self._series_files()]
        hint = f"load it with: ktrdr data load {shlex.quote(symbol)} {timeframe}"
        if others := [stem for name, stem in stored if name == symbol]:
            hint += f" (stored for {symbol}: {', '.join(others)})"
        elif similar := nearest(symbol, {name for name, _ in stored}):
            hint += f" (did you mean {similar}, which is stored?)"
        raise SeriesNotFound(
            f"no bars of {symbol} {timeframe} are stored", hint=hint, symbol=symbol, timeframe=timeframe
        )

    def _series_files(self) -> Iterable[Path]:
        with storage_errors(self.root):
            files = [path for path in self.root.glob("*/*.parquet") if path.stem in list(Timeframe)]
        return sorted(files, key=lambda path: (path.parent.name, Timeframe(path.stem).length))

    def _outside(self, symbol: str, timeframe: str, start: date | None, end: date | None) -> InputError:
        stored = self.info(symbol, timeframe)
        bounds = f"{start or 'the beginning'} to {end or 'the end'}"
        return InputError(
            f"no bar of {stored.symbol} {timeframe} lies in {bounds}; stored are {stored.rows} bars "
            f"from {stored.first:%Y-%m-%d %H:%M} to {stored.last:%Y-%m-%d %H:%M} UTC",
            hint=f"choose dates in that range, or load more with: ktrdr data load {stored.symbol} {stored.timeframe}"
            + (f" --start-date {start:%Y-%m-%d}" if start else "")
            + (f" --end-date {end:%Y-%m-%d}" if end else ""),
            first=format_instant(stored.first, "seconds"),
            last=format_instant(stored.last, "seconds"),
        )


def _with_calendar(path: Path, stored: StoredBars) -> StoredBars:
    calendar = read_calendar(path.parent)
    frame = with_instants(stored.frame, Timeframe(path.stem), stored.clock, calendar)
    return replace(stored, frame=frame, calendar=calendar)


def check_provider(stored: SeriesInfo, provider: str) -> None:
    """Raises ProviderConflict when bars of `provider` may not join a stored series.

    Prices of two sources differ by more than noise: one adjusts for dividends, another for splits alone, a third
    makes them up. A series mixed of them has jumps that no market made.
    """
    if provider == stored.provider:
        return
    series = f"{stored.symbol} {stored.timeframe}"
    raise ProviderConflict(
        f"{series} is stored from {stored.provider} ({stored.rows:,} bars, {stored.first:%Y-%m-%d} to "
        f"{stored.last:%Y-%m-%d}); bars from {provider} cannot join it, one series holds those of one provider",
        hint=f"give --replace to drop what is stored and start {series} anew from {provider}",
        symbol=stored.symbol,
        timeframe=stored.timeframe,
        stored=stored.provider,
        provider=provider,
    )


def _joint_clock(stored: SeriesInfo, clock: DayClock | None, new: pl.DataFrame) -> DayClock | None:
    """How the days of the united series open. Raises BarsError when the new ones open at another time."""
    known = stored.clock or clock
    if stored.clock == clock or known is None:
        return known
    is_one_known = stored.clock is None or clock is None
    # Bare dates, and instants that older versions cut to them, join where both are the same dates.
    if is_one_known and known.opens_on(new["timestamp"].to_numpy().astype("datetime64[us]")):
        return known
    ours, theirs = stored.clock or DAYS_OF_UTC, clock or DAYS_OF_UTC
    series = f"{stored.symbol} {stored.timeframe}"
    raise BarsError(
        f"the stored days of {series} open at {ours.short}, and these at {theirs.short}: they cannot join",
        hint=f"start {series} anew with --replace, or name the zone of its days with --timezone",
        symbol=stored.symbol,
        timeframe=stored.timeframe,
    )


def _merge_into(path: Path, new: pl.DataFrame, provider: str, clock: DayClock | None) -> MergeReport:
    old = series_file.read(path).frame
    added = new.join(old, on="timestamp", how="anti")
    conflicts = _conflicts(old, new)
    if not len(added) and not len(conflicts):
        return _report(old, provider, rows_new=0)
    kept = old.join(new, on="timestamp", how="anti")
    merged = pl.concat([kept, new]).sort("timestamp")
    _check_grid(path, old, new, merged)
    series_file.write(path, merged, provider, clock)
    return _report(merged, provider, rows_new=len(added), conflicts=conflicts, old=old)


def _check_grid(path: Path, old: pl.DataFrame, new: pl.DataFrame, merged: pl.DataFrame) -> None:
    """Where both have bars, those of one must not stand between those of the other."""
    (old_first, old_last), (new_first, new_last) = series_file.ends(old), series_file.ends(new)
    shared = merged.filter(pl.col("timestamp").is_between(max(old_first, new_first), min(old_last, new_last)))
    try:
        check_spacing(shared, Timeframe(path.stem))
    except BarsError as error:
        raise BarsError(
            f"with the stored bars of {symbol_of(path.parent.name)} {path.stem} these would be {error.detail}",
            hint="import bars that open at the instants of the stored ones, or start the series anew with --replace",
        ) from error


def _conflicts(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Stored bars that have other values in `new`: their instants, and by how much prices and volume differ."""
    both = old.join(new, on="timestamp", how="inner", suffix="_new", maintain_order="left")
    pairs = {name: (pl.col(name), pl.col(f"{name}_new")) for name in VALUES}
    # Relative to the larger one: then a volume that was 0 before has a size too.
    sizes = {name: (ours - theirs).abs() / pl.max_horizontal(ours, theirs) for name, (ours, theirs) in pairs.items()}
    return both.filter(pl.any_horizontal(pl.col(name) != pl.col(f"{name}_new") for name in VALUES)).select(
        "timestamp", price=pl.max_horizontal(sizes[name] for name in PRICES), volume=sizes["volume"]
    )


def _report(
    frame: pl.DataFrame,
    provider: str,
    *,
    rows_new: int,
    conflicts: pl.DataFrame | None = None,
    old: pl.DataFrame | None = None,
) -> MergeReport:
    first, last = series_file.ends(frame)
    if conflicts is None or old is None or conflicts.is_empty():
        return MergeReport(rows_new, 0, len(frame), first, last, provider)
    size = conflicts["price"].max()
    return MergeReport(
        rows_new,
        len(conflicts),
        len(frame),
        first,
        last,
        provider,
        largest_change=size if isinstance(size, float) else 0.0,
        first_changes=tuple(stamp.astimezone(UTC) for stamp in conflicts["timestamp"].head(_CONFLICTS_NAMED)),
        note=_told(conflicts, old),
    )


def _told(conflicts: pl.DataFrame, old: pl.DataFrame) -> str:
    stamps = conflicts["timestamp"]
    form = "%Y-%m-%d" if (stamps == stamps.dt.truncate("1d")).all() else "%Y-%m-%d %H:%M"
    named = ", ".join(stamp.strftime(form) for stamp in stamps.head(_CONFLICTS_NAMED))
    more = ", …" if len(stamps) > _CONFLICTS_NAMED else ""
    price, volume = (float(conflicts[name].fill_nan(0).max() or 0) for name in ("price", "volume"))  # type: ignore[arg-type]
    by = " and ".join(f"{what} by up to {size:.3g} %" for what, size in _sizes(price, volume))
    text = f"{len(stamps):,} stored bars came again with other values and were overwritten ({by}): {named}{more}"
    if price > _READJUSTED and stamps[0] > old["timestamp"][0]:
        # Adjustments to prices reach back to the first bar, so those before this load still have the old one.
        text += (
            f"; bars before {stamps[0].strftime(form)} are as they were: if prices were adjusted anew, load all again"
        )
    return text


def _sizes(price: float, volume: float) -> list[tuple[str, float]]:
    return [(what, 100 * size) for what, size in (("prices", price), ("volume", volume)) if size > 0]


def _exclusive(path: Path) -> BaseFileLock:
    """Lets one merge of a series run at a time, among threads and processes."""
    make_folder(path.parent)
    return FileLock(path.with_name(f".{path.stem}.lock"))


def _info_or_warning(path: Path) -> SeriesInfo | None:
    try:
        return series_file.info(path)
    except StorageError as error:
        _log.warning("%s; %s", error.detail, error.hint)
        return None
