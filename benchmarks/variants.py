"""Ten variants of a strategy, posted at once, against the same ten trainings by Optuna and a plain PyTorch loop.

Both train the shipped strategy (LSTM 2×64, window 20, batch 32, ten epochs, three features) with ten seeds on AAPL's
daily bars of 2019 to 2024, on all cores of this machine, with nothing left to import when the clock starts.

- ktrdr: from the first POST until all ten are COMPLETED; a worker a core, one thread in each. Every training is
  checked before it is queued, reads its bars, makes its features, passes the leak gate, writes checkpoints, trains a
  control on shuffled labels, is judged against baselines, backtested, plotted, summarised and saved.
- Optuna (`benchmarks/plain_search.py`): one process, ask and tell in memory, a DataLoader as in the tutorials. The
  features are made once for all; nothing is checked, judged, drawn or written. Once with torch's default number of
  threads, and once with one: for a network this small, more threads gain nothing.

Processor time is that of all processes, the server's and its template's too. It hardly depends on what else the
machine does, as the seconds by the clock do: threads that wait for each other suffer most from a busy machine.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import psutil

from benchmarks.outcome import Figure, below
from benchmarks.system import STRATEGY, Server, environment
from ktrdr.home import Home
from ktrdr.market.store import BarStore

VARIANTS, ROUNDS = 10, 3
_TORCH_DEFAULT = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """What all variants took, by the clock and of the processor."""

    seconds: float
    cpu_s: float


def run(rounds: int = ROUNDS, variants: int = VARIANTS) -> list[Figure]:
    ours, plain, single = [], [], []
    with Server(KTRDR_MAX_CONCURRENT=str(os.cpu_count())) as server, tempfile.TemporaryDirectory() as folder:
        closes = closes_of(server, Path(folder))
        for _ in range(rounds):
            ours.append(_posted_at_once(server, variants))
            single.append(_one_after_another(closes, variants, threads=1))
            plain.append(_one_after_another(closes, variants, _TORCH_DEFAULT))
        phases = _phases(server, variants)
    what = f"{variants} variants of a strategy"
    return [
        *_figures(f"{what}: posted at once, judged and with reports", ours),
        *_figures("… by Optuna and a DataLoader loop", plain),
        *_figures("… by Optuna and a DataLoader loop on one thread", single),
        Figure("… ktrdr ÷ Optuna", _ratio(ours, plain), "×", below(0.7)),
        Figure("… ktrdr ÷ Optuna on one thread", _ratio(ours, single), "×"),
        *(Figure(f"… of one training: {phase}", seconds, "s") for phase, seconds in phases.items()),
    ]


def _figures(what: str, costs: Sequence[Cost]) -> list[Figure]:
    return [
        Figure(what, median(cost.seconds for cost in costs), "s"),
        Figure("… … processor time", median(cost.cpu_s for cost in costs), "s"),
    ]


def _ratio(costs: Sequence[Cost], others: Sequence[Cost]) -> float:
    return median(one.seconds / other.seconds for one, other in zip(costs, others, strict=True))


def _posted_at_once(server: Server, variants: int) -> Cost:
    server.await_warm_worker()
    strategy = STRATEGY.read_text(encoding="utf-8")
    strategies = [re.sub(r"(?m)^training:", f"training:\n  seed: {seed}", strategy) for seed in range(variants)]
    began, cpu_before_s = time.perf_counter(), cpu_s(server)
    with ThreadPoolExecutor(variants) as clients:
        started = list(clients.map(server.start_training, strategies))
    for operation in [server.wait_for_end(operation_id) for operation_id in started]:
        if operation["status"] != "COMPLETED":
            raise RuntimeError(f"{operation['operation_id']} ended {operation['status']}: {operation['error']}")
    return Cost(time.perf_counter() - began, cpu_s(server) - cpu_before_s)


def cpu_s(server: Server) -> float:
    """Of the server, of its template, and of all workers that have ended."""
    process = psutil.Process(server.process.pid)
    own, template = process.cpu_times(), [child.cpu_times() for child in process.children()]
    return sum(own[:4]) + sum(sum(times[:2]) for times in template)


def _one_after_another(closes: Path, variants: int, threads: int) -> Cost:
    command = [sys.executable, "-m", "benchmarks.plain_search", str(closes), str(variants), str(threads)]
    answer = subprocess.run(command, env=environment(), check=True, capture_output=True, text=True).stdout
    return Cost(*(float(seconds) for seconds in answer.split()))


def closes_of(server: Server, folder: Path) -> Path:
    path = folder / "closes.npy"
    np.save(path, BarStore(Home(Path(server.home)).bars).read("AAPL", "1d")["close"].to_numpy())
    return path


def _phases(server: Server, variants: int) -> Mapping[str, float]:
    """Seconds by the clock of each phase, in the mean over the newest trainings."""
    newest: list[dict[str, Any]] = server.get("/operations", type="TRAINING", limit=variants)["operations"]
    results = [server.get(f"/operations/{operation['operation_id']}/results") for operation in newest]
    return {phase: mean(one["phases_seconds"][phase] for one in results) for phase in results[0]["phases_seconds"]}
