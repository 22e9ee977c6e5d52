"""What all request bodies share, and what every refusal looks like."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from ktrdr.instants import format_instant

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _day(value: object) -> object:
    if (isinstance(value, str) and not _DAY.fullmatch(value)) or isinstance(value, int | float):
        raise PydanticCustomError("day", "must be a day such as 2023-06-30")
    return value


Instant = Annotated[
    datetime,
    PlainSerializer(format_instant, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""Of a record: written with milliseconds."""

Day = Annotated[date, BeforeValidator(_day)]
"""Written as YYYY-MM-DD; Pydantic alone would take numbers too, as seconds since 1970."""


class Request(BaseModel):
    """Base of request bodies: a misspelt key is an error, not a silently ignored wish."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """RFC 9457 problem details; `code` is stable, `hint` says what to do."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    hint: str = ""
    instance: str = ""
