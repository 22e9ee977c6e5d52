"""What a hundred people who watch take from a training: one training throughout, with and without pollers in turn."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from benchmarks.api import put_load
from benchmarks.outcome import Figure, at_least, below
from benchmarks.system import Server

ROUNDS = 8
POLLERS, POLLS_PER_SECOND = 100, 10
WINDOW_S = 5.0


def run(rounds: int = ROUNDS) -> list[Figure]:
    with Server() as server, server.endless_training() as operation_id, ThreadPoolExecutor(1) as background:
        path = f"/api/v1/operations/{operation_id}"
        quiet, watched, polls, errors = [], [], [], 0.0
        for _ in range(rounds):
            quiet.append(_samples_per_second(server, operation_id))
            load = background.submit(put_load, server.port, path, POLLERS, 1.6 * WINDOW_S, POLLS_PER_SECOND)
            time.sleep(0.4 * WINDOW_S)
            watched.append(_samples_per_second(server, operation_id))
            polls.append(load.result()["per_second"])
            errors += load.result()["errors"]
    ratio = median(a / b for a, b in zip(watched, quiet, strict=True))
    crowd = f"under {POLLERS} pollers at {POLLS_PER_SECOND}/s"
    return [
        Figure("a training in its worker: samples/s", median(quiet), "1/s"),
        Figure(f"{crowd}: samples/s", median(watched), "1/s"),
        Figure(f"{crowd}: polls answered", median(polls), "1/s"),
        Figure(f"{crowd}: errors", errors, "", below(1)),
        Figure(f"{crowd}: samples/s ÷ unwatched", ratio, "×", at_least(0.9)),
    ]


def _samples_per_second(server: Server, operation_id: str) -> float:
    first, began = _samples_seen(server, operation_id), time.perf_counter()
    time.sleep(WINDOW_S)
    return (_samples_seen(server, operation_id) - first) / (time.perf_counter() - began)


def _samples_seen(server: Server, operation_id: str) -> int:
    operation = server.get(f"/operations/{operation_id}", force_refresh=True)
    seen: int = operation["progress"]["items_processed"]
    return seen
