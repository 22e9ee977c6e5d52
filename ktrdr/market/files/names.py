"""The names that vendors give to the columns of bars; of several in one file, the first in the list is meant."""

from __future__ import annotations

import re

TIMES = (
    *("timestamp", "datetime", "date time", "open time", "opentime", "window start", "gmt time", "local time"),
    *("time utc", "utc time", "date utc", "datetime utc", "timestamp utc", "candle begin time", "start time"),
    *("start at", "begins at", "time period start", "bar time", "open timestamp", "exchange date", "trade date"),
    *("tradedate", "trading date", "quote date", "date timestamp", "date", "dates", "datum", "fecha", "data", "jour"),
    *(
        "dato",
        "tarih",
        "дата",
        "日期",
        "日付",
        "日時",
        "时间",
        "時間",
        "交易日期",
        "unix",
        "unix timestamp",
        "unix time",
    ),
    *("epoch", "epoch time", "ts", "t", "time", "day", "begin", "start", "week", "index", "unnamed: 0"),
)
CLOCKS = (
    "time",
    "hour",
    "time of day",
    "uhrzeit",
    "zeit",
    "heure",
    "hora",
    "ora",
    "время",
    "timebarstart",
    "time bar start",
)
SYMBOLS = (
    *("symbol", "ticker", "instrument", "instrument name", "instrument id", "act symbol", "code", "ts code", "pair"),
    *("market", "symbol name", "name", "secid", "代码", "股票代码"),
)
OPENS = (
    *("open", "open price", "opening", "opening price", "first", "px open", "price open", "o", "1 open", "mid o"),
    *("eröffnung", "eroeffnung", "erster", "ouverture", "ouv", "apertura", "abertura", "opening kurs", "öppning"),
    *("открытие", "开盘", "开盘价", "開盤", "始値", "open bid", "openprice", "first trade price", "firsttradeprice"),
)
HIGHS = (
    *("high", "high price", "px high", "price high", "h", "mid h", "highest", "hoch", "höchst", "hoechst", "haut"),
    *("plus haut", "máximo", "maximo", "máxima", "maxima", "massimo", "max", "hoog", "högst", "максимум", "最高"),
    *("最高价", "高値", "highprice", "high trade price", "hightradeprice", "day high"),
)
LOWS = (
    *("low", "low price", "px low", "price low", "l", "mid l", "lowest", "tief", "tiefst", "bas", "plus bas"),
    *("mínimo", "minimo", "mínima", "minima", "min", "laag", "lägst", "минимум", "最低", "最低价", "安値", "lowprice"),
    *("low trade price", "lowtradeprice", "day low"),
)
CLOSES = (
    *("close", "close last", "close price", "closing price", "px last", "price close", "c", "mid c", "closeprice"),
    *("schluss", "schlusskurs", "clôture", "cloture", "clot", "cierre", "chiusura", "fechamento", "slot", "закрытие"),
    *("收盘", "收盘价", "收盤", "終値", "last trade price", "lasttradeprice", "last", "last price", "latest"),
    *("letzter", "dernier", "último", "ultimo", "senast", "price"),
)
VOLUMES = (
    *(
        "volume",
        "vol",
        "real volume",
        "total volume",
        "trade volume",
        "volume base",
        "base volume",
        "total trade quantity",
    ),
    *("total traded quantity", "ttl trd qnty", "shares traded", "no of shares", "quantity", "qty", "shares", "v"),
    *(
        "px volume",
        "stuecke",
        "stücke",
        "volumen",
        "volumes",
        "volym",
        "объем",
        "成交量",
        "出来高",
        "totalvolume",
        "volym",
    ),
)
TICK_VOLUMES = ("tickvol", "tick volume", "tickvolume", "ticks", "tick count")
ROLES = {
    "timestamp": TIMES,
    "clock": CLOCKS,
    "symbol": SYMBOLS,
    "open": OPENS,
    "high": HIGHS,
    "low": LOWS,
    "close": CLOSES,
    "volume": VOLUMES,
    "tick_volume": TICK_VOLUMES,
}
# The first row of labels above a table of several symbols, as yfinance writes it.
SYMBOL_LABELS = ("ticker", "tickers", "symbol", "symbols")
UTC_NAMES = re.compile(r"\b(utc|gmt)\b")

_KNOWN = frozenset(name for names in ROLES.values() for name in names)
_PAIR = re.compile(r"\('(.*?)', '(.*?)'\)")
_PREFIXED = re.compile(r"(\S+)\.(Open|High|Low|Close|Volume|Adjusted)")


def fold(name: str) -> str:
    """`<CLOSE>`, `4. close`, `Close_(USD)` and `close` are one name."""
    plain = re.sub(r"\([^)]*\)|\[[^\]]*\]", "", name.strip().strip("<>\"'#").casefold())
    plain = re.sub(r"^\d+[a-z]?\. ", "", plain.strip())
    return re.sub(r"[\s_./-]+", " ", plain).strip(" *") or name.strip().casefold()


def is_known(name: str) -> bool:
    folded = fold(name)
    return folded in _KNOWN or folded.startswith("volume ")


def says_utc(name: str) -> bool:
    return UTC_NAMES.search(re.sub(r"[_()\[\]]", " ", name.casefold())) is not None


def split_pair(name: str) -> tuple[str, str]:
    """`('Close', 'ACME')` of pandas and `ACME.Close` of quantmod as a name and a symbol; else the name alone."""
    if prefixed := _PREFIXED.fullmatch(name.strip()):
        return prefixed[2], prefixed[1]
    match = _PAIR.fullmatch(name.strip())
    if match is None:
        return name, ""
    first, second = match.groups()
    return (first, second) if is_known(first) or not is_known(second) else (second, first)
