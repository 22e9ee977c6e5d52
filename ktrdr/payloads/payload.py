"""The base of all payloads, and the types that they share."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from ktrdr.instants import as_instant

_NO_OFFSET = timedelta(0)


class Payload(BaseModel):
    """Frozen; JSON names fields by their aliases, and a number that is not finite is null there."""

    model_config = ConfigDict(frozen=True, validate_by_name=True, serialize_by_alias=True, ser_json_inf_nan="null")


def _to_utc_second(instant: datetime) -> datetime:
    if instant.microsecond or instant.utcoffset() != _NO_OFFSET:
        return as_instant(instant).replace(microsecond=0)
    return instant


BarInstant = Annotated[datetime, AfterValidator(_to_utc_second)]
"""An instant of a bar: UTC, to the second. In JSON ISO 8601 with a Z; without a zone UTC is taken."""
