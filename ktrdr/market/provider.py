"""The port behind which every source of bars stands."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal, Protocol

import polars as pl

from ktrdr.errors import BarsError, InputError
from ktrdr.instants import format_instant
from ktrdr.market.bars import check_range
from ktrdr.market.days import DAYS_OF_UTC, DayClock
from ktrdr.timeframe import Timeframe

Adjusted = Literal["splits and dividends", "splits", "no", "unknown"]

Wait = Callable[[float], None]
"""Sleeps so many seconds; it may raise to end the load that waits."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can serve; `source` is its name, or that of the provider which it asks.

    `history` says how far back from now, where that has an end; `readjusts`, whether prices that were right yesterday
    are others after the next split or dividend. Between two requests to one source, whoever sends them, there must be
    `pause_s`. `calendar` is that of all its markets, where they have one. What comes `whole`, as a file does, is read
    anew each time: no part of it is cheaper to ask for.
    """

    source: str
    timeframes: tuple[Timeframe, ...]
    adjusted: Adjusted
    symbols: str
    history: Mapping[Timeframe, timedelta] = field(default_factory=dict)
    readjusts: bool = False
    pause_s: float = 0.0
    calendar: str | None = None
    whole: bool = False

    def earliest(self, timeframe: Timeframe, now: datetime) -> datetime | None:
        reach = self.history.get(timeframe)
        return now - reach if reach else None


@dataclass(frozen=True, slots=True)
class Page:
    """Some bars in the schema, in their order, and who served them; a range comes as one page or as many.

    `through` is the instant up to which the provider has answered: bars that open before it are here or in an earlier
    page, or it has none. `note` tells the reader what the bars do not. `clock` is how days open, where the source
    stamps them with instants.
    """

    frame: pl.DataFrame
    provider: str
    through: datetime
    note: str = ""
    clock: DayClock | None = None


Pages = Generator[Page, None, None]


class Provider(Protocol):
    """A source of bars.

    Thread safety: one instance may be used by several threads. State: none between calls.
    """

    @property
    def name(self) -> str: ...

    @property
    def capabilities(self) -> Capabilities: ...

    def pages(
        self, symbol: str, timeframe: str, start: date | None, end: date | None, wait: Wait = time.sleep
    ) -> Pages:
        """Closed bars from `start` to `end`, both inclusive, checked, oldest first; None means as far as there are.

        Nothing is asked before the first page is. What was yielded before an error is good. Whoever waits, between
        requests or before asking again after a failure that may pass, does it with `wait`.

        Raises:
            InputError: symbol, timeframe, dates or the file's rows cannot be right, or are none of the provider's.
            NoBars: the source answers, and has nothing in that range.
            ProviderError: the source does not know the symbol, or did not deliver.
            ProviderUnreachable: the source cannot be reached at all.
        """


def fetch(provider: Provider, symbol: str, timeframe: str, start: date | None = None, end: date | None = None) -> Page:
    """All pages as one. Raises as `Provider.pages` does."""
    pages = list(provider.pages(symbol, timeframe, start, end))
    frame = pl.concat([page.frame for page in pages])
    return Page(frame, pages[-1].provider, pages[-1].through, notes(page.note for page in pages), clock_of(pages))


def clock_of(pages: Iterable[Page]) -> DayClock | None:
    """How the days of all pages open. Raises BarsError when two pages differ in it."""
    clocks = {str(page.clock or DAYS_OF_UTC): page.clock for page in pages if len(page.frame)}
    if len(clocks) > 1:
        raise BarsError(f"the days open at different times: {' and '.join(clocks)}")
    return next(iter(clocks.values()), None)


def notes(texts: Iterable[str]) -> str:
    """Each once, in their order."""
    return "; ".join(dict.fromkeys(text for text in texts if text))


def check_able(
    able: Capabilities, timeframe: str, start: date | None, end: date | None, now: datetime | None = None
) -> Timeframe:
    """The timeframe, when a provider that is `able` to do so much can be asked for it from `start` to `end`.

    Raises InputError, naming the limit.
    """
    timeframe = Timeframe.parse(timeframe)
    since, _ = check_range(start, end)
    if not able.timeframes:
        raise InputError(f"{able.source} has no bars", hint="see what others have: ktrdr data providers")
    if timeframe not in able.timeframes:
        raise InputError(
            f"{able.source} has no {timeframe} bars",
            hint=f"it has {', '.join(able.timeframes)}; longer ones can be built of shorter ones",
            provider=able.source,
            timeframe=timeframe,
        )
    earliest = able.earliest(timeframe, now or datetime.now(UTC))
    if earliest and since and since < earliest - timedelta(days=1):
        reach = able.history[timeframe].days
        raise InputError(
            f"{able.source} has {timeframe} bars of the last {reach} days only, from {earliest:%Y-%m-%d}; "
            f"{since:%Y-%m-%d} lies before that",
            hint=f"begin at {earliest:%Y-%m-%d}, or take as much as there is with: --from {reach}d",
            provider=able.source,
            timeframe=timeframe,
            earliest=format_instant(earliest, "seconds"),
        )
    return timeframe


def closed_by(now: datetime, timeframe: Timeframe) -> pl.Expr:
    return pl.col("timestamp") + timeframe.length <= now
