"""What a user says about a file, checked before the file is read."""

from __future__ import annotations

from ktrdr.errors import InputError
from ktrdr.market.files.columns import check_columns
from ktrdr.market.files.date_order import ORDERS
from ktrdr.market.files.layout import parse_delimiter
from ktrdr.market.files.presets import find_preset
from ktrdr.market.files.text import check_encoding
from ktrdr.market.files.written import EXCEL
from ktrdr.market.files.zones import check_timezone
from ktrdr.payloads.files import FileReading


def check_reading(reading: FileReading) -> None:
    """Raises InputError of what can be right for no file."""
    find_preset(reading.format)
    check_columns(reading.columns)
    check_timezone(reading.timezone)
    check_encoding(reading.encoding)
    parse_delimiter(reading.delimiter)
    _check_date_format(reading.date_format)
    if reading.decimal and reading.decimal == reading.thousands:
        raise InputError(
            f"--decimal and --thousands are both {reading.decimal!r}", hint="they must be two different marks"
        )


def _check_date_format(date_format: str) -> None:
    if not date_format or "%" in date_format or date_format in (*ORDERS, EXCEL):
        return
    raise InputError(
        f"date format {date_format!r} is none of {', '.join((*ORDERS, EXCEL))}, nor a pattern",
        hint="a pattern has a % before each letter: %d/%m/%Y %H:%M",
    )
