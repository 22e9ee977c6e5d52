"""An event loop of virtual time that runs only as far as it is turned, so a server can be killed at any await."""

from __future__ import annotations

import asyncio
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Clock:
    """The time of the simulated machine.

    now: seconds since its boot, which only grow
    offset_s: by how much somebody has set its wall clock
    """

    now: float = 1000.0
    offset_s: float = 0.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        """Seconds since 1970, by the wall clock."""
        return self.wall().timestamp()

    def wall(self) -> datetime:
        return _EPOCH + timedelta(seconds=self.now + self.offset_s)


class VirtualLoop(asyncio.AbstractEventLoop):
    """Runs callbacks one by one, by `turn`; blocking functions run as callbacks of their own."""

    def __init__(self, clock: Clock, on_error: Callable[[str], None]) -> None:
        self._clock = clock
        self._on_error = on_error
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timers_made = 0
        self.tasks: set[asyncio.Task[Any]] = set()
        self.is_dead = False

    # -- turning -------------------------------------------------------------------------------------------------

    def turn(self, most: int = 1_000_000) -> int:
        """Run at most so many callbacks, and return how many there were."""
        done = 0
        events._set_running_loop(self)
        try:
            while self._ready and done < most and not self.is_dead:
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
                    done += 1
        finally:
            events._set_running_loop(None)
        return done

    @property
    def next_timer(self) -> float | None:
        """When the next timer is due."""
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def fire(self) -> None:
        """Make the timers ready that are due."""
        while (due := self.next_timer) is not None and due <= self._clock.now:
            self._ready.append(heapq.heappop(self._timers)[2])

    def kill(self) -> None:
        """As SIGKILL does it: nothing of it runs any more, also no `finally`, as far as that can be noticed."""
        self.is_dead = True
        self._ready.clear()
        self._timers.clear()
        for task in self.tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            try:
                task.get_coro().close()
            except RuntimeError:
                continue  # it awaited something while it was closed
        self.tasks.clear()

    # -- what asyncio asks of a loop -----------------------------------------------------------------------------

    def time(self) -> float:
        return self._clock.now

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._clock.now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> asyncio.TimerHandle:  # type: ignore[override]
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timers_made += 1
        heapq.heappush(self._timers, (when, self._timers_made, timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, context=context)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        future = self.create_future()
        self.call_soon(self._run_blocking, future, func, args)
        return future

    def _run_blocking(self, future: asyncio.Future[Any], func: Callable[..., Any], args: Any) -> None:
        try:
            result = func(*args)
        except Exception as error:  # noqa: BLE001 (handed to whoever awaits it)
            if not future.done():
                future.set_exception(error)
        else:
            if not future.done():
                future.set_result(result)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.is_dead:
            self._on_error(f"{context.get('message')}: {context.get('exception')!r}")

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False
