"""Removes operations that have ended: record, results, metrics and folders, completely or not at all."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ktrdr.errors import ConflictError, OperationNotFound, StorageError
from ktrdr.files import write_atomically
from ktrdr.home import Home
from ktrdr.operations.service import OperationsService

logger = logging.getLogger(__name__)

_NAME = re.compile(r"\w{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Removed:
    """Ids of removed operations, and folders of theirs that the system did not let go."""

    operation_ids: Sequence[str]
    leftovers: Sequence[Path]


class Removal:
    """The one place where operations are removed, with their folders `<operations and models>/<operation_id>`.

    The ids are written down first, then the records go, then the folders. After a kill an operation is whole as long as
    it has its record; the folders of those without one go at the next start.
    """

    def __init__(self, operations: OperationsService, home: Home) -> None:
        self._operations = operations
        self._home = home
        self._removing = asyncio.Lock()

    async def remove(self, groups: Sequence[Sequence[str]]) -> Removed:
        """Remove these groups of ids, each whole and in its order; a group of which one is in use again stays.

        Raises OperationNotFound, OperationNotTerminal and StorageError; groups before the failing one are then gone.
        """
        async with self._removing:
            await self._finish()
            await asyncio.to_thread(self._write_down, [self._checked(each) for group in groups for each in group])
            gone: list[str] = []
            try:
                for group in groups:
                    if not self._operations.in_use() & set(group):
                        await self._remove_records(group, gone)
            finally:
                leftovers = await self._remove_folders(gone)
                self._cross_out()
        return Removed(gone, leftovers)

    async def _remove_records(self, group: Sequence[str], gone: list[str]) -> None:
        """As far as nobody continues a member meanwhile: those that it descends from stay then."""
        with suppress(ConflictError):
            for operation_id in group:
                await self._operations.remove_operation(operation_id)
                gone.append(operation_id)

    async def finish(self) -> None:
        """Finish what an earlier server had begun; when that cannot be read now, the next removal does."""
        async with self._removing:
            try:
                await self._finish()
            except StorageError as error:
                logger.error("A removal that was cut short is not finished: %s", error)

    async def _finish(self) -> None:
        try:
            listed = json.loads(self._list.read_bytes())
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageError(f"{self._list} cannot be read: {error.strerror}", hint="try again") from error
        except ValueError:
            listed = []
        names = [name for name in listed if isinstance(name, str) and _NAME.fullmatch(name)]
        await self._remove_folders([name for name in names if not await self._is_recorded(name)])
        self._cross_out()

    async def _is_recorded(self, operation_id: str) -> bool:
        try:
            await self._operations.get_operation(operation_id)
        except OperationNotFound:
            return False
        return True

    def folders(self, operation_id: str) -> list[Path]:
        """Raises StorageError for an id that could name something else than a folder of its own."""
        roots = (self._home.operations, self._home.models)
        folders = [root / self._checked(operation_id) for root in roots]
        try:
            return [folder for folder in folders if folder.is_dir() and not folder.is_symlink()]
        except OSError as error:
            raise StorageError(f"the folders of {operation_id} cannot be read: {error}", hint="try again") from error

    def _checked(self, operation_id: str) -> str:
        if not _NAME.fullmatch(operation_id):
            raise StorageError(
                f"the registry names an operation {operation_id!r}",
                hint="ktrdr gives no such names; nothing is removed",
            )
        return operation_id

    @property
    def _list(self) -> Path:
        return self._home.root / "removing.json"

    def _write_down(self, operation_ids: Sequence[str]) -> None:
        try:
            write_atomically(self._list, json.dumps(list(operation_ids)).encode())
        except OSError as error:
            raise StorageError(f"{self._list} cannot be written: {error.strerror}", hint="make room there") from error

    def _cross_out(self) -> None:
        """Delete the list; one that stays does no harm, since the next removal goes through it again."""
        try:
            self._list.unlink(missing_ok=True)
        except OSError as error:
            logger.error("%s cannot be deleted now: %s", self._list, error)

    async def _remove_folders(self, operation_ids: Sequence[str]) -> list[Path]:
        """Remove what folders there are; those that the system does not let go are returned."""
        leftovers: list[Path] = []
        for folder in [folder for operation_id in operation_ids for folder in self.folders(operation_id)]:
            try:
                await asyncio.to_thread(shutil.rmtree, folder)
            except OSError as error:
                logger.error("The folder %s of a removed operation is left: %s", folder, error)
                leftovers.append(folder)
        return leftovers
