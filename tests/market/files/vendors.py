"""Bars as many vendors write them: the same eight days, or hours, in each vendor's own words."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

Value = tuple[float, float, float, float, float]

VALUES: Sequence[Value] = (
    (187.15, 188.44, 183.89, 185.64, 4634),
    (184.22, 185.88, 183.43, 184.25, 8315),
    (182.15, 183.09, 180.88, 181.91, 7011),
    (181.99, 182.76, 180.17, 181.18, 2737),
    (182.09, 185.60, 181.50, 185.56, 5918),
    (183.92, 185.15, 182.73, 185.14, 7152),
    (184.35, 186.40, 183.92, 186.19, 2171),
    (186.54, 187.05, 183.62, 185.59, 1540),
)
DAYS = tuple(date(2024, 1, day) for day in (2, 3, 4, 5, 8, 9, 10, 11))
HOURS = tuple(datetime(2024, 1, 2, 14, 30, tzinfo=UTC) + timedelta(hours=hour) for hour in range(8))
MINUTES = tuple(datetime(2024, 1, 2, 9, 30, tzinfo=UTC) + timedelta(minutes=minute) for minute in range(8))


@dataclass(frozen=True)
class Vendor:
    """A file of a vendor, and what must come of it.

    content: the file
    timeframe: of its bars
    stamps: when they open, in UTC
    reading: what the user says about it
    symbol: what it is imported as
    volumes: where they are other ones
    name: of the file
    """

    content: bytes
    timeframe: str
    stamps: Sequence[date]
    reading: dict[str, Any] = field(default_factory=dict)
    symbol: str = "ACME"
    volumes: Sequence[float] = tuple(value[4] for value in VALUES)
    name: str = "bars.csv"


Row = Callable[[Any, Value], str]


def text(header: str, row: Row, stamps: Sequence[Any], end: str = "\n", footer: str = "") -> bytes:
    lines = [*([header] if header else []), *(row(stamp, value) for stamp, value in zip(stamps, VALUES, strict=True))]
    return (end.join(lines) + end + footer).encode()


def plain(value: Value) -> str:
    return "{:.2f},{:.2f},{:.2f},{:.2f},{:.0f}".format(*value)


def european(value: Value, separator: str = ";") -> str:
    prices = separator.join(f"{price:.2f}".replace(".", ",") for price in value[:4])
    return f"{prices}{separator}" + f"{value[4] * 1000:,.0f}".replace(",", ".")


def in_new_york(stamps: Sequence[datetime]) -> tuple[datetime, ...]:
    """What stands at 09:30 by the clock of New York in winter, in UTC."""
    return tuple(stamp + timedelta(hours=5) for stamp in stamps)


def epoch_s(stamp: datetime) -> int:
    return int(stamp.timestamp())


def german_investing(day: date, value: Value) -> str:
    prices = (f"{value[place]:.2f}".replace(".", ",") for place in (3, 0, 1, 2))
    volume = f"{value[4] / 1000:.3f}K".replace(".", ",")
    return ",".join(f'"{cell}"' for cell in (f"{day:%d.%m.%Y}", *prices, volume, "0,10%"))


def two_tickers() -> bytes:
    names = "Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume"
    header = f"{names}\nTicker{',ACME,ZETA' * 5}\nDate{',' * 10}"
    return text(
        header,
        lambda day, v: (
            f"{day},{v[3]},{v[3] * 2},{v[1]},{v[1] * 2},{v[2]},{v[2] * 2},{v[0]},{v[0] * 2},{v[4]},{v[4] * 2}"
        ),
        DAYS,
    )


def parquet(frame: pl.DataFrame) -> bytes:
    content = io.BytesIO()
    frame.write_parquet(content)
    return content.getvalue()


def columns() -> dict[str, list[float]]:
    return {
        name: list(map(float, values))
        for name, values in zip(("open", "high", "low", "close", "volume"), zip(*VALUES, strict=True), strict=True)
    }


THOUSANDFOLD = tuple(value[4] * 1000 for value in VALUES)
NO_VOLUME = (0.0,) * len(VALUES)

VENDORS: dict[str, Vendor] = {
    "Interactive Brokers TWS": Vendor(
        text(
            "Date,Time,Open,High,Low,Close,Volume,WAP,Count",
            lambda t, v: f"{t:%Y%m%d},{t:%H:%M:%S},{plain(v)},{v[3]},9",
            MINUTES,
        ),
        "1m",
        in_new_york(MINUTES),
        {"timezone": "America/New_York"},
    ),
    "Interactive Brokers API, named zone": Vendor(
        text(
            "date,open,high,low,close,volume,average,barCount",
            lambda t, v: f"{t:%Y%m%d %H:%M:%S} US/Eastern,{plain(v)},{v[3]},9",
            MINUTES,
        ),
        "1m",
        in_new_york(MINUTES),
    ),
    "Polygon flat file": Vendor(
        text(
            "ticker,volume,open,close,high,low,window_start,transactions",
            lambda t, v: f"ACME,{v[4]},{v[0]},{v[3]},{v[1]},{v[2]},{epoch_s(t)}000000000,12",
            MINUTES,
        ),
        "1m",
        MINUTES,
    ),
    "Polygon aggregates": Vendor(
        text("v,vw,o,c,h,l,t,n", lambda t, v: f"{v[4]},{v[3]},{v[0]},{v[3]},{v[1]},{v[2]},{epoch_s(t)}000,12", MINUTES),
        "1m",
        MINUTES,
    ),
    "Tiingo": Vendor(
        text(
            "date,close,high,low,open,volume,adjClose,adjHigh,adjLow,adjOpen,adjVolume,divCash,splitFactor",
            lambda d, v: f"{d}T00:00:00.000Z,{v[3]},{v[1]},{v[2]},{v[0]},{v[4]},1,1,1,1,1,0,1",
            DAYS,
        ),
        "1d",
        DAYS,
    ),
    "EODHD": Vendor(
        text(
            "Date,Open,High,Low,Close,Adjusted_close,Volume",
            lambda d, v: f"{d},{v[0]},{v[1]},{v[2]},{v[3]},91.5,{v[4]}",
            DAYS,
        ),
        "1d",
        DAYS,
    ),
    "Quandl WIKI": Vendor(
        text(
            "ticker,date,open,high,low,close,volume,ex-dividend,split_ratio,adj_open,adj_high,adj_low,adj_close,adj_volume",
            lambda d, v: f"ACME,{d},{plain(v)},0,1,1,1,1,1,1",
            DAYS,
        ),
        "1d",
        DAYS,
    ),
    "TradeStation": Vendor(
        text(
            '"Date","Time","Open","High","Low","Close","Vol","OI"',
            lambda t, v: f"{t + timedelta(minutes=1):%m/%d/%Y},{t + timedelta(minutes=1):%H:%M},{plain(v)},0",
            MINUTES,
        ),
        "1m",
        in_new_york(MINUTES),
        {"format": "tradestation", "timezone": "America/New_York"},
    ),
    "NinjaTrader": Vendor(
        text("", lambda t, v: f"{t + timedelta(minutes=1):%Y%m%d %H%M%S};{plain(v).replace(',', ';')}", MINUTES),
        "1m",
        MINUTES,
        {"format": "ninjatrader"},
    ),
    "Sierra Chart": Vendor(
        text(
            "Date, Time, Open, High, Low, Last, Volume, NumberOfTrades, BidVolume, AskVolume",
            lambda t, v: f"{t.year}/{t.month}/{t.day}, {t:%H:%M:%S}.000000, {plain(v).replace(',', ', ')}, 9, 4, 5",
            MINUTES,
        ),
        "1m",
        MINUTES,
    ),
    "MultiCharts": Vendor(
        text(
            '"<Date>","<Time>","<Open>","<High>","<Low>","<Close>","<Volume>"',
            lambda t, v: f"{t + timedelta(minutes=1):%Y-%m-%d},{t + timedelta(minutes=1):%H:%M:%S},{plain(v)}",
            MINUTES,
        ),
        "1m",
        MINUTES,
        {"stamp": "close"},
    ),
    "CryptoDataDownload": Vendor(
        b"https://www.CryptoDataDownload.com\n"
        + text(
            "unix,date,symbol,open,high,low,close,Volume BTC,Volume USD",
            lambda t, v: f"{epoch_s(t)},{t:%Y-%m-%d %H:%M:%S},BTC/USD,{plain(v)},{v[4] * v[3]}",
            HOURS[::-1],
        ),
        "1h",
        HOURS,
        symbol="BTC-USD",
    ),
    "Bitstamp": Vendor(
        text("timestamp,open,high,low,close,volume", lambda t, v: f"{epoch_s(t)}.0,{plain(v)}", HOURS),
        "1h",
        HOURS,
    ),
    "Kraken OHLCVT": Vendor(text("", lambda t, v: f"{epoch_s(t)},{plain(v)},17", HOURS), "1h", HOURS),
    "Coinbase": Vendor(
        text(
            "time,low,high,open,close,volume",
            lambda t, v: f"{epoch_s(t)},{v[2]},{v[1]},{v[0]},{v[3]},{v[4]}",
            HOURS[::-1],
        ),
        "1h",
        HOURS,
    ),
    "Coinbase without a header": Vendor(
        text("", lambda t, v: f"{epoch_s(t)},{v[2]},{v[1]},{v[0]},{v[3]},{v[4]}", HOURS),
        "1h",
        HOURS,
        {"format": "coinbase"},
    ),
    "Bybit": Vendor(
        text(
            "id,symbol,period,start_at,volume,open,high,low,close",
            lambda t, v: f"7,BTCUSD,60,{epoch_s(t)},{v[4]},{v[0]},{v[1]},{v[2]},{v[3]}",
            HOURS,
        ),
        "1h",
        HOURS,
        symbol="BTC-USD",
    ),
    "Bybit for MetaTrader": Vendor(text("", lambda t, v: f"{t:%Y.%m.%d %H:%M},{plain(v)}", HOURS), "1h", HOURS),
    "OKX": Vendor(
        text(
            "instrument_name,open,high,low,close,vol,vol_ccy,vol_quote,open_time,confirm",
            lambda t, v: f"BTC-USDT,{plain(v)},1,1,{epoch_s(t)}000,1",
            HOURS,
        ),
        "1h",
        HOURS,
        symbol="BTC-USDT",
    ),
    "FirstRate": Vendor(
        text("", lambda t, v: f"{t:%Y-%m-%d %H:%M:%S},{plain(v)}", MINUTES),
        "1m",
        in_new_york(MINUTES),
        {"format": "firstrate"},
    ),
    "Kibot": Vendor(
        text("", lambda t, v: f"{t:%m/%d/%Y},{t:%H:%M},{plain(v)}", MINUTES, "\r\n"),
        "1m",
        in_new_york(MINUTES),
        {"format": "kibot"},
    ),
    "AlgoSeek": Vendor(
        text(
            "Date,Ticker,TimeBarStart,FirstTradePrice,HighTradePrice,LowTradePrice,LastTradePrice,VolumeWeightPrice,Volume,TotalTrades",
            lambda t, v: f"{t:%Y%m%d},ACME,{t:%H:%M},{v[0]},{v[1]},{v[2]},{v[3]},{v[3]},{v[4]},9",
            MINUTES,
        ),
        "1m",
        in_new_york(MINUTES),
        {"format": "algoseek"},
    ),
    "Finam": Vendor(
        text(
            "<TICKER>;<PER>;<DATE>;<TIME>;<OPEN>;<HIGH>;<LOW>;<CLOSE>;<VOL>",
            lambda t, v: f"ACME;1;{t:%Y%m%d};{t:%H%M%S};{plain(v).replace(',', ';')}",
            MINUTES,
        ),
        "1m",
        tuple(t - timedelta(hours=3) for t in MINUTES),
        {"format": "finam"},
    ),
    "JForex, local time": Vendor(
        text(
            "Local time,Open,High,Low,Close,Volume",
            lambda t, v: f"{t:%d.%m.%Y %H:%M:%S}.000 GMT+0100,{plain(v)}",
            HOURS,
        ),
        "1h",
        tuple(t - timedelta(hours=1) for t in HOURS),
    ),
    "HistData for MetaTrader": Vendor(
        text("", lambda t, v: f"{t:%Y.%m.%d},{t:%H:%M},{plain(v)}", MINUTES), "1m", MINUTES
    ),
    "HistData ASCII": Vendor(
        text("", lambda t, v: f"{t:%Y%m%d %H%M%S};{v[0]:.6f};{v[1]:.6f};{v[2]:.6f};{v[3]:.6f};0", MINUTES),
        "1m",
        in_new_york(MINUTES),
        {"format": "histdata"},
        volumes=NO_VOLUME,
    ),
    "Norgate": Vendor(
        text(
            "Symbol,Security Name,Date,Open,High,Low,Close,Volume",
            lambda d, v: f"ACME,Acme Inc,{d:%Y%m%d},{plain(v)}",
            DAYS,
        ),
        "1d",
        DAYS,
    ),
    "CSI": Vendor(text("", lambda d, v: f"{d:%Y%m%d},{plain(v)}", DAYS), "1d", DAYS),
    "Google Finance": Vendor(
        text("Date,Open,High,Low,Close,Volume", lambda d, v: f"{d.day}-{d:%b-%y},{plain(v)}", DAYS[::-1]),
        "1d",
        DAYS,
    ),
    "boursorama": Vendor(
        text(
            "date\touv\thaut\tbas\tclot\tvol\tdevise\t",
            lambda d, v: f"{d:%d/%m/%Y} 00:00\t" + plain(v).replace(",", "\t") + "\tEUR\t",
            DAYS,
        ),
        "1d",
        DAYS,
    ),
    "Bloomberg": Vendor(
        text(
            "Date,PX_OPEN,PX_HIGH,PX_LOW,PX_LAST,PX_VOLUME", lambda d, v: f"{d.month}/{d.day}/{d.year},{plain(v)}", DAYS
        ),
        "1d",
        DAYS,
    ),
    "Refinitiv": Vendor(
        text(
            "Exchange Date,Close,Net,%Chg,Open,Low,High,Volume",
            lambda d, v: f'{d:%d-%b-%Y},{v[3]},0.1,+0.05%,{v[0]},{v[2]},{v[1]},"{v[4]:,}"',
            DAYS[::-1],
        ),
        "1d",
        DAYS,
    ),
    "ariva": Vendor(
        text("Datum;Erster;Hoch;Tief;Schlusskurs;Stuecke;Volumen", lambda d, v: f"{d};{european(v)};999", DAYS[::-1]),
        "1d",
        DAYS,
        volumes=THOUSANDFOLD,
    ),
    "Investing.com in German": Vendor(
        text('"Datum","Zuletzt","Eröffn.","Hoch","Tief","Vol.","+/- %"', german_investing, DAYS[::-1]),
        "1d",
        DAYS,
        {"columns": {"open": "Eröffn.", "close": "Zuletzt"}},
    ),
    "NSE of India": Vendor(
        text(
            '"Date ","series ","OPEN ","HIGH ","LOW ","PREV. CLOSE ","ltp ","close ","vwap ","VOLUME ","VALUE "',
            lambda d, v: (
                f'"{d:%d-%b-%Y}","EQ","{v[0]:.2f}","{v[1]:.2f}","{v[2]:.2f}","180.00","185.00","{v[3]:.2f}","184.00",'
                f'"{v[4]:,}","1,234.50"'
            ),
            DAYS[::-1],
        ),
        "1d",
        DAYS,
    ),
    "Alpha Vantage JSON as a table": Vendor(
        text(",1. open,2. high,3. low,4. close,5. volume", lambda d, v: f"{d},{plain(v)}", DAYS[::-1]),
        "1d",
        DAYS,
    ),
    "R's write.table": Vendor(
        text('"open" "high" "low" "close" "volume"', lambda d, v: f'"{d}" ' + plain(v).replace(",", " "), DAYS),
        "1d",
        DAYS,
    ),
    "akshare, columns in Chinese": Vendor(
        text(
            "日期,股票代码,开盘,收盘,最高,最低,成交量,成交额",
            lambda d, v: f"{d},600519,{v[0]},{v[3]},{v[1]},{v[2]},{v[4]},1",
            DAYS,
        ),
        "1d",
        DAYS,
        symbol="600519.SS",
    ),
    "MetaTrader5 from Python": Vendor(
        text(
            ",time,open,high,low,close,tick_volume,spread,real_volume",
            lambda t, v: f"{(t - HOURS[0]) // timedelta(hours=1)},{epoch_s(t)},{v[0]},{v[1]},{v[2]},{v[3]},{v[4]},2,0",
            HOURS,
        ),
        "1h",
        HOURS,
    ),
    "Excel in English, with AM and PM": Vendor(
        text(
            "Date,Open,High,Low,Close,Volume",
            lambda t, v: f"{t.month}/{t.day + 13}/{t.year} {t.hour % 12 or 12}:{t:%M:%S %p},{plain(v)}",
            HOURS,
        ),
        "1h",
        tuple(t + timedelta(days=13) for t in HOURS),
    ),
    "Excel in German, with its first line": Vendor(
        b"sep=;\r\n"
        + text(
            "Datum;Er\u00f6ffnung;Hoch;Tief;Schluss;Volumen", lambda d, v: f"{d:%d.%m.%Y};{european(v)}", DAYS, "\r\n"
        ),
        "1d",
        DAYS,
        volumes=THOUSANDFOLD,
    ),
    "yfinance, two symbols": Vendor(two_tickers(), "1d", DAYS, {"only": "ACME"}),
    "psql with a footer": Vendor(
        text(
            "timestamp|open|high|low|close|volume",
            lambda t, v: f"{t:%Y-%m-%d %H:%M:%S}+00|{plain(v).replace(',', '|')}",
            HOURS,
            footer="(8 rows)\n",
        ),
        "1h",
        HOURS,
    ),
    "BigQuery": Vendor(
        text("ts,open,high,low,close,volume", lambda t, v: f"{t:%Y-%m-%d %H:%M:%S} UTC,{plain(v)}", HOURS),
        "1h",
        HOURS,
    ),
    "Java's ZonedDateTime": Vendor(
        text(
            "time,open,high,low,close,volume",
            lambda t, v: f"{t:%Y-%m-%dT%H:%M}-05:00[America/New_York],{plain(v)}",
            MINUTES,
        ),
        "1m",
        in_new_york(MINUTES),
    ),
    "Parquet with pandas' index": Vendor(
        parquet(
            pl.DataFrame(
                {**columns(), "__index_level_0__": pl.Series(HOURS).dt.replace_time_zone(None).cast(pl.Datetime("ns"))}
            )
        ),
        "1h",
        HOURS,
        name="bars.parquet",
    ),
    "Parquet with dates as categories": Vendor(
        parquet(pl.DataFrame({"date": pl.Series(list(map(str, DAYS)), dtype=pl.Categorical), **columns()})),
        "1d",
        DAYS,
        name="bars.parquet",
    ),
    "Parquet of yfinance": Vendor(
        parquet(
            pl.DataFrame(
                {"Date": list(DAYS), **{f"('{name.title()}', 'ACME')": values for name, values in columns().items()}}
            )
        ),
        "1d",
        DAYS,
        name="bars.parquet",
    ),
    "Parquet with a date and a time": Vendor(
        parquet(
            pl.DataFrame(
                {"date": [stamp.date() for stamp in HOURS], "time": [stamp.time() for stamp in HOURS], **columns()}
            )
        ),
        "1h",
        HOURS,
        name="bars.parquet",
    ),
}
