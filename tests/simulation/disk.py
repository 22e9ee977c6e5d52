"""The disk of the simulated machine: a folder in memory, whose calls can fail, or be the last of their process."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

READS, WRITES = frozenset({"stat", "read", "pread"}), frozenset({"write", "mkdir", "replace", "unlink"})
_CALLS = {"stat": "stat", "mkdir": "mkdir", "unlink": "unlink", "rename": "replace", "replace": "replace"}


class Killed(BaseException):
    """The process that was using the disk has been killed in the middle of its work."""


@dataclass(slots=True)
class DiskFault:
    """Calls that fail.

    actor: whose calls, "server" or "worker"
    name: a part of the file's name; empty for every file
    calls: which calls, out of READS and WRITES
    number: the error
    left: how often it happens yet
    """

    actor: str
    name: str
    calls: frozenset[str]
    number: int
    left: int


@dataclass(slots=True)
class Disk:
    """Sees each call of the process in whose name code runs now; of the harness itself, none.

    calls_until_kill: how many calls the server makes yet; None where nobody is going to kill it
    on_kill: kills the server
    """

    faults: list[DiskFault] = field(default_factory=list)
    calls_until_kill: int | None = None
    on_kill: Callable[[], None] = lambda: None
    _actor: str = ""
    _is_killed: bool = False

    @contextmanager
    def used_by(self, actor: str) -> Iterator[None]:
        before, self._actor, self._is_killed = (self._actor, self._is_killed), actor, False
        try:
            yield
        finally:
            self._actor, self._is_killed = before

    def see(self, call: str, path: object) -> None:
        if not self._actor:
            return
        if self._actor == "server":
            self._count_down()
        for fault in self.faults:
            if fault.left and fault.actor == self._actor and call in fault.calls and fault.name in str(path):
                fault.left -= 1
                raise OSError(fault.number, os.strerror(fault.number), str(path))

    def _count_down(self) -> None:
        if self.calls_until_kill is not None:
            self.calls_until_kill -= 1
            if self.calls_until_kill <= 0:
                self._is_killed, self.calls_until_kill = True, None
                self.on_kill()
        if self._is_killed:
            raise Killed

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Let every call of this process for a file go through here."""
        with ExitStack() as stack:
            for name, call in _CALLS.items():
                stack.enter_context(patch.object(os, name, self._watched(call, getattr(os, name))))
            stack.enter_context(patch.object(os, "pread", self._watched_reads(os.pread)))
            stack.enter_context(patch.object(os, "fsync", lambda descriptor: None))
            stack.enter_context(patch.object(io, "open", self._watched_open(io.open)))
            yield

    def _watched(self, call: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(path: Any, *arguments: Any, **options: Any) -> Any:
            self.see(call, path)
            return function(path, *arguments, **options)

        return watched

    def _watched_reads(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any) -> Any:
            self.see("pread", "bridge")  # nothing else is read so
            return function(*arguments)

        return watched

    def _watched_open(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(path: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            self.see("read" if mode in ("r", "rb", "r+b") else "write", path)
            return function(path, mode, *arguments, **options)

        return watched


def read_fault(name: str, number: int = errno.EIO, left: int = 1) -> DiskFault:
    return DiskFault("server", name, READS, number, left)
