"""From asking for a training to its first epoch and to its end, with a warm template to fork the worker from."""

from __future__ import annotations

import time
from statistics import median

from benchmarks.outcome import Figure, below
from benchmarks.system import Server

ROUNDS = 7


def run(rounds: int = ROUNDS) -> list[Figure]:
    first_epochs, ends = [], []
    with Server() as server:
        for _ in range(rounds):
            server.await_warm_worker()
            began = time.perf_counter()
            operation_id = server.start_short_training()
            while not _has_epoch(server, operation_id):
                time.sleep(0.005)
            first_epochs.append(time.perf_counter() - began)
            operation = server.wait_for_end(operation_id)
            ends.append(time.perf_counter() - began)
            if operation["status"] != "COMPLETED":
                raise RuntimeError(f"the training ended {operation['status']}: {operation['error']}")
    return [
        Figure("warm: POST training/start → first epoch visible", median(first_epochs), "s", below(0.3)),
        Figure("warm: POST training/start → COMPLETED (10 epochs, half a year)", median(ends), "s", below(2.0)),
    ]


def _has_epoch(server: Server, operation_id: str) -> bool:
    """As the bridge shows it now: the cache would add up to its TTL."""
    server.get(f"/operations/{operation_id}", force_refresh=True)
    return bool(server.get(f"/operations/{operation_id}/metrics", limit=1)["metrics"])
