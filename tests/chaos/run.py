"""Kill servers and workers at random instants, and look after each kill whether everything that was said is true."""

from __future__ import annotations

import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

from ktrdr.executors.identity import is_alive
from ktrdr.operations.operation import WorkerIdentity
from tests.chaos.clients import Client, OthersStarter, Starter, Watcher
from tests.chaos.ledger import EPOCHS, UNTRUE, Ledger
from tests.chaos.reference import Reference, measured
from tests.chaos.storage import KINDS, TEXTS, Injection, can_inject
from tests.chaos.surroundings import (
    Surroundings,
    copy_registry,
    random_step,
    registry_damage,
    restore_registry,
    start_second_server,
)
from tests.e2e.system import PATIENCE_S, TERMINAL, System, gone, until

SETTLING_S = 10.0
"""How long a killed worker's operation may stay RUNNING before that is a fault; how long it took is measured."""

_ORPHANED_S = 60.0
"""A standby process notices the end of its server once it has warmed up, which takes long where many do it at once."""

_KILLS_FOR_A_CANCEL = 4
"""Among so many kills one operation is cancelled, at a random instant too."""

_SHARE_ENDED = 0.5
"""Share of the storage faults during which an operation is cancelled, so that its end meets them."""

_SIGNALS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT)
_HOW_UNSEEN = ("ended while no server was watching", "its exit code is known only to the server that started it")
_CRASHES = {signal.SIGSEGV: "crashed (Segmentation fault)", signal.SIGABRT: "crashed (Aborted)"}
_UNBORN = "the server stopped while this operation was being created"


@dataclass(slots=True)
class Report:
    """What a run of kills came to."""

    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)
    failed_calls: Counter[str] = field(default_factory=Counter)
    cancels: int = 0
    failed_after_s: list[float] = field(default_factory=list)
    served_after_s: list[float] = field(default_factory=list)
    operations: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    started_again: int = 0
    repeated_requests: int = 0
    bit_identical: int = 0
    reads: Counter[str] = field(default_factory=Counter)
    epochs_told: int = 0
    faults: list[Any] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, kind: str) -> int:
        return sum(fault.kind == kind for fault in self.faults)


@dataclass(frozen=True, slots=True)
class _Death:
    """`is_seen`: the server that had started the worker was there to see how it ended."""

    by: signal.Signals
    is_seen: bool


