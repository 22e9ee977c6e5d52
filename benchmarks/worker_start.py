"""What one more worker costs, forked from the template and spawned: processor time and memory up to its first batch."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

import psutil

from benchmarks.outcome import Figure, below
from benchmarks.system import HALF_A_YEAR, Server, private_mb

ROUNDS = 7


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process has computed, in seconds, and the memory that it shares with no other, in MB."""

    cpu_s: float
    private_mb: float

    @classmethod
    def of(cls, process: psutil.Process) -> Cost:
        cpu = process.cpu_times()
        return cls(cpu.user + cpu.system, private_mb(process.pid))


def run(rounds: int = ROUNDS) -> list[Figure]:
    with Server(KTRDR_WORKER_START="fork") as server:
        template = Cost.of(_child(server, "ktrdr-template"))
        forked = [_first_batch(server) for _ in range(rounds)]
    with Server(KTRDR_WORKER_START="spawn") as server:
        spawned = _first_batch(server)
    return [
        Figure("forked worker: computed until its first batch", median(one.cpu_s for one in forked), "s", below(0.3)),
        Figure("… memory of its own then", median(one.private_mb for one in forked), "MB", below(100)),
        Figure("spawned worker, its warm-up included: computed until its first batch", spawned.cpu_s, "s"),
        Figure("… memory of its own then", spawned.private_mb, "MB"),
        Figure("template: computed until it is warm", template.cpu_s, "s"),
        Figure("… memory of its own", template.private_mb, "MB"),
    ]


def _first_batch(server: Server) -> Cost:
    with server.endless_training(epoch=1, **HALF_A_YEAR):
        return Cost.of(_child(server, "ktrdr-worker"))


def _child(server: Server, name: str) -> psutil.Process:
    """The busiest, where several have this name: the others stand by."""
    children = psutil.Process(server.process.pid).children()
    return max((child for child in children if child.name() == name), key=lambda child: sum(child.cpu_times()[:2]))
