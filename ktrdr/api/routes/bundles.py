"""Trained models in one file each: out of this server, into it, and compared with their checksums."""

from __future__ import annotations

from fastapi import APIRouter, Request, status
from fastapi.responses import StreamingResponse

from ktrdr.api.routes.responses import Injected, ModelId, refusals
from ktrdr.payloads.bundles import Unpacked, Verification

router = APIRouter(prefix="/models", tags=["models"])

_TAR = "application/x-tar"


@router.get(
    "/{operation_id}/bundle",
    response_class=StreamingResponse,
    responses=refusals(404, 409, 422, 503) | {200: {"content": {_TAR: {}}, "description": "The archive."}},
)
async def pack_model(operation_id: ModelId, services: Injected) -> StreamingResponse:
    """A training that has ended, with its folds: records, results, metrics and files, as one archive."""
    bundle = await services.bundles.pack(operation_id)
    headers = {
        "content-length": str(bundle.size_bytes),
        "content-disposition": f'attachment; filename="{bundle.filename}"',
    }
    return StreamingResponse(bundle.chunks(), media_type=_TAR, headers=headers)


@router.post(
    "/bundles",
    status_code=status.HTTP_201_CREATED,
    responses=refusals(403, 409, 413, 422, 503),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def unpack_models(request: Request, services: Injected) -> Unpacked:
    """Take in the models of an archive that was packed by this server or another one."""
    return await services.bundles.unpack(request.stream())


@router.get("/{operation_id}/verification", responses=refusals(404, 409, 422, 503))
async def verify_model(operation_id: ModelId, services: Injected) -> Verification:
    """Whether the files of a training and its folds are still as they were written."""
    return await services.bundles.verify(operation_id)
