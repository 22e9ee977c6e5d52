"""Hides the secrets in texts: the passwords of addresses, and what their queries call a password, token or key."""

from __future__ import annotations

import re

MASK = "********"

# Every repetition has a limit, so that the time is linear in the text.
_SECRET_NAME = r"[\w.-]{0,40}(?:password|passwd|pwd|token|secret|key|signature|auth|credential)[\w.-]{0,40}"
_PASSWORD = re.compile(r"(?<=://)([^\s:/@]*):\S{0,500}@")
# A name alone is a token for a web server; a database asks a password of it too.
_LONE_NAME = re.compile(r"(?<=http://)[^\s:/@]{1,500}@|(?<=https://)[^\s:/@]{1,500}@", re.IGNORECASE)
_QUERY = re.compile(rf"([?&;]{_SECRET_NAME}=)[^\s&;#'\"]+", re.IGNORECASE)
_NAME = re.compile(_SECRET_NAME, re.IGNORECASE)


def masked(text: str) -> str:
    """The text with the secrets of the addresses in it masked."""
    if "://" in text:
        text = _LONE_NAME.sub(f"{MASK}@", _PASSWORD.sub(rf"\1:{MASK}@", text))
    return _QUERY.sub(rf"\1{MASK}", text)


def names_a_secret(name: str) -> bool:
    """Whether the value of this name is secret as a whole."""
    return _NAME.fullmatch(name) is not None
