"""What watching costs a training: the loop with the bridge and without, and a real one under a hundred pollers."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from benchmarks.api import put_load
from benchmarks.outcome import Figure, at_least
from benchmarks.system import Server

ROUNDS = 5
POLLERS, POLLS_PER_SECOND = 100, 10
WINDOW_S = 4.0


def run(rounds: int = ROUNDS) -> list[Figure]:
    return [*_loop_figures(rounds), *_poller_figures(2 * rounds)]


def _loop_figures(rounds: int) -> Iterator[Figure]:
    from benchmarks import training_loop
    from ktrdr.api.services.training.progress_bridge import TrainingProgressBridge

    with tempfile.TemporaryDirectory(prefix="ktrdr-bench-") as folder:
        path = Path(folder) / "bridge"
        TrainingProgressBridge.create_for(path, 1000)
        with TrainingProgressBridge(path, writable=True) as bridge:
            found = training_loop.main(rounds, observer=lambda: bridge)
    rates = found["samples_per_second"]
    yield Figure("training loop: samples/s, LSTM 2×64, window 20, batch 32, 1 thread", rates["bare"], "1/s")
    yield Figure("Dataset/DataLoader loop: samples/s, the same model", rates["dataloader"], "1/s")
    yield Figure("training loop ÷ Dataset/DataLoader loop", found["ratio_to_dataloader"], "×", at_least(1.5))
    yield Figure("training loop with bridge ÷ bare", found["with_observer"]["ratio"], "×", at_least(0.98))


def _poller_figures(rounds: int) -> Iterator[Figure]:
    """One training throughout; with and without pollers in turn."""
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
        yield Figure("a training in its worker: samples/s", median(quiet), "1/s")
        yield Figure(f"under {POLLERS} pollers at {POLLS_PER_SECOND}/s: samples/s", median(watched), "1/s")
        yield Figure(f"under {POLLERS} pollers at {POLLS_PER_SECOND}/s: polls answered", median(polls), "1/s")
        yield Figure(f"under {POLLERS} pollers ÷ unwatched", ratio, "×", at_least(0.9))


def _samples_per_second(server: Server, operation_id: str) -> float:
    first, began = _samples_seen(server, operation_id), time.perf_counter()
    time.sleep(WINDOW_S)
    return (_samples_seen(server, operation_id) - first) / (time.perf_counter() - began)


def _samples_seen(server: Server, operation_id: str) -> int:
    operation = server.get(f"/operations/{operation_id}", force_refresh=True)
    seen: int = operation["progress"]["items_processed"]
    return seen
