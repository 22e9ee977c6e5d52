"""The ledger: how often which held-out rows were evaluated, and what that came to."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from ktrdr.api.routes.responses import Injected, refusals
from ktrdr.payloads.looks import LedgerAccountDetail, LedgerList
from ktrdr.payloads.selection import LookVerdict

router = APIRouter(prefix="/ledger", tags=["ledger"])


@router.get("", responses=refusals(422, 503))
async def list_accounts(services: Injected, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> LedgerList:
    """Accounts of looks at the same bars, the one with the newest look first."""
    return await services.ledger.list(limit)


@router.get("/{look_id}", responses=refusals(404, 409, 422, 503))
async def get_account(look_id: str, services: Injected) -> LedgerAccountDetail:
    """The account that holds a look, with all of its looks; an operation's id stands for its newest look."""
    return await services.ledger.get(await services.references.model_id(look_id))


@router.get("/{look_id}/verdict", responses=refusals(404, 409, 422, 503))
async def get_verdict(look_id: str, services: Injected) -> LookVerdict:
    """A look's lead and returns beside those of all tries at the same rows, as they are now; later tries change it."""
    return await services.ledger.verdict(await services.references.model_id(look_id))