class Chaos:
    """One home, its clients, and what is done to it."""

    def __init__(
        self,
        system: System,
        surroundings: Surroundings,
        references: dict[str, Reference],
        seed: int,
        *,
        queue: int = 4,
        others: bool = False,
    ) -> None:
        """`others`: loads and trainings in folds run besides."""
        self.system = system
        self._surroundings = surroundings
        self.report = Report(seed)
        self.ledger = Ledger(references)
        self._random = random.Random(seed)
        self._serving = threading.Event()
        self._serving.set()
        self._deaths: dict[str, _Death] = {}
        self._idle_killed: set[int] = set()
        self._cancelled: set[str] = set()
        self._orphans: dict[int, float] = {}
        self._touched: set[str] = set()
        self._figures: dict[tuple[str, int], dict[str, Any]] = {}
        self._windows: list[tuple[datetime, datetime]] = []
        self._before = {operation["operation_id"] for operation in system.operations()}
        self._starter = Starter(system, self.ledger, self._serving, seed, queue)
        watchers = [Watcher(system, self.ledger, self._serving, seed + number) for number in (1, 2)]
        self._others = OthersStarter(system, self.ledger, self._serving, seed + 3, self._starter.paused)
        self._clients: list[Client] = [self._starter, *watchers, *([self._others] if others else [])]
        self.deeds: dict[str, Callable[[], None]] = {
            **{f"worker {number.name}": partial(self._kill_worker, number) for number in _SIGNALS},
            "idle worker SIGKILL": self._kill_idle_worker,
            "server SIGKILL": self._kill_server,
            "server SIGTERM": self._stop_server,
            "server, then worker": partial(self._kill_both, server_first=True),
            "worker, then server": partial(self._kill_both, server_first=False),
            "server while it starts": self._kill_starting_server,
            "older registry": self._restore_older_registry,
            "read fault": self._fail_a_read,
            "lock removed": self._remove_lock,
        }
        if surroundings.wrapper:
            self.deeds["clock step"] = self._step_clock
        self.stops: dict[str, Callable[[], None]] = {
            "worker SIGSTOP, SIGCONT": self._pause_worker,
            "server SIGSTOP, SIGCONT": self._pause_server,
        }
        self.faults: dict[str, Callable[[], None]] = {}
        if can_inject():
            self.faults = {f"worker, {kind}": partial(self._fail_worker, kind) for kind in KINDS}
            self.faults |= {f"server, {kind}": partial(self._fail_server, kind) for kind in KINDS}

    def run(
        self, plan: Sequence[str], limit_s: float = float("inf"), said: Callable[[str], None] = lambda _: None
    ) -> Report:
        """The deeds of `plan`, or as many as begin within `limit_s`."""
        began = time.monotonic()
        for client in self._clients:
            client.start()
        for number, deed in enumerate(plan, start=1):
            if time.monotonic() - began > limit_s:
                break
            known = len(self.ledger.faults)
            time.sleep(self._random.uniform(0.0, 1.5))
            {**self.deeds, **self.stops, **self.faults}[deed]()
            if deed not in self.faults:
                self.report.kills[deed] += 1
            if number % _KILLS_FOR_A_CANCEL == 0:
                self._cancel()
            self._look_after()
            for fault in self.ledger.faults[known:]:
                said(f"{fault}")
            done = f"{self.report.kills.total()} kills, {self.report.injected.total()} storage faults"
            said(f"{done}, {len(self.ledger.faults)} broken promises, last: {deed}")
        self._finish()
        self.report.seconds = time.monotonic() - began
        return self.report

    def plan(self, kills: int, faults: int = 0) -> list[str]:
        """So many kills, and so many attempts at storage faults, each kind as often as the others, in any order."""
        plan = self._in_rounds([*self.deeds, *self.stops], kills) + self._in_rounds(list(self.faults), faults)
        return self._random.sample(plan, len(plan)) if faults else plan

    def _in_rounds(self, kinds: list[str], count: int) -> list[str]:
        rounds = -(-count // len(kinds)) if kinds else 0
        return [name for _ in range(rounds) for name in self._random.sample(kinds, len(kinds))][:count]

    # -- deeds ---------------------------------------------------------------------------------------------------

    def _kill_worker(self, number: signal.Signals) -> None:
        operation_id, worker = self._some_worker()
        self._kill(operation_id, worker, number)
        began = time.monotonic()
        until(lambda: self.system.operation(operation_id)["completed_at"] is not None)
        took = time.monotonic() - began
        self.report.failed_after_s.append(took)
        if took > SETTLING_S:
            self.ledger.blame(UNTRUE, operation_id, f"RUNNING for {took:.1f} s without a worker")

    def _kill_idle_worker(self) -> None:
        """One that stands by; it may get a job in the last moment."""
        until(lambda: bool(self.system.standby()))
        idle = self._random.choice(self.system.standby())
        self._idle_killed.add(idle.pid)
        with suppress(psutil.NoSuchProcess):
            idle.kill()

    def _cancel(self) -> None:
        """Ask for the end of some operation, which may come to its own end before."""
        until(lambda: bool(self.ledger.unfinished()))
        operation_id = self._random.choice(self.ledger.unfinished() or self.ledger.ended())
        if self.system.post(f"/operations/{operation_id}/cancel").status_code == 200:
            self.report.cancels += 1
            self._cancelled.add(operation_id)
            self.system.wait_for_end(operation_id)

    def _kill_server(self) -> None:
        self._end_server()
        self._start_server()

    def _stop_server(self) -> None:
        self._serving.clear()
        self.system.stop()
        self._start_server()

    def _kill_both(self, *, server_first: bool) -> None:
        operation_id, worker = self._some_worker()
        deeds: list[Callable[[], Any]] = [
            self._end_server,
            lambda: self._kill(operation_id, worker, self._random.choice(_SIGNALS), is_seen=False),
        ]
        for deed in deeds if server_first else reversed(deeds):
            deed()
            time.sleep(self._random.choice((0.0, self._random.uniform(0.0, 0.3))))
        self._start_server()

    def _kill_starting_server(self) -> None:
        self._end_server()
        self.system.spawn()
        usually_s = max(self.report.served_after_s[-5:], default=1.0)
        time.sleep(self._random.uniform(0.1, usually_s))
        self.system.kill()
        self._start_server()

    def _step_clock(self) -> None:
        self._surroundings.step_clock(random_step(self._random))

    def _fail_a_read(self) -> None:
        """Of the outcome of an operation that is cancelled, or comes to its own end before."""
        operation_id, _ = self._some_worker()
        self._surroundings.fail_next_read(operation_id, "outcome.json")
        self.system.post(f"/operations/{operation_id}/cancel")
        self._cancelled.add(operation_id)
        self.system.wait_for_end(operation_id)

    def _remove_lock(self) -> None:
        (self.system.home / "server.lock").unlink(missing_ok=True)
        if (code := start_second_server(self.system)) != 2:
            self.ledger.blame(UNTRUE, "", f"a second server on the same home ended with {code}")

    def _pause_worker(self) -> None:
        _, worker = self._some_worker()
        self._pause(worker)

    def _pause_server(self) -> None:
        self._pause(psutil.Process(self.system.pid))

    def _pause(self, process: psutil.Process) -> None:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
            time.sleep(self._random.uniform(0.1, 3.0))
            process.resume()

    def _fail_worker(self, kind: str) -> None:
        operation_id, worker = self._some_worker()
        self._touched.add(operation_id)
        if self._random.random() < _SHARE_ENDED:
            self._end_early(operation_id)  # so that it has something to write
        self._inject("worker", kind, worker)

    def _fail_server(self, kind: str) -> None:
        began = datetime.now(UTC)
        if self._random.random() < _SHARE_ENDED:
            self._end_early(self._some_worker()[0])
        self._inject("server", kind, psutil.Process(self.system.pid))
        self._windows.append((began, datetime.now(UTC)))
        if (code := self.system.exit_code()) is not None:
            self.ledger.blame(
                UNTRUE, "", f"the server ended with {code}, at a fault of {kind}: {self.system.log()[-2000:]}"
            )
            self._start_server()
        until(lambda: self.system.get("/operations").status_code == 200)

    def _inject(self, target: str, kind: str, process: psutil.Process) -> None:
        injection = Injection.draw(kind, self._random, is_in_worker=target == "worker")
        failed = injection.happen(process, self._random, self.system.folder)
        self.report.injected[f"{target}, {kind}"] += failed > 0
        self.report.failed_calls[f"{target}, {kind}"] += failed

    def _end_early(self, operation_id: str) -> None:
        if self.system.post(f"/operations/{operation_id}/cancel").status_code == 200:
            self.report.cancels += 1
            self._cancelled.add(operation_id)

    def _restore_older_registry(self) -> None:
        """The one from before something started or ended: its folders know better."""
        copy = self.system.home.with_name("older.sqlite")
        with self._starter.paused:
            until(lambda: bool(self._unfinished()), PATIENCE_S)
            before = self._unfinished()
            copy_registry(self.system.home, copy)
            until(lambda: self._unfinished() != before, PATIENCE_S)
            self._end_server()
            restore_registry(self.system.home, copy)
            self.ledger.recorded_again |= before.keys()
            self._start_server()

    def _unfinished(self) -> dict[str, str]:
        """The states of all operations that have not ended, by id."""
        states = {operation["operation_id"]: operation["status"] for operation in self.system.operations()}
        return {operation_id: status for operation_id, status in states.items() if status not in TERMINAL}

    def _end_server(self) -> None:
        self.system.kill()
        self._serving.clear()

    def _start_server(self) -> None:
        began = time.monotonic()
        self.system.start()
        self.report.served_after_s.append(time.monotonic() - began)
        self._serving.set()

    def _kill(self, operation_id: str, worker: psutil.Process, number: signal.Signals, *, is_seen: bool = True) -> None:
        self._deaths[operation_id] = _Death(number, is_seen and self.system.is_parent_of(worker))
        with suppress(psutil.NoSuchProcess):
            worker.send_signal(number)

    # -- what is there -------------------------------------------------------------------------------------------

    def _some_worker(self) -> tuple[str, psutil.Process]:
        found: list[tuple[str, psutil.Process]] = []

        def is_found() -> bool:
            self._raise_problem()
            found.extend(self.system.at_work())
            return bool(found)

        until(is_found)
        return self._random.choice(found)

    def _raise_problem(self) -> None:
        """What ended a client, without whom nothing is started or watched."""
        for client in self._clients:
            if client.problem:
                raise client.problem

    # -- what must be true ---------------------------------------------------------------------------------------

    def _look_after(self) -> None:
        for operation in self.system.get("/operations", status="RUNNING", limit=1000).json()["operations"]:
            if "folds" not in operation["metadata"]:  # a whole has no worker between its folds
                self._check_has_worker(operation["operation_id"])
        ended = self.ledger.ended()
        for operation_id in self.ledger.unfinished() + self._random.sample(ended, min(3, len(ended))):
            self._read_again(operation_id)
        for operation_id, workers in Counter(operation_id for operation_id, _ in self.system.at_work()).items():
            if workers > 1:
                self.ledger.blame(UNTRUE, operation_id, f"{workers} workers at once")
        self._look_for_orphans()

    def _check_has_worker(self, operation_id: str) -> None:
        def is_true() -> bool:
            worker = self._recorded_worker(operation_id)
            return (worker is not None and is_alive(worker)) or (
                self.system.operation(operation_id)["status"] != "RUNNING"
            )

        deadline = time.monotonic() + SETTLING_S
        while not is_true():
            if time.monotonic() > deadline:
                self.ledger.blame(UNTRUE, operation_id, "RUNNING without a worker")
                return
            time.sleep(0.05)

    def _recorded_worker(self, operation_id: str) -> WorkerIdentity | None:
        with closing(sqlite3.connect(f"file:{self.system.home / 'registry.sqlite'}?mode=ro", uri=True)) as registry:
            select = "SELECT worker_pid, worker_started_at FROM operations WHERE operation_id = ?"
            pid, started_at = registry.execute(select, [operation_id]).fetchone()
        return WorkerIdentity(pid, started_at) if pid else None

    def _read_again(self, operation_id: str) -> None:
        """All that was told of it is still there, in its place."""
        told, before = len(self.ledger.told.get(operation_id, [])), self.ledger.views.get(operation_id)
        self.ledger.hear_view(self.system.operation(operation_id, force_refresh=True), before)
        page = self.system.metrics(operation_id)
        if len(page["metrics"]) < told:
            self.ledger.blame(EPOCHS, operation_id, f"{told} epochs were told, {len(page['metrics'])} are served")
        self.ledger.hear_metrics(operation_id, 0, page)

    def _look_for_orphans(self) -> None:
        """Standby processes end with their server."""
        orphans = {process.pid for process in self.system.idle() if not self.system.is_parent_of(process)}
        now = time.monotonic()
        self._orphans = {pid: self._orphans.get(pid, now) for pid in orphans}
        for pid, since in self._orphans.items():
            if now - since > _ORPHANED_S:
                self.ledger.blame(UNTRUE, "", f"standby process {pid} outlived its server")

    # -- the end -------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        self._starter.leave()
        ledger = self.ledger
        for client in self._clients[1:]:
            client.leave()
        until(lambda: not self._unfinished(), PATIENCE_S * 5)
        operations = [o for o in self.system.operations() if o["operation_id"] not in self._before]
        others = [o for o in operations if self._is_other(o)]
        operations = [o for o in operations if o not in others]
        for operation in others:
            self._check_other(operation)
            self.report.others[f"{operation['operation_type']} {operation['status']}"] += 1
        self._check_requests(operations)
        self._check_order(operations)
        for operation in operations:
            self._read_again(operation["operation_id"])
            self._check_end(operation)
            self.report.operations[operation["status"]] += 1
        self.system.stop()
        if not gone(self.system.workers()):
            ledger.blame(UNTRUE, "", "worker processes are left")
        if (damage := registry_damage(self.system.home)) is not None:
            ledger.blame(UNTRUE, "", f"the registry is damaged: {damage}")
        self.report.faults = ledger.faults
        self.report.reads = ledger.reads
        self.report.epochs_told = ledger.epochs_told
        self.report.started_again = len(self._started_again())
        self.report.resumed = len(self._starter.resumed)
        self.report.repeated_requests = self._starter.repeated

    def _check_requests(self, operations: list[dict[str, Any]]) -> None:
        """Each request started one operation, however often it was repeated."""
        answered, there = set(self._starter.started.values()), {o["operation_id"] for o in operations}
        for operation_id in answered ^ there:
            self.ledger.blame(UNTRUE, operation_id, "started twice" if operation_id in there else "forgotten")

    def _check_order(self, operations: list[dict[str, Any]]) -> None:
        # One that no process could be started for waits on, while the lane has room for the next one.
        unstartable = self._logged(r"WARNING Operation op_\w+ cannot be started yet")
        others = self._started_again() | unstartable | self.ledger.recorded_again
        began = [o for o in operations if o["started_at"] and o["operation_id"] not in others]
        began.sort(key=lambda operation: str(operation["created_at"]))
        for earlier, later in pairwise(began):
            if earlier["started_at"] > later["started_at"]:
                self.ledger.blame(UNTRUE, later["operation_id"], f"it overtook {earlier['operation_id']}")

    def _started_again(self) -> set[str]:
        """Those whose server ended between recording the start and giving the worker its job."""
        return self._logged(r"INFO Operation op_\w+ waits again")

    def _logged(self, pattern: str) -> set[str]:
        """The operations of such lines in the server's log."""
        lines = self.system.lines(pattern)
        return {line.split(" Operation ")[1].split()[0] for line in lines}

    def _check_end(self, operation: dict[str, Any]) -> None:
        if operation["status"] == "COMPLETED":
            self._check_completed(operation["operation_id"], operation["metadata"]["strategy"])
        elif operation["status"] == "FAILED":
            self._check_failed(operation["operation_id"], operation["error"]["detail"])
        else:
            self._check_cancelled(operation["operation_id"])

    def _is_other(self, operation: dict[str, Any]) -> bool:
        """Whether it is a load, a training in folds, or one of these folds."""
        is_training: bool = operation["operation_type"] == "TRAINING"
        return not is_training or operation["metadata"]["strategy"] == "in_folds"

    def _check_other(self, operation: dict[str, Any]) -> None:
        operation_id, status = operation["operation_id"], operation["status"]
        epochs = [record.get("epoch", record.get("page")) for record in self.system.metrics(operation_id)["metrics"]]
        if None not in epochs and epochs != list(range(1, len(epochs) + 1)):
            self.ledger.blame(EPOCHS, operation_id, f"records {epochs}")
        if "folds" in operation["metadata"]:
            self._check_folds(operation)
        elif status == "FAILED":
            self._check_failed(operation_id, operation["error"]["detail"])
        elif status == "CANCELLED" and not {operation_id, operation["parent_id"]} & self._cancelled:
            self.ledger.blame(UNTRUE, operation_id, "nobody asked for CANCELLED")
        elif status == "COMPLETED" and operation["operation_type"] == "TRAINING":
            self._check_bits("fold", operation["metadata"]["fold"], operation_id)

    def _check_folds(self, whole: dict[str, Any]) -> None:
        """The whole is COMPLETED with all of its folds, and always with the same figures."""
        operation_id = whole["operation_id"]
        page = self.system.get("/operations", parent=operation_id, limit=100).json()["operations"]
        completed = sum(part["status"] == "COMPLETED" for part in page)
        if whole["status"] == "COMPLETED":
            if completed != whole["metadata"]["folds"]:
                self.ledger.blame(UNTRUE, operation_id, f"COMPLETED with {completed} folds")
            self._check_bits("folds", 0, operation_id)
        elif whole["status"] == "FAILED" and completed == whole["metadata"]["folds"]:
            self._check_failed(operation_id, whole["error"]["detail"])

    def _check_bits(self, kind: str, number: int, operation_id: str) -> None:
        """All that completed of the same work has come to the same figures."""
        figures = measured(self.system.results(operation_id)["final_metrics"])
        if self._figures.setdefault((kind, number), figures) != figures:
            self.ledger.blame(UNTRUE, operation_id, f"{figures} differ from {self._figures[kind, number]}")

    def _check_completed(self, operation_id: str, strategy: str) -> None:
        reference, results = self.ledger.references[strategy], self.system.results(operation_id)
        if len(self.ledger.told[operation_id]) != reference.epochs:
            self.ledger.blame(EPOCHS, operation_id, f"{len(self.ledger.told[operation_id])} of {reference.epochs}")
        for name in results["artifacts"]:
            if self.system.get(f"/operations/{operation_id}/artifacts/{name}").status_code != 200:
                self.ledger.blame(UNTRUE, operation_id, f"COMPLETED, and its artifact {name} is not served")
        if differing := reference.differences(self.system, operation_id):
            self.ledger.blame(UNTRUE, operation_id, f"{differing} differ from those of an uninterrupted training")
        else:
            self.report.bit_identical += 1

    def _check_failed(self, operation_id: str, said: str) -> None:
        death = self._deaths.get(operation_id) or self._death_of_idle(operation_id)
        if self._is_touched(operation_id) and any(text in said for text in TEXTS):
            is_true = True
        elif death is None:
            is_true = _UNBORN in said
        elif death.is_seen:
            is_true = f"was killed by {death.by.name}" in said
        else:
            hows = (f"was killed by {death.by.name}", _CRASHES.get(death.by, _HOW_UNSEEN[0]), *_HOW_UNSEEN)
            is_true = any(how in said for how in hows)
        if not is_true:
            self.ledger.blame(UNTRUE, operation_id, f"it says {said!r}, and was ended by {death}")
        self._check_partial(operation_id, "failed")

    def _is_touched(self, operation_id: str) -> bool:
        """Whether a storage fault was in its worker, or in a server while that created, started or ended it."""
        operation = self.system.operation(operation_id)
        created_at, completed_at = (datetime.fromisoformat(operation[name]) for name in ("created_at", "completed_at"))
        overlaps = (began <= completed_at and created_at <= ended for began, ended in self._windows)
        return operation_id in self._touched or any(overlaps)

    def _death_of_idle(self, operation_id: str) -> _Death | None:
        """Of a worker that got its job between being chosen as an idle one and being killed."""
        worker = self._recorded_worker(operation_id)
        return _Death(signal.SIGKILL, is_seen=False) if worker and worker.pid in self._idle_killed else None

    def _check_cancelled(self, operation_id: str) -> None:
        """With the model of its best epoch, when it had one."""
        if operation_id not in self._cancelled:
            self.ledger.blame(UNTRUE, operation_id, "nobody asked for CANCELLED")
        results = self._check_partial(operation_id, "cancelled")
        is_excused = "note" in results and self._is_touched(
            operation_id
        )  # it names the fault, and so the missing files
        if results["metrics_recorded"] and not is_excused and not Path(results.get("model_path", "-")).is_file():
            self.ledger.blame(UNTRUE, operation_id, f"CANCELLED after an epoch and without a model: {results}")

    def _check_partial(self, operation_id: str, status: str) -> dict[str, Any]:
        results = self.system.results(operation_id)
        told = self.ledger.told.get(operation_id)  # None of those that no client follows
        if results["status"] != status or (told is not None and results["metrics_recorded"] != len(told)):
            self.ledger.blame(EPOCHS, operation_id, f"partial results say {results}")
        return results
