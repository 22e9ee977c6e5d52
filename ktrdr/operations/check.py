"""What a check of a home needs to know about operations: their records, and whether a bridge is intact."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ktrdr.findings import Damage
from ktrdr.operations.bridge import BridgeFileError, BridgeReadError, ProgressBridge
from ktrdr.operations.operation import WorkerIdentity
from ktrdr.operations.status import OperationStatus

_MAGIC_OF_ANY_VERSION = b"KTRDRBR"


@dataclass(frozen=True, slots=True)
class RecordedOperation:
    """The columns of one operation's record that a check needs.

    operation_id: the operation; any text, as the next two, because the registry may be damaged
    operation_type: its type, such as `TRAINING`
    status: its status, an `OperationStatus` unless damaged
    worker: the process that ran it; None where none was recorded
    parent_id: the operation that it continues or is part of
    """

    operation_id: str
    operation_type: str
    status: str
    worker: WorkerIdentity | None
    parent_id: str | None = None

    @property
    def has_ended(self) -> bool:
        return self.status not in (OperationStatus.PENDING, OperationStatus.RUNNING)

    @property
    def is_completed_training(self) -> bool:
        return self.operation_type == "TRAINING" and self.status == OperationStatus.COMPLETED


def bridge_damage(path: Path, *, has_ended: bool) -> Damage | None:
    """Why the bridge cannot be read; None when it can, or when there is none.

    An operation that has ended no longer needs its bridge, so a bridge of an earlier version is then no fault.
    """
    damage = _damage(path) if path.exists() else None
    is_of_no_use = damage and damage.is_certain and has_ended and _is_of_any_version(path)
    return None if is_of_no_use else damage


def _damage(path: Path) -> Damage | None:
    try:
        with ProgressBridge(path) as bridge:
            bridge.get_status()
            _ = bridge._metrics_history[-1:]
    except BridgeFileError as error:
        reason = str(error).removeprefix(f"bridge {path} ").removeprefix("is damaged: ")
        return Damage(reason, is_certain=not isinstance(error, BridgeReadError))
    except Exception as error:  # noqa: BLE001 (a damaged file may contain anything)
        return Damage(f"{type(error).__name__}: {error}")
    return None


def _is_of_any_version(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_MAGIC_OF_ANY_VERSION)) == _MAGIC_OF_ANY_VERSION
