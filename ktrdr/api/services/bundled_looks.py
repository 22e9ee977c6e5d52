"""Looks of trainings as a bundle holds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import ValidationError

from ktrdr.errors import InputError
from ktrdr.ledger.store import Ledger
from ktrdr.ledger.stored_look import StoredLook
from ktrdr.payloads.looks import LookRecords


def records_of(ledger: Ledger, operation_ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """The looks of each training that has any, by their path in the archive. Raises StorageError."""
    for operation_id in operation_ids:
        if stored := ledger.stored([operation_id]):
            records = LookRecords(looks=tuple(each.record() for each in stored))
            yield f"looks/{operation_id}.json", records.model_dump_json(indent=1).encode()


def read_looks(operation_id: str, content: bytes) -> list[StoredLook]:
    """Raises InputError when the looks are damaged, or are not of this training."""
    try:
        records = LookRecords.model_validate_json(content).looks
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise _refusal(operation_id, f"{place}: {fault['msg']}") from None
    if any(record.look.operation_id != operation_id for record in records):
        raise _refusal(operation_id, "they are of another training")
    return [StoredLook.parse(record) for record in records]


def _refusal(operation_id: str, reason: str) -> InputError:
    return InputError(f"the looks of {operation_id} in the bundle cannot be read: {reason}", hint="pack it anew")
