"""What may reach a terminal or a log: text from outside with its control characters escaped, and errors in words."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from ktrdr.errors import KtrdrError

# C0 and C1 controls, DEL, signs that turn the direction of text, and separators of lines and paragraphs.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def escaped(text: str, keep: str = "") -> str:
    """The text with control characters written as `\\x1b` or `\\u202e`, except those in `keep`."""
    return _CONTROLS.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def escaped_lines(text: str) -> str:
    """As `escaped`, for text of several lines."""
    return escaped(text, keep="\n")


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON with control characters escaped as JSON does it; what JSON does not know is shown as text."""
    content = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    return _CONTROLS.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", content)


def error_text(error: KtrdrError) -> str:
    """`error: …`, then `hint: …` where there is one."""
    lines = [("error", error.detail), ("hint", error.hint)]
    return "\n".join(f"{label}: {indented(text)}" for label, text in lines if text)


def error_json(error: KtrdrError) -> str:
    """One object in one line. The code of a refusal is the one that the server gave it."""
    context = {key: value for key, value in error.context.items() if key != "problem"}
    code = error.context.get("problem", error.code)
    return json_text({"error": {"code": code, "detail": error.detail, "hint": error.hint, "context": context}})


def write_error(error: KtrdrError, *, as_json: bool = False) -> None:
    """Write an error to stderr, in words or as one line of JSON."""
    sys.stderr.write((error_json if as_json else error_text)(error) + "\n")


def indented(text: str) -> str:
    """Escaped, and its later lines indented, so that none of them looks like a line of the program's own."""
    return escaped_lines(text).replace("\n", "\n  ")


def _escape(control: str) -> str:
    code = ord(control)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
