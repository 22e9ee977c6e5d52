"""Types of fields that payloads and the API's schemas share."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated

from pydantic import PlainSerializer, WithJsonSchema

from ktrdr.instants import format_instant

_SCHEMA = WithJsonSchema({"type": "string", "format": "date-time"})

Instant = Annotated[datetime, PlainSerializer(format_instant, when_used="json"), _SCHEMA]
"""Of a record: written with milliseconds."""

_to_the_second = partial(format_instant, timespec="seconds")
BarInstant = Annotated[datetime, PlainSerializer(_to_the_second, when_used="json"), _SCHEMA]
"""Of a bar: written to the second."""
