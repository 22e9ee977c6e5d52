"""RunService: all trainings as rows that can be ranked, with the tags and notes that people give them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Coroutine, Mapping, Sequence
from contextvars import Context
from typing import Any

from ktrdr.api.schemas.runs import Annotate
from ktrdr.errors import InputError, NotFoundError, OperationNotFound, StorageError
from ktrdr.operations.operation import Operation
from ktrdr.operations.service import OperationsService
from ktrdr.payloads.runs import MAX_TAGS, Annotations, Run, RunSummary, RunTable
from ktrdr.registry.runs import SqlRunStore, StoredRun
from ktrdr.run_table.query import RunQuery
from ktrdr.run_table.rows import Runs
from ktrdr.run_table.summary import RUN_TYPES, parse_summary, summarise

logger = logging.getLogger(__name__)

_BATCH = 50
_PATIENCE_S = 5.0


class RunService:
    """Holds all runs that have ended in memory, and stores a summary of each when it ends.

    Operations of earlier versions get their summaries once, in the background, when a server starts.
    """

    def __init__(self, operations: OperationsService, store: SqlRunStore) -> None:
        self._operations = operations
        self._store = store
        self._runs: Runs | None = None
        self._annotations: dict[str, Annotations] = {}
        self._unfinished: dict[str, RunSummary] = {}
        self._unread: set[str] = set()
        self._removed: set[str] = set()
        self._loading = asyncio.Lock()
        self._reading = asyncio.Lock()
        self._annotating = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        operations.on_end(self._on_end)
        operations.on_removal(self._on_removal)

    def start(self) -> None:
        """Begin to read the runs, so that the first request does not wait for all of it."""
        self._in_background(self._load_ahead())

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def select(self, query: RunQuery) -> RunTable:
        """The runs that a query asks for, and how many more are still being read. Raises InputError, StorageError."""
        runs = await self._loaded()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_PATIENCE_S)
        unfinished = await self._summarise_unfinished()
        annotated = [(run, self._annotations.get(run.operation_id, Annotations())) for run in unfinished]
        table = await asyncio.to_thread(runs.select, query, annotated)
        return table.model_copy(update={"unread": len(self._unread)})

    async def get(self, operation_id: str) -> Run:
        """Raises NotFoundError for an operation that trains nothing, StorageError."""
        operation = await self._operations.get_operation(operation_id)
        stored = await self._store.get(operation_id)
        summary = parse_summary(stored.summary) if stored else None
        if summary is None:
            summary = (await self._summarise([operation])).get(operation_id)
        if summary is None:
            raise NotFoundError(
                f"operation {operation_id} is no training ({operation.operation_type})",
                hint="list runs with: ktrdr runs",
            )
        annotations = stored.annotations if stored else Annotations()
        return Run(**summary.model_dump(), **annotations.model_dump())

    async def annotate(self, operation_ids: Sequence[str], request: Annotate) -> list[Run]:
        """Change tags and notes of all these runs, or of none. Raises InputError for too many tags, as `get` too."""
        async with self._annotating:
            runs = [await self.get(each) for each in dict.fromkeys(operation_ids)]
            changed = {run.operation_id: _changed(run, request) for run in runs}
            await self._store.annotate(changed)
            self._annotations |= changed
            for operation_id, annotations in changed.items():
                (await self._loaded()).annotate(operation_id, annotations)
        return [run.model_copy(update=changed[run.operation_id].model_dump()) for run in runs]

    # -- runs that have ended ------------------------------------------------------------------------------------

    async def _loaded(self) -> Runs:
        async with self._loading:
            if self._runs is None:
                runs, stored = Runs(), await self._store.all()
                self._annotations = {each.operation_id: each.annotations for each in stored if each.is_annotated}
                read = await asyncio.to_thread(_put_all, runs, stored)
                missing = [each for each in await self._store.ended(RUN_TYPES) if each not in read]
                self._runs = runs
                self._add_soon(missing)
            return self._runs

    async def _load_ahead(self) -> None:
        try:
            await self._loaded()
        except StorageError as error:
            logger.warning("Runs cannot be read yet: %s", error.detail)

    def _on_end(self, operation: Operation) -> None:
        self._removed.discard(operation.operation_id)
        if operation.operation_type in RUN_TYPES:
            self._add_soon([operation.operation_id])

    def _on_removal(self, operation_id: str) -> None:
        self._removed.add(operation_id)
        self._unread.discard(operation_id)
        self._annotations.pop(operation_id, None)
        if self._runs:
            self._runs.remove(operation_id)

    def _add_soon(self, operation_ids: Sequence[str]) -> None:
        self._unread |= set(operation_ids)
        for first in range(0, len(operation_ids), _BATCH):
            self._in_background(self._add(operation_ids[first : first + _BATCH]))

    async def _add(self, operation_ids: Sequence[str]) -> None:
        """Where the registry cannot be written now, the next start of a server stores the summaries."""
        runs = await self._loaded()
        async with self._reading:
            try:
                await self._take_in(runs, operation_ids)
            except StorageError as error:
                logger.warning("Summaries of %d runs are not stored yet: %s", len(operation_ids), error.detail)
            self._unread -= set(operation_ids)

    async def _take_in(self, runs: Runs, operation_ids: Sequence[str]) -> None:
        summaries = await self._summarise(await self._read(operation_ids))
        for operation_id, summary in summaries.items():
            if operation_id not in self._removed:
                runs.put(summary, self._annotations.get(operation_id, Annotations()))
        await self._store.put({name: summary.model_dump_json() for name, summary in summaries.items()})

    async def _read(self, operation_ids: Collection[str]) -> list[Operation]:
        """Those of the operations that are there and can be read."""
        found = []
        for operation_id in operation_ids:
            try:
                found.append(await self._operations.get_operation(operation_id))
            except (OperationNotFound, StorageError) as error:
                logger.warning("%s is left out of the runs: %s", operation_id, error.detail)
        return found

    async def _summarise(self, operations: Sequence[Operation]) -> dict[str, RunSummary]:
        """Summaries by operation id, of those among them that train."""
        results = await self._operations.get_results_of(operations)
        return await asyncio.to_thread(_summarise_all, operations, results)

    # -- runs that have not ended --------------------------------------------------------------------------------

    async def _summarise_unfinished(self) -> list[RunSummary]:
        active = {each.operation_id: each for each in self._operations.active() if each.operation_type in RUN_TYPES}
        new = [each for name, each in active.items() if name not in self._unfinished]
        known = self._unfinished | await self._summarise(new)
        self._unfinished = {
            name: known[name].model_copy(update={"status": each.status.value})
            for name, each in active.items()
            if name in known
        }
        return list(self._unfinished.values())

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        # The task outlives the request that caused it, and must not log under its id.
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _put_all(runs: Runs, stored: Sequence[StoredRun]) -> set[str]:
    """Put those with a summary of this version, and return their ids."""
    read = set()
    for each in stored:
        if summary := parse_summary(each.summary):
            runs.put(summary, each.annotations)
            read.add(each.operation_id)
    return read


def _summarise_all(operations: Sequence[Operation], results: Mapping[str, Mapping[str, Any]]) -> dict[str, RunSummary]:
    summaries = {}
    for operation in operations:
        try:
            summary = summarise(operation, results.get(operation.operation_id))
        except StorageError as error:
            logger.warning("%s is left out of the runs: %s", operation.operation_id, error.detail)
            continue
        if summary:
            summaries[operation.operation_id] = summary
    return summaries


def _changed(run: Run, request: Annotate) -> Annotations:
    tags = tuple(sorted((set(run.tags) | set(request.add)) - set(request.remove)))
    if len(tags) > MAX_TAGS:
        raise InputError(
            f"{run.operation_id} would have {len(tags)} tags; there are at most {MAX_TAGS}",
            hint=f"remove one with: ktrdr runs tag {run.operation_id} -{run.tags[0]}",
        )
    return Annotations(tags=tags, note=run.note if request.note is None else request.note)
