"""A search's trials against the same trainings by Optuna and by Ray Tune, each around a plain PyTorch loop.

All train the shipped strategy (LSTM 2×64, window 20, batch 32, three features) with other seeds on AAPL's daily bars of
2019 to 2024, as many at once as this machine has cores, one thread in each, with nothing left to import when the clock
starts.

- ktrdr: from `POST /search` until the search is COMPLETED, the full training of the winner included. Each trial is an
  operation: recorded, watchable, cancelled and resumed at will, judged against its baselines, backtested and written.
- Optuna (`benchmarks/plain_search.py`): a process for each core, which asks and tells in memory, so that nothing is
  shared, recorded or written. A search that shares its trials between processes would need a database as well.
- Ray Tune (`benchmarks/ray_search.py`), where it is installed: one trial a core, without checkpoints.

What a trial costs beyond its epochs is the processor time of all processes, less what the epochs took by their own
clock: from searches of few and of many trials, so that what a search pays once drops out. One trial is trained at a
time, as two that share a core's units lengthen each other's processor time. An epoch is one batch there: the longer the
epochs, the more their own variation hides what is beyond them.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.outcome import Figure, below
from benchmarks.system import STRATEGY, Server, environment
from benchmarks.variants import Cost, closes_of, cpu_s

TRIALS, EPOCHS = 100, 10
# Of the searches that show what a trial costs beyond its epochs.
FEW_TRIALS, MANY_TRIALS, ROUNDS = 10, 60, 3
ONE_BATCH = 4096


def run(trials: int = TRIALS, epochs: int = EPOCHS) -> list[Figure]:
    cores = os.cpu_count() or 1
    with Server(KTRDR_MAX_CONCURRENT="1") as server, tempfile.TemporaryDirectory() as folder:
        closes_of(server, Path(folder))
        beyond_s, epoch_s = _cost_of_a_trial(server)
    with Server(KTRDR_MAX_CONCURRENT=str(cores)) as server, tempfile.TemporaryDirectory() as folder:
        closes = closes_of(server, Path(folder))
        _, ours = _search(server, trials, epochs)
        optuna = _by_optuna(closes, trials, epochs, cores)
        ray = _by_ray(closes, trials, epochs)
    what = f"{trials} trials of {epochs} epochs"
    return [
        Figure("processor time of a trial beyond its epochs", 1000 * beyond_s, "ms", below(60)),
        Figure("… of one of its epochs, in one batch", 1000 * epoch_s, "ms"),
        *_figures(f"{what}: a search, judged, recorded and its winner trained in full", ours),
        *_figures(f"… by Optuna and a DataLoader loop in {cores} processes", optuna),
        Figure("… ktrdr ÷ Optuna", ours.seconds / optuna.seconds, "×", below(0.9)),
        *(_figures("… by Ray Tune and the same loop", ray) if ray else ()),
        *([Figure("… ktrdr ÷ Ray Tune", ours.seconds / ray.seconds, "×", below(0.3))] if ray else ()),
    ]


def _figures(what: str, cost: Cost) -> Iterator[Figure]:
    yield Figure(what, cost.seconds, "s")
    if cost.cpu_s:
        yield Figure("… … processor time", cost.cpu_s, "s")


def _cost_of_a_trial(server: Server) -> tuple[float, float]:
    """Seconds of processor time: of a trial without its epoch, and of the epoch; medians."""
    beyond, epochs = zip(*(_one_more_trial(server) for _ in range(ROUNDS)), strict=True)
    return median(beyond), median(epochs)


def _one_more_trial(server: Server) -> tuple[float, float]:
    many, few = (_trials_alone(server, trials) for trials in (MANY_TRIALS, FEW_TRIALS))
    in_all_s, in_epochs_s = ((one - other) / (MANY_TRIALS - FEW_TRIALS) for one, other in zip(many, few, strict=True))
    return in_all_s - in_epochs_s, in_epochs_s


def _trials_alone(server: Server, trials: int) -> tuple[float, float]:
    """Processor time of a search of trials of one epoch, and what their epochs took."""
    operation_id, cost = _search(server, trials, 1, ONE_BATCH)
    parts = server.get("/operations", parent=operation_id, type="trial", limit=1000)["operations"]
    metrics = [server.get(f"/operations/{part['operation_id']}/metrics")["metrics"] for part in parts]
    return cost.cpu_s, sum(row["duration"] for rows in metrics for row in rows)


def _search(server: Server, trials: int, epochs: int, batch_size: int = 32) -> tuple[str, Cost]:
    server.await_warm_worker()
    text = STRATEGY.read_text(encoding="utf-8").replace("batch_size: 32", f"batch_size: {batch_size}")
    strategy = re.sub(r"(?m)^  epochs: .*", f"  epochs: {epochs}\n  seed: {{int: [0, 100000]}}", text)
    search = f"{strategy}\nsearch: {{trials: {trials}, sampler: random, lag: {os.cpu_count()}}}\n"
    began, cpu_before_s = time.perf_counter(), cpu_s(server)
    started = server.post("/search", strategy=search, symbols=["AAPL"], timeframes=["1d"])
    operation = server.wait_for_end(started["operation_id"])
    if operation["status"] != "COMPLETED":
        raise RuntimeError(f"{operation['operation_id']} ended {operation['status']}: {operation['error']}")
    seconds = time.perf_counter() - began
    server.await_ended_workers()
    return operation["operation_id"], Cost(seconds, cpu_s(server) - cpu_before_s)


def _by_optuna(closes: Path, trials: int, epochs: int, cores: int) -> Cost:
    shares = [trials // cores + (core < trials % cores) for core in range(cores)]
    processes = [_start("benchmarks.plain_search", closes, share, 1, epochs) for share in shares]
    costs = [_cost(process) for process in processes]
    return Cost(max(cost.seconds for cost in costs), sum(cost.cpu_s for cost in costs))


def _by_ray(closes: Path, trials: int, epochs: int) -> Cost | None:
    if importlib.util.find_spec("ray") is None:
        return None
    return _cost(_start("benchmarks.ray_search", closes, trials, epochs))


def _start(module: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)


def _cost(process: subprocess.Popen[str]) -> Cost:
    printed, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{process.args!r} ended with exit code {process.returncode}")
    return Cost(*(float(seconds) for seconds in printed.split()[-2:]))
