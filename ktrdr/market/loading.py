"""Loading one series: only what is missing is asked for, and what has come is kept whatever happens then."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

import numpy as np
import polars as pl

from ktrdr.errors import InputError, NoBars, ProviderError
from ktrdr.market.bad_rows import UNCHANGED, Mending
from ktrdr.market.bars import PRICES, SCHEMA, check_range, check_symbol
from ktrdr.market.calendars import choose_calendar, named_calendar
from ktrdr.market.closings import closed_by, with_instants
from ktrdr.market.fetched_ranges import read_answered, write_answered
from ktrdr.market.provider import Page, Provider, check_able, clock_of, notes
from ktrdr.market.ranges import BEGINNING, Expected, Range, held, missing, without
from ktrdr.market.rate_limit import RateLimiter
from ktrdr.market.series_file import SeriesInfo
from ktrdr.market.sessions import Instants, instant, sessions_if_known
from ktrdr.market.store import BarStore, MergeReport
from ktrdr.timeframe import Timeframe

# How many stored bars are asked for once more, to see whether their prices are still those.
OVERLAP_BARS = 10

# Younger than this, bars that are not there yet may still come.
_SETTLED = timedelta(days=3)
_KEPT_EVERY_S = 20.0
# Adjusted prices come back alike to seven digits; the least dividends move the fifth.
_SAME = 1e-5


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a series is to hold.

    clips: whether all that a provider has will do where its history is shorter than asked for
    calendar: as `check_naming` returns it; it is used, and stored for the symbol once the load has succeeded
    """

    symbol: str
    timeframe: Timeframe
    start: date | None = None
    end: date | None = None
    replaces: bool = False
    clips: bool = False
    calendar: str = ""


class Watcher(Protocol):
    """Hears how a load goes on, from its own thread."""

    def on_page(self, page: Page, rows: int, share: float) -> None:
        """`rows` so far, this page's included; `share` of the asked ranges that has been answered."""

    def on_storing(self, rows: int) -> None: ...

    def wait(self, seconds: float) -> None:
        """Sleep. Raises Stopped."""

    def stop_requested(self) -> bool: ...


class Unwatched:
    """A watcher that hears nothing, waits, and never stops."""

    def on_page(self, page: Page, rows: int, share: float) -> None:
        pass

    def on_storing(self, rows: int) -> None:
        pass

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def stop_requested(self) -> bool:
        return False


class Stopped(Exception):
    """Somebody asked for the end of a load."""


@dataclass(slots=True)
class Loaded:
    """What became of a load; with a `failure`, or when it was stopped, the bars that came before it are stored."""

    provider: str
    rows_fetched: int = 0
    pages: int = 0
    asked: list[Range] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    merges: list[MergeReport] = field(default_factory=list)
    mending: Mending = UNCHANGED
    failure: ProviderError | None = None
    was_stopped: bool = False

    @property
    def note(self) -> str:
        return notes([*self.notes, self.mending.note])

    @property
    def rows_new(self) -> int:
        return sum(merge.rows_new for merge in self.merges)

    @property
    def rows_changed(self) -> int:
        return sum(merge.rows_changed for merge in self.merges)

    @property
    def largest_change(self) -> float:
        """Of a stored price that came again with another value, relative to the larger one."""
        return max((merge.largest_change for merge in self.merges), default=0.0)


def load(store: BarStore, provider: Provider, wanted: Wanted, watcher: Watcher, now: datetime | None = None) -> Loaded:
    """Bring a series up to what is wanted of it.

    Raises:
        InputError: the request cannot be right, or is none that the provider can serve.
        ProviderError: nothing came at all.
    """
    return _Load(store, provider, _checked(provider, wanted, now or datetime.now(UTC)), watcher, now).run()


def _checked(provider: Provider, wanted: Wanted, now: datetime) -> Wanted:
    earliest = provider.capabilities.earliest(wanted.timeframe, now)
    start, (since, _) = wanted.start, check_range(wanted.start, None)
    if wanted.clips and earliest and since and since < earliest:
        start = (earliest + timedelta(minutes=30)).replace(second=0, microsecond=0)
    check_able(provider.capabilities, wanted.timeframe, start, wanted.end, now)
    return replace(wanted, symbol=check_symbol(wanted.symbol), start=start)


