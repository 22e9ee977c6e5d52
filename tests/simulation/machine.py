"""The state machine: what may happen to a simulated machine, in any order."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from signal import Signals
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine

from ktrdr.payloads.jobs import AnyJob, DataLoadJob, FoldsJob, SearchJob, TrainingJob
from ktrdr.payloads.search import Objective, Rung
from tests.simulation.disk import READS, WRITES, DiskFault
from tests.simulation.invariants import Invariants
from tests.simulation.steps import step
from tests.simulation.store import StoreFault
from tests.simulation.world import SEARCHES, Server

FOR_A_WHILE = 1_000_000
_MOST_UNFINISHED = 8
_ON_BARS: dict[str, Any] = {"strategy": "", "symbols": ("AAPL",), "timeframes": ("1d",)}
_CLOCK_STEPS_S = (-31_536_000, -3600, -2, 2, 3600, 31_536_000)
_READ_CALLS = ("get", "find_by_key", "list", "metrics", "count_metrics", "results")
_WRITE_CALLS = ("add", "update", "finish")

numbers = range(8)
ways = ("complete", "complete", "complete", "complete", "fail", "exit", "hang")
times = (1, 2, FOR_A_WHILE)


def a_job(kind: str, how: str, size: int) -> AnyJob:
    if kind == "training":
        return TrainingJob(**_ON_BARS, strategy_name=how, epochs=size)
    if kind in SEARCHES:
        on_bars = _ON_BARS | {"strategy": SEARCHES[kind], "strategy_name": how}
        rungs = (Rung(trials=3, epochs=1), Rung(trials=1, epochs=2))
        return SearchJob(**on_bars, sampler="random", objective=Objective.VAL_LOSS, rungs=rungs)
    if kind == "folds":
        return FoldsJob(**_ON_BARS, strategy_name=how, epochs=size, folds=2)
    return DataLoadJob(symbol="AAPL", timeframe="1d", provider="sample")


class Simulation(RuleBasedStateMachine):
    """One server and its machine; every rule is a step."""

    def __init__(self) -> None:
        super().__init__()
        logging.disable(logging.CRITICAL)
        self.truth = Invariants()
        self.world = self.truth.world
        self._requests: dict[str, AnyJob] = {}
        self._resumes = 0
        self.world.start_server()
        self.world.wait(0.0)

    def teardown(self) -> None:
        try:
            if not self.world.violations:
                self._come_to_an_end()
        finally:
            self.world.close()
            logging.disable(logging.NOTSET)

    def _come_to_an_end(self) -> None:
        """Everything works again; what hangs is killed, and everything ends."""
        self._heal()
        if self.world.server is None:
            self.world.start_server()
        for _ in range(60):
            self.world.wait(30.0)
            if self.world.server is None:
                self.world.start_server()
            for process in self.world.kernel.at_work():
                self.world.kernel.freeze(process, frozen=False)
                if process.order and self._how(process.order.operation_id) == "hang":
                    self.world.kernel.kill(process, 9)
            if all(record.status.is_terminal for record in self.world.registry.records.values()):
                break
            assert not self.world.violations, "; ".join(self.world.violations)
        self.world.wait(30.0)
        self.truth.check_end()

    def check_invariants(self, *_: object) -> None:
        """After every step; not as rules of their own, so that a printed schedule holds nothing but steps."""
        self.truth.check()

    # -- clients -------------------------------------------------------------------------------------------------

    @step(
        when=lambda self: self.world.serving and self._unfinished() < _MOST_UNFINISHED,
        kind=("training", "folds", "search", "search over folds", "load"),
        how=ways,
        size=range(1, 5),
    )
    def start(self, kind: str, how: str, size: int) -> None:
        self._start(kind, how, size)

    @step(
        when=lambda self: self.world.serving and self._unfinished() < _MOST_UNFINISHED,
        how=ways,
        count=range(1, 4),
        pause=((0.0, 0.05, 2.0, 6.0)),
    )
    def start_trainings(self, how: str, count: int, pause: float) -> None:
        for size in range(1, count + 1):
            self._start("training", how, size)
        self.world.wait(pause)

    def _start(self, kind: str, how: str, size: int) -> None:
        key = f"key{len(self._requests)}"
        self._requests[key] = a_job(kind, how, size)
        self._send(key)

    @step(when=lambda self: self.world.serving and self._requests, number=numbers)
    def repeat_a_request(self, number: int) -> None:
        self._send(list(self._requests)[-1 - number % len(self._requests)])

    def _send(self, key: str) -> None:
        job = self._requests[key]
        self.truth.disturbed()
        self.world.ask(
            f"start {key}",
            lambda server: server.jobs.start(job, idempotency_key=key),
            lambda answer: self.truth.hear_start(key, answer),
        )

    @step(when=lambda self: self.world.serving and self.world.registry.records, number=numbers)
    def resume(self, number: int) -> None:
        operation_id, key = self._some(number), f"resume{self._resumes}"
        self._resumes += 1
        self._ask(
            number,
            "resume",
            lambda server: server.jobs.resume(operation_id, key),
            lambda answer: self.truth.hear_start(key, answer),
        )

    @step(when=lambda self: self.world.serving and self.world.registry.records, number=numbers)
    def cancel(self, number: int) -> None:
        operation_id = self._some(number)
        self.truth.ledger.cancels.add(operation_id)
        if self._is_failing():
            self.truth.ledger.with_losses.add(operation_id)
        self._ask(number, "cancel", lambda server: server.dispatcher.cancel(operation_id), lambda answer: None)

    @step(when=lambda self: self.world.serving and self.world.registry.records, number=numbers, force=(False, True))
    def look(self, number: int, force: bool) -> None:
        operation_id = self._some(number)
        cursor = len(self.truth.ledger.metrics.get(operation_id, ()))
        self._ask(
            number, "look", lambda server: server.operations.get_operation(operation_id, force), self.truth.hear_view
        )
        self._ask(
            number,
            "metrics",
            lambda server: server.operations.get_metrics(operation_id, cursor),
            lambda answer: self.truth.hear_metrics(operation_id, cursor, answer),
        )

    @step(
        when=lambda self: self.world.serving and self.world.registry.records,
    )
    def prune(self) -> None:
        self.world.prune(lambda answer: None)

    # -- time ----------------------------------------------------------------------------------------------------

    @step(callbacks=range(1, 21))
    def turn(self, callbacks: int) -> None:
        """The server comes a few awaits further."""
        self.world.turn(callbacks)

    @step(seconds=((0.0, 0.01, 0.05, 0.3, 1.0)))
    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    @step(seconds=((1.0, 1.2, 3.0, 4.0)))
    def wait_for_epochs(self, seconds: float) -> None:
        self.world.wait(seconds)

    @step(seconds=((5.0, 10.0, 60.0)))
    def wait_longer(self, seconds: float) -> None:
        self.world.wait(seconds)

    # -- deaths --------------------------------------------------------------------------------------------------

    @step(
        when=lambda self: self.world.kernel.at_work(), number=numbers, signal=("KILL", "SEGV", "ABRT", "STOP", "CONT")
    )
    def signal_a_worker(self, number: int, signal: str) -> None:
        workers = self.world.kernel.at_work()
        worker = workers[number % len(workers)]
        if signal in ("STOP", "CONT"):
            self.world.kernel.freeze(worker, frozen=signal == "STOP")
        else:
            self.world.kernel.kill(worker, Signals[f"SIG{signal}"])
            self.truth.disturbed()

    @step(
        when=lambda self: self.world.server,
        how=("now", "now", "at a file", "politely"),
        calls=range(1, 31),
        away_s=((0.0, 0.0, 0.5, 5.0, None)),
    )
    def end_the_server(self, how: str, calls: int, away_s: float | None) -> None:
        """Where it stands; or in the middle of what it writes, so many system calls from now; or by SIGTERM.

        After `away_s` another one is started; None leaves that to another rule.
        """
        if how == "now":
            self.world.kill_server()
        elif how == "at a file":
            self.world.disk.calls_until_kill = calls
        elif self.world.serving:
            self.world.stop_server()
        self.truth.disturbed()
        if away_s is not None:
            self.world.wait(away_s)
            if self.world.server is None:
                self.world.start_server()

    @step(
        when=lambda self: not self.world.server,
    )
    def start_the_server(self) -> None:
        self.world.start_server()
        self.truth.disturbed()

    # -- storage -------------------------------------------------------------------------------------------------

    @step(
        actor=("server", "server", "worker"),
        name=("outcome.json", "outcome.json", "bridge", "job.json", "crash.log", "parts.json", ""),
        calls=("reads", "writes", "both"),
        number=(errno.EIO, errno.ENOSPC, errno.EMFILE),
        left=times,
    )
    def fail_files(self, actor: str, name: str, calls: str, number: int, left: int) -> None:
        which = {"reads": READS, "writes": WRITES, "both": READS | WRITES}[calls]
        self.world.disk.faults.append(DiskFault(actor, name, which, number, left))
        self._note_fault()

    @step(calls=("reads", "writes", "both"), is_late=(False, True), left=times)
    def fail_the_registry(self, calls: str, is_late: bool, left: int) -> None:
        which = {"reads": _READ_CALLS, "writes": _WRITE_CALLS, "both": _READ_CALLS + _WRITE_CALLS}[calls]
        self.world.registry.faults.append(StoreFault(which, is_late, left))
        self._note_fault()

    def _note_fault(self) -> None:
        """A cancel that has no answer yet may meet it, and then ends its operation with what can be read."""
        self.truth.disturbed()
        ledger, unanswered = self.truth.ledger, self.world.unanswered
        ledger.with_losses |= {name for name in ledger.cancels if f"cancel {name}" in unanswered}

    @step(
        when=lambda self: self._is_failing(),
    )
    def heal(self) -> None:
        self._heal()
        self.truth.disturbed()

    def _heal(self) -> None:
        self.world.disk.faults.clear()
        self.world.registry.faults.clear()
        self.world.kernel.refused_at = self.world.clock.now
        self.world.disk.calls_until_kill = None

    @step(event=("clock", "clock", "copy", "copy", "second server", "no processes"), number=numbers)
    def happen(self, event: str, number: int) -> None:
        """Something around the server."""
        if event == "clock":
            self.world.clock.offset_s += _CLOCK_STEPS_S[number % len(_CLOCK_STEPS_S)]
        elif event == "copy":
            self.world.copy = self.world.registry.copy()
        elif event == "second server" and self.world.serving:
            self.world.home.lock_file.unlink(missing_ok=True)
            self.world.start_second_server()
        elif event == "no processes" and self.world.server:
            self.world.server.processes.refused += number
            self.truth.disturbed()

    @step(
        when=lambda self: self.world.copy and not self.world.server,
    )
    def restore_the_older_registry(self) -> None:
        assert self.world.copy
        before = set(self.world.registry.records)
        self.world.restore(self.world.copy)
        records = self.world.registry.records
        self.truth.ledger.forgotten |= before - set(records)
        self.truth.ledger.restored |= {name for name, record in records.items() if not record.status.is_terminal}
        self.truth.disturbed()

    # -- what is there -------------------------------------------------------------------------------------------

    def _ask(self, number: int, what: str, request: Callable[[Server], Any], on_answer: Callable[[Any], None]) -> None:
        if what in ("resume", "cancel"):
            self.truth.disturbed()
        self.world.ask(f"{what} {self._some(number)}", request, on_answer)

    def _some(self, number: int) -> str:
        """One of the newest operations."""
        records = list(self.world.registry.records)
        return records[-1 - number % len(records)]

    def _how(self, operation_id: str) -> str:
        if operation_id not in self.world.registry.records:
            return "hang"
        return getattr(self.world.job(operation_id), "strategy_name", "")

    def _unfinished(self) -> int:
        return sum(not record.status.is_terminal for record in self.world.registry.records.values())

    def _is_failing(self) -> bool:
        return bool(self.world.disk.faults or self.world.registry.faults)
