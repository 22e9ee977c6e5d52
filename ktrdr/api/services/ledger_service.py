"""LedgerService: the accounts of this home's ledger."""

from __future__ import annotations

import asyncio

from ktrdr.ledger.store import Ledger
from ktrdr.ledger.verdict import verdict_today
from ktrdr.payloads.looks import LedgerAccountDetail, LedgerList
from ktrdr.payloads.selection import LookVerdict


class LedgerService:
    """Only reads: looks are recorded by what evaluates, in the workers."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def list(self, limit: int) -> LedgerList:
        """The accounts with the newest looks. Raises StorageError."""
        accounts = await asyncio.to_thread(self._ledger.accounts)
        return LedgerList(accounts=tuple(each.without_entries() for each in accounts[:limit]), total=len(accounts))

    async def get(self, name: str) -> LedgerAccountDetail:
        """The account of a look, or of an operation's newest look. Raises NotFoundError and StorageError."""
        return await asyncio.to_thread(self._ledger.account, name)

    async def verdict(self, name: str) -> LookVerdict:
        """The verdict on a look, or on an operation's newest look, over all tries at its rows as they are now.

        Raises NotFoundError, ConflictError and StorageError.
        """
        return await asyncio.to_thread(verdict_today, name, self._ledger)
