"""The text of a file, whatever its encoding; what is no table of text is refused."""

from __future__ import annotations

import codecs

from ktrdr.errors import BarsError, InputError

ACCEPTED = "give a .csv file, or a .parquet file, with the time, open, high, low and close of each bar"

_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_GUESSED = "cp1252"


def check_encoding(name: str) -> str:
    """Raises InputError unless it is the name of an encoding, or empty."""
    try:
        # Codecs such as base64 are found, but are none of text.
        b"a".decode(name or "utf-8")
    except UnicodeError:
        return name
    except LookupError as error:
        raise InputError(f"{name[:32]!r} is not an encoding", hint="name it as utf-8, utf-16 or cp1252") from error
    return name


def decode(content: bytes, filename: str, encoding: str = "") -> tuple[str, str]:
    """The text with lines that end in a line feed, and the encoding where it is not UTF-8.

    Raises InputError.
    """
    by_bom = next((name for bom, name in _BOMS if content.startswith(bom)), "")
    used = check_encoding(encoding) or by_bom or "utf-8"
    try:
        text = content.decode(used)
    except UnicodeError as error:
        start = getattr(error, "start", 0)
        line = content.count(b"\n", 0, start) + 1
        raise InputError(
            f"line {line}: not {used.removesuffix('-sig').upper()} text (byte {start})",
            hint="it ends within a character: export it again" if used == by_bom else _encoding_hint(content),
        ) from error
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    _check_text(text, filename)
    return text, "" if used.startswith("utf-8") else used


def _encoding_hint(content: bytes) -> str:
    if content.count(b"\0") * 3 > len(content):
        return "it looks like UTF-16: --encoding utf-16-le"
    if b"\0" in content:
        return ACCEPTED
    return f"it may be Windows text: --encoding {_GUESSED}"


def _check_text(text: str, filename: str) -> None:
    if "\0" in text:
        raise InputError(f"{filename} is a binary file, not CSV text", hint=_encoding_hint(text[:1000].encode()))
    if text.lstrip()[:15].lower().startswith(("<!doctype", "<html", "<?xml", "{", "[")):
        raise InputError(f"{filename} is a web page or JSON, not CSV", hint=ACCEPTED)


def check_quotes(text: str) -> None:
    """Raises BarsError of the first line whose quotation marks are not in pairs."""
    if '"' not in text:
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count('"') % 2:
            raise BarsError(
                f"line {number}: a quotation mark has no partner: {shorten(line)}",
                hint="remove it, or add the missing one",
            )


def shorten(line: str, width: int = 60) -> str:
    shown = line if len(line) <= width else f"{line[:width]}…"
    return repr(shown)
