"""Layouts of known vendors by name; a new one is one entry here."""

from __future__ import annotations

from dataclasses import dataclass, field

from ktrdr.errors import InputError, nearest
from ktrdr.payloads.files import FileDialect, FileReading

_BARS = ("open", "high", "low", "close", "volume")
_STAMPED = ("timestamp", *_BARS)
_DATE_AND_TIME = ("date", "time", *_BARS)
_BINANCE = (*_STAMPED, "close_time", "quote_volume", "trades", "taker_base", "taker_quote", "ignore")


@dataclass(frozen=True, slots=True)
class Preset:
    """What a vendor's files do not tell by themselves.

    names: of the columns, in their order, of files without a header
    dialect: what a user would otherwise have to say
    columns: the file's names of columns that ktrdr would not recognise
    """

    names: tuple[str, ...] = ()
    dialect: FileDialect = field(default_factory=FileDialect)
    columns: tuple[tuple[str, str], ...] = ()


PRESETS = {
    # https://www.alphavantage.co/documentation/: intraday times are of US Eastern.
    "alphavantage": Preset(dialect=FileDialect(timezone="America/New_York")),
    "algoseek": Preset(
        dialect=FileDialect(timezone="America/New_York"),
        columns=(
            ("open", "FirstTradePrice"),
            ("high", "HighTradePrice"),
            ("low", "LowTradePrice"),
            ("close", "LastTradePrice"),
        ),
    ),
    "binance": Preset(_BINANCE),
    "bitstamp": Preset(),
    "coinbase": Preset(("timestamp", "low", "high", "open", "close", "volume")),
    "cryptodatadownload": Preset(),
    "csi": Preset(_STAMPED),
    "dukascopy": Preset(dialect=FileDialect(date_format="DMY")),
    "finam": Preset(dialect=FileDialect(timezone="Europe/Moscow")),
    "firstrate": Preset(_STAMPED, FileDialect(timezone="America/New_York")),
    # https://www.histdata.com/f-a-q/: Eastern Standard Time, without summer time.
    "histdata": Preset(_STAMPED, FileDialect(timezone="Etc/GMT+5", decimal=".")),
    "investing": Preset(dialect=FileDialect(date_format="MDY")),
    "kaggle": Preset(),
    "kibot": Preset(_DATE_AND_TIME, FileDialect(timezone="America/New_York", date_format="MDY")),
    "kraken": Preset((*_STAMPED, "trades")),
    "kucoin": Preset(("timestamp", "open", "close", "high", "low", "volume", "turnover")),
    "metatrader4": Preset(_DATE_AND_TIME),
    "metatrader5": Preset(dialect=FileDialect(decimal=".")),
    "nasdaq": Preset(dialect=FileDialect(date_format="MDY")),
    # https://ninjatrader.com/support/helpguides/nt8/: exported bars are stamped at their close, in UTC.
    "ninjatrader": Preset(_STAMPED, FileDialect(stamp="close", decimal=".")),
    "stooq": Preset(),
    "tradestation": Preset(dialect=FileDialect(date_format="MDY", stamp="close")),
    "tradingview": Preset(),
    "yfinance": Preset(),
}


def find_preset(name: str) -> Preset:
    """The preset of that name, or one that knows nothing. Raises InputError."""
    if not name:
        return Preset()
    if (preset := PRESETS.get(name.lower())) is not None:
        return preset
    similar = nearest(name, PRESETS)
    raise InputError(
        f"format {name[:64]!r} is not one of {', '.join(PRESETS)}",
        hint=f"did you mean {similar!r}?" if similar else "leave it out: most files are recognised without it",
    )


def with_preset(reading: FileReading) -> tuple[FileReading, tuple[str, ...]]:
    """What the user says, completed by the preset; and the preset's names of columns."""
    preset = find_preset(reading.format)
    usual = preset.dialect.model_dump(exclude_defaults=True)
    stated = reading.model_dump(exclude_defaults=True)
    columns = {**dict(preset.columns), **reading.columns}
    return FileReading(**{**usual, **stated, "columns": columns}), preset.names
