"""What the API works with: states and kinds of operations, timeframes."""

from __future__ import annotations

from fastapi import APIRouter, Request

from ktrdr.api.schemas.system import Meta, OperationKind, TimeframeLength
from ktrdr.errors import FINAL_ERRORS
from ktrdr.jobs.kinds import OPERATION_TYPES
from ktrdr.market.files.presets import PRESETS
from ktrdr.operations.status import OperationStatus
from ktrdr.timeframe import Timeframe

router = APIRouter(prefix="/meta", tags=["health"])


@router.get("")
async def read_meta(request: Request) -> Meta:
    """States and kinds of operations, and timeframes, so that no client needs a list of its own."""
    states = list(OperationStatus)
    return Meta(
        version=request.app.version,
        states=states,
        terminal_states=[status for status in states if status.is_terminal],
        timeframes=[TimeframeLength(name=each, seconds=int(each.length.total_seconds())) for each in Timeframe],
        kinds=_kinds(),
        final_errors=sorted(FINAL_ERRORS),
        file_formats=sorted(PRESETS),
    )


def _kinds() -> list[OperationKind]:
    """Kinds of jobs that make the same kind of operations are one."""
    return [
        OperationKind(
            operation_type=name, title=kind.title, is_resumable=kind.is_resumable, makes_model=kind.makes_model
        )
        for name, kind in OPERATION_TYPES.items()
    ]