class _Load:
    def __init__(
        self, store: BarStore, provider: Provider, wanted: Wanted, watcher: Watcher, now: datetime | None
    ) -> None:
        self._store = store
        self._provider = provider
        self._wanted = wanted
        self._watcher = watcher
        self._now = now or datetime.now(UTC)
        self._step = wanted.timeframe.length
        self._calendar = named_calendar(wanted.calendar, store.calendar(wanted.symbol))
        self._stored: SeriesInfo | None = None
        self._answered: list[Range] = []
        self._loaded = Loaded(provider.name)
        self._waiting: list[Page] = []
        self._kept_at = time.monotonic()

    def run(self) -> Loaded:
        wanted = self._wanted
        self._stored = self._store.find(wanted.symbol, wanted.timeframe)
        since, until = self._whole()
        if since >= until:
            raise InputError(f"{wanted.start} lies in the future", hint="begin at a day that has bars already")
        if wanted.replaces or self._stored is None:
            self._fetch_anew(self._whole(), replaces=self._stored is not None)
        elif self._provider.capabilities.whole:
            self._fetch_anew(self._whole(), replaces=False)
        else:
            self._loaded.provider = self._stored.provider
            self._fetch_missing(self._stored)
        loaded = self._loaded
        if loaded.failure and not loaded.merges and self._store.find(wanted.symbol, wanted.timeframe) is None:
            raise loaded.failure
        if wanted.calendar and not loaded.failure and not loaded.was_stopped:
            self._name_calendar()
        return loaded

    def _name_calendar(self) -> None:
        self._store.set_calendar(self._wanted.symbol, self._calendar)
        self._loaded.notes.append(f"the calendar of {self._wanted.symbol} is {self._calendar or 'a guess'} from now on")

    def _whole(self) -> Range:
        since, until = check_range(self._wanted.start, self._wanted.end)
        return since or BEGINNING, min(until or self._now, self._now)

    # -- what to ask for -----------------------------------------------------------------------------------------

    def _fetch_missing(self, stored: SeriesInfo) -> None:
        whole, parts = self._whole(), []
        self._answered = read_answered(self._store.root, stored)
        if without(whole, self._answered):
            stamps = self._stamps()
            # Without a record of what was asked for, holes tell.
            self._answered = self._answered or held(stamps, self._expected(stamps, _span(stamps)))
            parts = missing(whole, self._answered, self._expected(stamps, whole))
        if not parts:
            self._loaded.notes.append(f"{stored.symbol} {stored.timeframe} lacks nothing in that range")
            return
        self._loaded.asked = parts
        for number, part in enumerate(parts):
            if not self._fetch_part(part, parts, number):
                return

    def _expected(self, stamps: Instants, span: Range) -> Expected:
        wanted = self._wanted
        named = self._calendar or self._provider.capabilities.calendar
        calendar = choose_calendar(wanted.symbol, wanted.timeframe, stamps, named_for_symbol=named).name
        first = stamps[0] if span[0] == BEGINNING else np.datetime64(span[0].replace(tzinfo=None), "us")
        last = np.datetime64(span[1].replace(tzinfo=None), "us")
        sessions = sessions_if_known(calendar, min(first, stamps[0]), max(last, stamps[-1]))
        return Expected(sessions, wanted.timeframe, self._now)

    def _stamps(self) -> Instants:
        frame = self._store.read(self._wanted.symbol, self._wanted.timeframe)
        stamps: Instants = frame["timestamp"].dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")
        return stamps

    # -- asking --------------------------------------------------------------------------------------------------

    def _fetch_anew(self, whole: Range, *, replaces: bool) -> None:
        """Where a series is replaced, the old one stays until the new one has come whole."""
        self._loaded.asked = [whole]
        if self._receive(whole, [whole], 0, keeps=not replaces) or not replaces:
            self._keep(whole, replaces=replaces)
        else:
            self._waiting.clear()
            self._loaded.notes.append("the stored bars are as they were, because the new ones did not come whole")

    def _fetch_part(self, part: Range, parts: Sequence[Range], number: int) -> bool:
        """Whether the load goes on."""
        if not self._provider.capabilities.readjusts:
            is_whole = self._receive(part, parts, number, keeps=True)
            self._keep(part)
            return is_whole
        old, asked = self._overlap(part)
        is_whole = self._receive(asked, parts, number, keeps=False)
        both = old.join(self._frame(), on="timestamp", suffix="_new")
        if len(old) and both.is_empty() and not is_whole:
            # Whether these fit to the stored ones, only bars that both have could tell.
            self._waiting.clear()
            return False
        if (factor := _readjustment(both)) is None:
            self._keep(part)
            return is_whole
        self._waiting.clear()
        self._reload(factor)
        return False

    def _overlap(self, part: Range) -> tuple[pl.DataFrame, Range]:
        """The stored bars next to a part, and the part with them."""
        since, until = part
        frame = self._store.read(self._wanted.symbol, self._wanted.timeframe)
        before = frame.filter(pl.col("timestamp") < since).tail(OVERLAP_BARS)
        after = frame.filter(pl.col("timestamp") >= until).head(OVERLAP_BARS)
        if len(before):
            since = before["timestamp"][0].astimezone(UTC)
        if len(after):
            until = after["timestamp"][-1].astimezone(UTC) + self._step
        # Bars of the newest days may lie in the part already.
        inside = frame.filter(pl.col("timestamp").is_between(since, until, closed="left"))
        return inside, (since, min(until, self._now))

    def _reload(self, factor: float) -> None:
        assert self._stored is not None
        stored, whole = self._stored, self._whole()
        told = f"{stored.provider} has adjusted its prices anew, by a factor of {factor:.6g}, since these were stored"
        earliest = self._provider.capabilities.earliest(stored.timeframe, self._now)
        if earliest and stored.first < earliest:
            self._loaded.failure = ProviderError(
                f"{told}, and serves them from {earliest:%Y-%m-%d} only, while stored bars begin at "
                f"{stored.first:%Y-%m-%d}: old and new ones would not fit together",
                hint=f"start anew with: ktrdr data load {stored.symbol} {stored.timeframe} --replace",
            )
            return
        whole = (min(whole[0], stored.first), max(whole[1], stored.last + self._step))
        self._loaded.notes.append(f"{told}: the whole range was loaded again")
        self._answered = []
        self._fetch_anew(whole, replaces=True)

    def _receive(self, part: Range, parts: Sequence[Range], number: int, *, keeps: bool) -> bool:
        """Take in the pages of a range; whether all of them came."""
        wanted, (since, until) = self._wanted, part
        able = self._provider.capabilities
        limiter = RateLimiter(self._store.root / ".pace" / able.source.replace(":", "-"), able.pause_s)
        # An end that nobody named is the provider's to know.
        last = None if until >= self._now and wanted.end is None else until - timedelta(microseconds=1)
        pages = self._provider.pages(
            wanted.symbol, wanted.timeframe, None if since == BEGINNING else since, last, self._watcher.wait
        )
        try:
            while True:
                if self._watcher.stop_requested():
                    raise Stopped
                limiter.wait(self._watcher.wait)
                if (page := next(pages, None)) is None:
                    return True
                self._take(page, parts, number)
                if keeps and time.monotonic() - self._kept_at > _KEPT_EVERY_S:
                    self._keep(part)
        except Stopped:
            self._loaded.was_stopped = True
        except NoBars as nothing:
            if self._stored or self._loaded.rows_fetched:
                self._waiting.append(Page(pl.DataFrame(schema=SCHEMA), self._loaded.provider, until))
                return True
            self._loaded.failure = nothing
        except ProviderError as failure:
            self._loaded.failure = failure
        finally:
            pages.close()
        return False

    def _closed(self, page: Page) -> Page:
        """The page without bars that are still open. Raises InputError when that leaves none."""
        timeframe = self._wanted.timeframe
        dated = with_instants(page.frame, timeframe, page.clock, self._calendar)
        frame = page.frame.head(len(closed_by(dated, timeframe, self._now)))
        if not (left := len(page.frame) - len(frame)):
            return page
        first = page.frame["timestamp"][len(frame)]
        which = f"{left:,} {'bar' if left == 1 else 'bars'} from {first:%Y-%m-%d %H:%M} on"
        if frame.is_empty():
            raise InputError(f"{which} have not closed yet, and there are no others", hint="try again once they have")
        return replace(page, frame=frame, note=notes((page.note, f"left out because not closed yet: {which}")))

    def _take(self, page: Page, parts: Sequence[Range], number: int) -> None:
        if self._provider.capabilities.whole and len(page.frame):
            page = self._closed(page)
        self._waiting.append(page)
        loaded = self._loaded
        loaded.provider = page.provider
        loaded.pages += 1
        loaded.rows_fetched += len(page.frame)
        loaded.notes += [page.note, page.clock.note if page.clock else ""]
        loaded.mending += page.mending
        lengths = [_length(each, self._stored) for each in parts]
        done = sum(lengths[:number]) + lengths[number] * _share(parts[number], page.through, self._stored)
        self._watcher.on_page(page, loaded.rows_fetched, done / sum(lengths))

    # -- keeping -------------------------------------------------------------------------------------------------

    def _frame(self) -> pl.DataFrame:
        return pl.concat([pl.DataFrame(schema=SCHEMA), *(page.frame for page in self._waiting)])

    def _keep(self, part: Range, *, replaces: bool = False) -> None:
        """Store the pages that wait, and that the provider has answered so far."""
        pages, frame = self._waiting, self._frame()
        if not pages:
            return
        wanted = self._wanted
        if len(frame):
            self._watcher.on_storing(self._loaded.rows_fetched)
            merge = self._store.merge(
                wanted.symbol, wanted.timeframe, frame, self._loaded.provider, replace=replaces, clock=clock_of(pages)
            )
            self._loaded.merges.append(merge)
            self._loaded.notes.append(merge.note)
        self._waiting = []
        self._kept_at = time.monotonic()
        stored = self._store.find(wanted.symbol, wanted.timeframe)
        if stored is None:
            return
        answered = (part[0], self._answered_until(part, pages[-1].through, stored))
        self._answered = [answered] if replaces else [*self._answered, answered]
        write_answered(self._store.root, stored, self._answered)

    def _answered_until(self, part: Range, through: datetime, stored: SeriesInfo) -> datetime:
        until = min(through, part[1])
        if self._now - until >= _SETTLED:
            return until
        return max(part[0], min(until, stored.last + self._step))


def _span(stamps: Instants) -> Range:
    return instant(stamps[0]), instant(stamps[-1])


def _readjustment(both: pl.DataFrame) -> float | None:
    """The factor by which all prices differ from the stored ones, if there is one."""
    if both.is_empty():
        return None
    factors = np.concatenate([(both[f"{name}_new"] / both[name]).to_numpy() for name in PRICES])
    factor = float(np.median(factors))
    spread = float(np.abs(factors / factor - 1).max())
    is_constant = spread < max(_SAME, abs(factor - 1) / 10)
    return factor if abs(factor - 1) > _SAME and is_constant else None


def _length(part: Range, stored: SeriesInfo | None) -> float:
    return max(1.0, (part[1] - _begin(part, stored)).total_seconds())


def _share(part: Range, through: datetime, stored: SeriesInfo | None) -> float:
    return min(1.0, max(0.0, (through - _begin(part, stored)).total_seconds() / _length(part, stored)))


def _begin(part: Range, stored: SeriesInfo | None) -> datetime:
    if part[0] != BEGINNING:
        return part[0]
    known = stored.first if stored else part[1] - timedelta(days=3650)
    return min(known, part[1])
