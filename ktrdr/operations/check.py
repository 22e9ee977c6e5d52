"""What a check of a home must know about operations: what the registry records, and whether a bridge is whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ktrdr.operations.bridge import BridgeFileError, ProgressBridge
from ktrdr.operations.operation import WorkerIdentity
from ktrdr.operations.status import OperationStatus

_MAGIC_OF_ANY_VERSION = b"KTRDRBR"


@dataclass(frozen=True, slots=True)
class RecordedOperation:
    """The columns of one operation's record that a check needs; any text may stand in the first three."""

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


def bridge_damage(path: Path, *, has_ended: bool) -> str:
    """Why the bridge cannot be read; empty when it can, or when there is none.

    The bridge of an operation that has ended is of no more use, so one of an earlier version is no fault then.
    """
    damage = _damage(path) if path.exists() else ""
    return "" if damage and has_ended and _is_of_any_version(path) else damage


def _damage(path: Path) -> str:
    try:
        with ProgressBridge(path) as bridge:
            bridge.get_status()
            _ = bridge._metrics_history[-1:]
    except BridgeFileError as damage:
        return str(damage).removeprefix(f"bridge {path} ").removeprefix("is damaged: ")
    except Exception as error:  # noqa: BLE001 (any content may stand in a damaged file)
        return f"{type(error).__name__}: {error}"
    return ""


def _is_of_any_version(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_MAGIC_OF_ANY_VERSION)) == _MAGIC_OF_ANY_VERSION
