"""The base of all payloads, and the types that they share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from ktrdr.instants import as_instant


class Payload(BaseModel):
    """Frozen; JSON names fields by their aliases, and a number that is not finite is null there."""

    model_config = ConfigDict(frozen=True, validate_by_name=True, serialize_by_alias=True, ser_json_inf_nan="null")


def _to_utc_second(instant: datetime) -> datetime:
    if instant.tzinfo is UTC and not instant.microsecond:
        return instant
    return as_instant(instant).replace(microsecond=0)


BarInstant = Annotated[datetime, AfterValidator(_to_utc_second)]
"""An instant of a bar: UTC, to the second. In JSON ISO 8601 with a Z; without a zone UTC is taken."""
