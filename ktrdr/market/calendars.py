"""Which calendar a market follows: the one that was named, or a guess from the bars and from the symbol."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import InputError, nearest
from ktrdr.market.sessions import ALWAYS, FX, Instants, sessions_of
from ktrdr.payloads.data import GUESS, CalendarChoice
from ktrdr.timeframe import Timeframe

_FUTURES = "CMES"
_DEFAULT = "XNYS"
_FRIDAY, _SATURDAY, _SUNDAY = 4, 5, 6
_HOUR = np.timedelta64(3_600_000_000, "us")
# The least share of a weekday's bars, or of an hour's, that is more than strays.
_REGULAR = 0.05
# A market that has bars at so many hours of the day, the night among them, is no exchange of shares.
_HOURS_AROUND_THE_CLOCK = 20

# Yahoo's endings of symbols, and the exchange that each names.
_ENDINGS = {
    "AS": "XAMS", "AT": "ASEX", "AX": "XASX", "BA": "XBUE", "BD": "XBUD", "BK": "XBKK", "BO": "XBOM", "BR": "XBRU",
    "CL": "XBOG", "CN": "XTSE", "CO": "XCSE", "DE": "XETR", "DU": "XDUS", "F": "XFRA", "HE": "XHEL", "HK": "XHKG",
    "HM": "XHAM", "IC": "XICE", "IL": "XLON", "IR": "XDUB", "IS": "XIST", "JK": "XIDX", "JO": "XJSE", "KL": "XKLS",
    "KQ": "XKRX", "KS": "XKRX", "L": "XLON", "LM": "XLIM", "LS": "XLIS", "MC": "XMAD", "ME": "XMOS", "MI": "XMIL",
    "MX": "XMEX", "NE": "XTSE", "NS": "XBOM", "NZ": "XNZE", "OL": "XOSL", "PA": "XPAR", "PR": "XPRA", "PS": "XPHS",
    "RG": "XRIS", "RO": "XBSE", "SA": "BVMF", "SG": "XSTU", "SI": "XSES", "SN": "XSGO", "SR": "XSAU", "SS": "XSHG",
    "ST": "XSTO", "SW": "XSWX", "SZ": "XSHG", "T": "XTKS", "TA": "XTAE", "TL": "XTAL", "TO": "XTSE", "TW": "XTAI",
    "TWO": "XTAI", "V": "XTSE", "VI": "XWBO", "VS": "XLIT", "WA": "XWAR",
}  # fmt: skip
_INDICES = {
    "^FTSE": "XLON", "^GDAXI": "XETR", "^FCHI": "XPAR", "^N225": "XTKS", "^HSI": "XHKG", "^SSMI": "XSWX",
    "^NSEI": "XBOM", "^BSESN": "XBOM", "^AXJO": "XASX", "^KS11": "XKRX", "^TWII": "XTAI", "^BVSP": "BVMF",
    "^GSPTSE": "XTSE", "^AEX": "XAMS", "^IBEX": "XMAD", "^STI": "XSES", "^TASI.SR": "XSAU",
}  # fmt: skip
# ISO 4217, metals included.
_CURRENCIES = frozenset({
    "AED", "AFN", "ALL", "AMD", "ANG", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BGN", "BHD", "BIF",
    "BMD", "BND", "BOB", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF", "CLF", "CLP", "CNH", "CNY",
    "COP", "CRC", "CUP", "CVE", "CZK", "DJF", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB", "EUR", "FJD", "FKP", "GBP",
    "GEL", "GHS", "GIP", "GMD", "GNF", "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF", "IDR", "ILS", "INR", "IQD", "IRR",
    "ISK", "JMD", "JOD", "JPY", "KES", "KGS", "KHR", "KMF", "KPW", "KRW", "KWD", "KYD", "KZT", "LAK", "LBP", "LKR",
    "LRD", "LSL", "LYD", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU", "MUR", "MVR", "MWK", "MXN", "MYR",
    "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD", "OMR", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN", "PYG", "QAR",
    "RON", "RSD", "RUB", "RWF", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE", "SOS", "SRD", "SSP", "STN",
    "SVC", "SYP", "SZL", "THB", "TJS", "TMT", "TND", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "UGX", "USD", "UYU",
    "UZS", "VES", "VND", "VUV", "WST", "XAF", "XAG", "XAU", "XCD", "XOF", "XPD", "XPF", "XPT", "YER", "ZAR", "ZMW",
    "ZWG",
})  # fmt: skip
_COINS = frozenset({
    "ADA", "ATOM", "AVAX", "BCH", "BNB", "BTC", "DOGE", "DOT", "ETC", "ETH", "LINK", "LTC", "MATIC", "NEAR", "SHIB",
    "SOL", "TRX", "UNI", "XBT", "XLM", "XMR", "XRP",
})  # fmt: skip
_COIN_QUOTES = frozenset({"USDT", "USDC", "BUSD", "FDUSD", "TUSD", "DAI", "BTC", "ETH", "BNB"})
_USUAL_QUOTES = ("USD", "EUR", "GBP", "JPY", "KRW", "TRY", "AUD", "BRL")
# How brokers of contracts for difference call indices, oil and gas.
_INDEX_CFD = re.compile(
    r"(US|USA|USTEC|NAS|NDX|SPX|SP|DJ|WS|RUS|GER|DE|DAX|UK|FTSE|FRA|FR|CAC|EU|EUSTX|STOXX|STX|ESP|ES|IT|ITA|SWI|CH|NL"
    r"|NETH|JP|JPN|NIK|AUS|AU|HK|HKG|CHINA|CN|CHN|A|SG|SA|IND)\d{2,4}(\.?(CASH|M|PRO|IDX))?"
)
_COMMODITY_CFD = re.compile(r"(USTEC|USOIL|UKOIL|WTI|BRENT|XTIUSD|XBRUSD|XNGUSD|NATGAS|SPOTCRUDE|GOLD|SILVER|XCUUSD)")


def choose_calendar(
    symbol: str,
    timeframe: Timeframe,
    timestamps: Instants,
    asked: str | None = None,
    named_for_symbol: str | None = None,
    *,
    asker: str = "the request",
) -> CalendarChoice:
    """The calendar of a series: `asked`, or else `named_for_symbol`, or else a guess from bars and symbol.

    asked: what `asker` names, a strategy or a request
    named_for_symbol: what is stored for the symbol

    Raises InputError when there is no such calendar.
    """
    for name, why in ((asked, f"named by {asker}"), (named_for_symbol, f"named for {symbol}")):
        if name is not None:
            return CalendarChoice(name=check_calendar(name), why=why, is_guess=False)
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


def check_usable(name: str) -> str:
    """As `check_calendar`. Raises InputError also when the calendar cannot be built."""
    calendar, now = check_calendar(name), np.datetime64("now", "us")
    sessions_of(calendar, now, now)
    return calendar


def check_naming(asked: str) -> str:
    """What a load may name for its symbol: nothing, GUESS, or a usable calendar. Raises InputError."""
    return asked.lower() if asked.lower() in ("", GUESS) else check_usable(asked)


def named_calendar(naming: str, stored: str | None) -> str | None:
    """The calendar that is named for a symbol after `naming`; `stored` is the one before, None a guess."""
    return {"": stored, GUESS: None}.get(naming, naming)


# What the bars show.


@dataclass(frozen=True, slots=True)
class _Week:
    """How the bars are spread over the week.

    counts: [7], bars by weekday, Monday first
    days: dates from the first bar to the last
    """

    counts: NDArray[np.int64]
    days: int

    @classmethod
    def of(cls, timeframe: Timeframe, timestamps: Instants) -> _Week:
        """Weekly bars tell nothing of weekdays."""
        if timeframe.length > timedelta(days=1) or not len(timestamps):
            return cls(np.zeros(7, np.int64), 0)
        days = timestamps.astype("datetime64[D]").astype(np.int64)
        return cls(np.bincount((days + 3) % 7, minlength=7), int(days.max() - days.min()) + 1)

    def share(self, weekday: int) -> float:
        return float(self.counts[weekday] / max(1, self.counts.sum()))

    @property
    def never_rests(self) -> bool:
        """A market with weekends on other days has bars on Saturdays too, but rests on some day of the week."""
        is_whole_week = self.days >= 7
        return self.share(_SATURDAY) > _REGULAR and not (is_whole_week and (self.counts == 0).any())

    @property
    def rests_on_saturdays(self) -> bool:
        return self.days >= 14 and self.share(_SATURDAY) <= _REGULAR

    @property
    def begins_on_sunday(self) -> bool:
        return self.days >= 7 and self.share(_SUNDAY) > _REGULAR and self.counts[_FRIDAY] == 0


def _is_around_the_clock(timeframe: Timeframe, timestamps: Instants) -> bool:
    """Whether intraday bars stand at all hours, a short pause aside."""
    length = np.timedelta64(timeframe.length)
    if timeframe.is_by_date or not len(timestamps):
        return False
    slots = np.bincount(((timestamps - timestamps.astype("datetime64[D]")) // length).astype(np.int64))
    is_regular = slots > 4 * _REGULAR * slots[slots > 0].mean()
    return bool(is_regular.sum() * length >= _HOURS_AROUND_THE_CLOCK * _HOUR)


# The guess.


def _guess(symbol: str, timeframe: Timeframe, timestamps: Instants) -> tuple[str, str]:
    week = _Week.of(timeframe, timestamps)
    if week.never_rests:
        return ALWAYS, f"{week.share(_SATURDAY):.0%} of the bars are on a Saturday"
    by_symbol = _by_symbol(symbol)
    if by_symbol and by_symbol[0] == ALWAYS and week.rests_on_saturdays and not _is_known_coin(symbol):
        by_symbol = None
    by_night = _is_around_the_clock(timeframe, timestamps)
    if by_symbol and (by_symbol[0] in (ALWAYS, FX, _FUTURES) or not by_night):
        return by_symbol
    if by_night:
        return FX, "the bars stand at all hours of the day, and on no Saturday"
    if week.begins_on_sunday:
        return "XSAU", "the bars are on Sundays and on no Friday"
    if week.share(_SUNDAY) > _REGULAR:
        return FX, f"{week.share(_SUNDAY):.0%} of the bars are on a Sunday, and none on a Saturday"
    return _DEFAULT, "nothing speaks for another exchange"


def _by_symbol(symbol: str) -> tuple[str, str] | None:
    if symbol in _INDICES:
        return _INDICES[symbol], f"{symbol} is an index of that exchange"
    stem, _, ending = symbol.rpartition(".")
    if stem and ending in _ENDINGS:
        return _ENDINGS[ending], f"the symbol ends in .{ending}"
    if symbol.endswith("=F") or re.fullmatch(r"[A-Z0-9]{1,4}[12]!", symbol):
        return _FUTURES, "the symbol is a future's"
    if _INDEX_CFD.fullmatch(symbol) or _COMMODITY_CFD.fullmatch(symbol):
        return FX, f"{symbol} is what brokers call an index or a commodity"
    return _by_pair(symbol)


def _by_pair(symbol: str) -> tuple[str, str] | None:
    for base, quote in _pairs(symbol):
        if quote in _COIN_QUOTES or base in _COINS:
            return ALWAYS, f"{base if base in _COINS else quote} is a coin"
        if base in _CURRENCIES and quote in _CURRENCIES:
            return FX, f"{base} and {quote} are currencies"
        if quote in _CURRENCIES:
            return ALWAYS, f"{base} is no currency of ISO 4217, so it is a coin"
    return None


def _is_known_coin(symbol: str) -> bool:
    return any(base in _COINS or quote in _COIN_QUOTES for base, quote in _pairs(symbol))


def _pairs(symbol: str) -> Iterator[tuple[str, str]]:
    """Base and quote, as the symbol can be read."""
    named = symbol.removesuffix("=X")
    if named != symbol and len(named) == 3:
        named = f"USD{named}"
    if parted := re.fullmatch(r"([^-_:]{1,16})[-_]([A-Z]{3,5})([-_:].*)?", named):
        yield parted[1], parted[2]
        return
    if re.fullmatch(r"[A-Z]{3}\.[A-Z]{3}", named):
        yield named[:3], named[4:]
        return
    base, quote = named[:-3], named[-3:]
    if base in _CURRENCIES | _COINS and quote in _CURRENCIES:
        yield base, quote
        return
    for coin in sorted(_COIN_QUOTES, key=len, reverse=True):
        other = named.removesuffix(coin)
        is_pair = other in _COINS | _CURRENCIES or (len(coin) > 3 and re.fullmatch(r"[A-Z0-9]{2,12}", other))
        if other != named and is_pair:
            yield other, coin
            return
    # No exchange gives shares names of six letters that end in a currency.
    if quote in _USUAL_QUOTES and re.fullmatch(r"[A-Z0-9]{3,10}", base):
        yield base, quote
