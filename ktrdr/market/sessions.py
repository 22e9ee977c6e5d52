"""When a market trades: the sessions of an exchange, of foreign exchange (24/5) and of what never closes (24/7)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ktrdr.errors import InputError, nearest
from ktrdr.payloads.data import CalendarChoice
from ktrdr.timeframe import Timeframe

Instants = NDArray[np.datetime64]
"""Instants [us] in UTC, without a zone."""

ALWAYS = "24/7"
FX = "24/5"
NEW_YORK = "America/New_York"

DAY = np.timedelta64(1, "D").astype("timedelta64[us]")

_FX_CLOSE = timedelta(hours=17)
_FX_HOLIDAYS = ((1, 1), (12, 25))
_SATURDAY = 5
# Openings that were put off, as exchange_calendars does not know: a minute's silence of an hour and a half.
_LATE_OPENINGS = {"XNYS": {np.datetime64("2002-09-11", "us"): np.datetime64("2002-09-11T15:00", "us")}}

# Yahoo's endings of symbols, and the exchange that each names.
_ENDINGS = {
    "AS": "XAMS", "AX": "XASX", "BK": "XBKK", "BO": "XBOM", "BR": "XBRU", "CO": "XCSE", "DE": "XETR", "F": "XFRA",
    "HE": "XHEL", "HK": "XHKG", "IR": "XDUB", "IS": "XIST", "JK": "XIDX", "JO": "XJSE", "KL": "XKLS", "KS": "XKRX",
    "KQ": "XKRX", "L": "XLON", "LS": "XLIS", "MC": "XMAD", "MI": "XMIL", "MX": "XMEX", "NS": "XBOM", "NZ": "XNZE",
    "OL": "XOSL", "PA": "XPAR", "PR": "XPRA", "SA": "BVMF", "SI": "XSES", "SN": "XSGO", "SS": "XSHG", "ST": "XSTO",
    "SW": "XSWX", "SZ": "XSHG", "T": "XTKS", "TA": "XTAE", "TO": "XTSE", "TW": "XTAI", "V": "XTSE", "VI": "XWBO",
    "WA": "XWAR",
}  # fmt: skip
_INDICES = {"^FTSE": "XLON", "^GDAXI": "XETR", "^FCHI": "XPAR", "^N225": "XTKS", "^HSI": "XHKG", "^SSMI": "XSWX"}
_CURRENCIES = frozenset({
    "AUD", "BRL", "CAD", "CHF", "CNH", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS", "INR", "JPY", "KRW",
    "MXN", "NOK", "NZD", "PLN", "SEK", "SGD", "THB", "TRY", "USD", "ZAR",
})  # fmt: skip
_COINS = frozenset({
    "ADA", "ATOM", "AVAX", "BCH", "BNB", "BTC", "DOGE", "DOT", "ETC", "ETH", "LINK", "LTC", "MATIC", "NEAR", "SHIB",
    "SOL", "TRX", "UNI", "XBT", "XLM", "XMR", "XRP",
})  # fmt: skip
_COIN_QUOTES = frozenset({"USDT", "USDC", "BUSD", "BTC", "ETH"})


@dataclass(frozen=True, slots=True)
class Sessions:
    """Stretches of trading in their order; a session with a break at noon is two of them with one date.

    `dates` are the sessions' own, as midnights; in `zone` the exchange keeps its clock.
    """

    name: str
    zone: str
    dates: Instants
    opens: Instants
    closes: Instants

    @property
    def is_always(self) -> bool:
        return self.name == ALWAYS

    @property
    def is_around_the_clock(self) -> bool:
        """Whether one session begins where the one before ends, as those of 24/7 and 24/5 do."""
        return self.name in (ALWAYS, FX)

    @property
    def days(self) -> Instants:
        """The date of each session, once."""
        return np.unique(self.dates)

    def between(self, first: np.datetime64, last: np.datetime64) -> Sessions:
        """Those that end after `first` and begin no later than `last`."""
        kept = slice(np.searchsorted(self.closes, first, "right"), np.searchsorted(self.opens, last, "right"))
        return Sessions(self.name, self.zone, self.dates[kept], self.opens[kept], self.closes[kept])

    def place_of(self, opens: Instants, length: np.timedelta64) -> NDArray[np.int64]:
        """For each bar the stretch that it has a part of, -1 outside of all; an earlier one goes first."""
        place = np.searchsorted(self.closes, opens, "right")
        begins = self.opens[np.minimum(place, len(self.opens) - 1)] if len(self.opens) else opens
        inside = (place < len(self.opens)) & (begins < opens + length)
        return np.where(inside, place, -1).astype(np.int64)


def choose_calendar(
    symbol: str, timeframe: Timeframe, timestamps: Instants, given: str | None = None
) -> CalendarChoice:
    """The calendar that was given, or the one that symbol and bars speak for. Raises InputError."""
    if given is not None:
        return CalendarChoice(name=check_calendar(given), why="given", is_guess=False)
    name, why = _guess(symbol, timeframe, timestamps)
    return CalendarChoice(name=name, why=why, is_guess=True)


def check_calendar(name: str) -> str:
    """Its own name of the exchange, aliases resolved. Raises InputError."""
    if name.upper() in (ALWAYS, FX):
        return name
    from exchange_calendars import calendar_utils

    names = calendar_utils.get_calendar_names(include_aliases=True)
    if (known := {each.upper(): each for each in names}.get(name.upper())) is not None:
        resolved: str = calendar_utils.resolve_alias(known)
        return resolved
    similar = nearest(name, names)
    raise InputError(
        f"calendar {name[:64]!r} is not one of exchange_calendars",
        hint=f"did you mean {similar}?"
        if similar
        else f"for example XNYS, XLON or XTKS; {FX} for FX, {ALWAYS} for coins",
        calendar=name[:64],
    )


def sessions_of(calendar: str, first: np.datetime64, last: np.datetime64) -> Sessions:
    """All sessions that touch the years from `first` to `last`, as far as the calendar knows them."""
    years = (int(str(instant.astype("datetime64[Y]"))) for instant in (first, last))
    return _sessions(calendar, *years)


def offsets(zone: str, first: np.datetime64, last: np.datetime64) -> tuple[np.datetime64, Instants]:
    """The first day, and for each day from it on how far the zone's clock is ahead of UTC at noon."""
    since, until = (instant.astype("datetime64[D]") for instant in (first, last))
    days = np.arange(since, until + np.timedelta64(2, "D")).astype("datetime64[us]")
    return days[0], to_local(days + DAY // 2, zone) - (days + DAY // 2)


def local(instants: Instants, zone: str) -> Instants:
    """The instants as the zone's clock shows them; within a day that changes the clock by its state at noon."""
    if not len(instants) or zone == "UTC":
        return instants
    first, ahead = offsets(zone, instants.min(), instants.max())
    wall: Instants = instants + ahead[(instants - first) // DAY]
    return wall


# The guess.


def _guess(symbol: str, timeframe: Timeframe, timestamps: Instants) -> tuple[str, str]:
    by_symbol = _of_symbol(symbol)
    saturdays = _saturdays(timeframe, timestamps)
    if saturdays > 0.05 and (by_symbol is None or by_symbol[0] != FX):
        return ALWAYS, f"{saturdays:.0%} of the bars are on a Saturday"
    return by_symbol or ("XNYS", "nothing speaks for another exchange")


def _saturdays(timeframe: Timeframe, timestamps: Instants) -> float:
    if timeframe.length > timedelta(days=1) or not len(timestamps):
        return 0.0
    weekday = (timestamps.astype("datetime64[D]").astype(np.int64) + 3) % 7
    return float((weekday == _SATURDAY).mean())


def _of_symbol(symbol: str) -> tuple[str, str] | None:
    if symbol in _INDICES:
        return _INDICES[symbol], f"{symbol} is an index of that exchange"
    stem, _, ending = symbol.rpartition(".")
    if stem and ending in _ENDINGS:
        return _ENDINGS[ending], f"the symbol ends in .{ending}"
    if symbol.endswith("=F"):
        return "CMES", "the symbol is a future's"
    parts = _pair(symbol)
    if parts is None:
        return None
    base, quote = parts
    if base in _COINS or quote in _COIN_QUOTES:
        return ALWAYS, f"{base} is a coin" if base in _COINS else f"{quote} is a coin"
    return FX, f"{base} and {quote} are currencies"


def _pair(symbol: str) -> tuple[str, str] | None:
    """Base and quote, where both are currencies or coins."""
    named = symbol.removesuffix("=X")
    if named != symbol and len(named) == 3:
        named = f"USD{named}"
    known = _CURRENCIES | _COINS | _COIN_QUOTES
    if (parted := re.fullmatch(r"([A-Z0-9]{2,10})[-_]([A-Z]{3,4})", named)) and parted[2] in known:
        return parted[1], parted[2]
    for length in (3, 4):
        base, quote = named[:-length], named[-length:]
        if base in known and quote in known:
            return base, quote
    return None


# The sessions.


@lru_cache(maxsize=32)
def _sessions(calendar: str, first_year: int, last_year: int) -> Sessions:
    since, until = date(first_year - 1, 12, 1), date(last_year + 1, 1, 31)
    if calendar == ALWAYS:
        days = np.array(_days(since, until), dtype="datetime64[us]")
        return Sessions(ALWAYS, "UTC", days, days, days + DAY)
    return _fx(since, until) if calendar == FX else _exchange(calendar, since, until)


def _fx(since: date, until: date) -> Sessions:
    """A day of foreign exchange begins and ends at 17:00 in New York, from Sunday evening to Friday."""
    days = [
        day for day in _days(since, until) if day.weekday() < _SATURDAY and (day.month, day.day) not in _FX_HOLIDAYS
    ]
    dates: Instants = np.array(days, dtype="datetime64[us]")
    closing: Instants = dates + np.timedelta64(_FX_CLOSE)
    return Sessions(FX, NEW_YORK, dates, to_utc(closing - DAY, NEW_YORK), to_utc(closing, NEW_YORK))


def _days(since: date, until: date) -> list[date]:
    return [since + timedelta(days=number) for number in range((until - since).days)]


def _exchange(name: str, since: date, until: date) -> Sessions:
    found = _calendar(name, since, until)
    dates = found.sessions.to_numpy().astype("datetime64[us]")
    opens, noon, afternoon, closes = (
        _naive(column) for column in (found.opens, found.break_starts, found.break_ends, found.closes)
    )
    for day, opening in _LATE_OPENINGS.get(name, {}).items():
        opens[dates == day] = opening
    pauses = ~np.isnat(noon)
    order = np.argsort(np.concatenate([opens, afternoon[pauses]]), kind="stable")
    return Sessions(
        name,
        str(found.tz),
        np.concatenate([dates, dates[pauses]])[order],
        np.concatenate([opens, afternoon[pauses]])[order],
        np.concatenate([np.where(pauses, noon, closes), closes[pauses]])[order],
    )


def _calendar(name: str, since: date, until: date) -> Any:
    import exchange_calendars  # a second to import, and only for those who need an exchange

    try:
        return exchange_calendars.get_calendar(name, start=since.isoformat(), end=until.isoformat())
    except ValueError:
        # It knows less than these years; which ones, only a calendar itself tells.
        known = type(exchange_calendars.get_calendar(name))
    earliest, latest = known.bound_min(), known.bound_max()
    since = max(since, earliest.date()) if earliest is not None else since
    until = min(until, latest.date()) if latest is not None else until
    if since >= until:
        raise InputError(
            f"the calendar {name} knows {earliest:%Y-%m-%d} to {latest or datetime.now(UTC):%Y-%m-%d} only",
            hint=f"give another one with --calendar, {ALWAYS} for none",
            calendar=name,
        )
    return exchange_calendars.get_calendar(name, start=since.isoformat(), end=until.isoformat())


def _naive(column: Any) -> Instants:
    instants: Instants = column.dt.tz_localize(None).to_numpy().astype("datetime64[us]").copy()
    return instants


def to_utc(wall: Instants, zone: str) -> Instants:
    """The instants at which the zone's clock shows `wall`: the later of two; a time that it skips as if it had not."""
    utc = _exact_utc(wall, zone)
    skipped = np.isnat(utc)
    if skipped.any():
        utc[skipped] = _exact_utc(wall[skipped] - DAY, zone) + DAY
    return utc


def _exact_utc(wall: Instants, zone: str) -> Instants:
    series = pl.Series(wall).dt.replace_time_zone(zone, ambiguous="latest", non_existent="null")
    return series.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_numpy().copy()


def to_local(instants: Instants, zone: str) -> Instants:
    """What the zone's clock shows at these instants."""
    series = pl.Series(instants).dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    return series.dt.replace_time_zone(None).to_numpy()


def instant(moment: np.datetime64) -> datetime:
    """As Python's own, aware of UTC."""
    naive: datetime = moment.astype("datetime64[us]").item()
    return naive.replace(tzinfo=UTC)
