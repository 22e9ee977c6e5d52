"""Worker processes forked from one template process, which has done their imports (Linux)."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Sequence
from pathlib import Path

from ktrdr.executors.executor import Lane
from ktrdr.executors.identity import identify
from ktrdr.executors.processes import WorkerProcess
from ktrdr.executors.spawn import SpawnedProcesses, Standby, spawn
from ktrdr.executors.template import PR_SET_CHILD_SUBREAPER, prctl

logger = logging.getLogger(__name__)

_FORK_TIMEOUT_S = 10.0


class ForkedProcesses:
    """`Processes` for all lanes, forked from one template process.

    No job waits for the template. A job gets a spawned process while the template is not warm, or when it cannot
    be forked at all.
    """

    def __init__(self, lanes: Sequence[Lane], spawned: SpawnedProcesses, *, log_file: Path, log_level: str) -> None:
        modules = dict.fromkeys(module for lane in lanes for module in lane.preload)
        self._arguments = (str(log_file), log_level, *modules)
        self._spawned = spawned
        self._template: Standby | None = None
        self._cannot_fork = False

    def refill(self) -> None:
        if self._template and self._template.is_gone:
            code = self._template.release().reap()
            self._template = None
            self._handle_template_exit(code)
        if self._template is None and not self._cannot_fork:
            self._start()
        if self._cannot_fork:
            self._spawned.refill()

    async def take(self, lane: str) -> WorkerProcess:
        template = self._template
        if template and template.is_warm:
            try:
                return await _fork(template.process.channel)
            except (OSError, ValueError):
                await self._discard_template(template)
        return await self._spawned.take(lane)

    def warm(self, lane: str) -> int:
        if self._cannot_fork:
            return self._spawned.warm(lane)
        return int(self._template is not None and self._template.is_warm)

    async def close(self) -> None:
        if self._template:
            await self._template.release().end()
        await self._spawned.close()

    def _start(self) -> None:
        try:
            # A worker's parent ends right after the fork; the worker then becomes a child of this process.
            prctl(PR_SET_CHILD_SUBREAPER, 1)
        except OSError as error:
            self._cannot_fork = True
            logger.warning("Workers are spawned, because the server cannot become the parent of forks here: %s", error)
        else:
            self._template = Standby(spawn("ktrdr.executors.template", *self._arguments))

    async def _discard_template(self, template: Standby) -> None:
        if template is self._template:  # else another job has already discarded it
            self._template = None
            self._handle_template_exit(await template.release().end())

    def _handle_template_exit(self, code: int | None) -> None:
        """Start another template after a kill, at the next refill; one that ended by itself would do so again."""
        self._cannot_fork = code != -signal.SIGKILL
        if self._cannot_fork:
            logger.warning("The worker template ended by itself (%s); workers are spawned from now on", code)
        else:
            logger.warning("The worker template was killed; a new one is started")


async def _fork(template: socket.socket) -> WorkerProcess:
    """Fork one worker. Raises OSError or ValueError when it does not announce itself."""
    server_end, worker_end = socket.socketpair()
    server_end.setblocking(False)
    try:
        with worker_end:
            socket.send_fds(template, [b"+"], [worker_end.fileno()])
        announced = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(server_end, 64), _FORK_TIMEOUT_S)
        return WorkerProcess(identify(int(announced)), server_end)
    except BaseException:
        server_end.close()
        raise
