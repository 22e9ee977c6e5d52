"""Whether a search comes to the same bits on one worker, on two, with kills of server and workers, and resumed."""

from __future__ import annotations

import hashlib
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.outcome import Figure, at_least, below
from tests.e2e.system import TERMINAL, System

KILLS = 20
CANCELS = 2
TRIALS = 27
SEARCH = f"""
name: Bits
model: {{type: lstm, layers: 1, hidden_size: {{int: [4, 16]}}, sequence_length: 20}}
training: {{epochs: 9, batch_size: 16, learning_rate: {{log: [0.0001, 0.1]}}}}
controls: {{shuffled_labels: none}}
indicators: [{{name: rsi, period: {{int: [5, 30]}}}}]
search: {{trials: {TRIALS}, sampler: tpe, seed: 7, lag: 2, halving: {{factor: 3, min_epochs: 1}}}}
"""
NEEDED_EPOCHS = 27 * 1 + 9 * 2 + 3 * 6

Disturb = Callable[[System, str], str]
"""(system, running search) -> the search that comes to the end in its place."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search came to, without the names of its operations.

    trials: proposals, scores, last rungs and epochs
    winner: its number, and whether the full training came to its trial's bits
    weights: SHA-256 of the winner's weights
    """

    trials: tuple[str, ...]
    winner: tuple[int, bool]
    weights: str


def run(kills: int = KILLS, cancels: int = CANCELS) -> list[Figure]:
    alone, epochs, alone_s = _search(1)
    pair, _, pair_s = _search(2)
    killer = _Killer(kills)
    killed, _, killed_s = _search(2, killer.kill)
    resumed, _, resumed_s = _search(1, lambda system, name: _cancel_and_resume(system, name, cancels))
    different = len({alone, pair, killed, resumed}) - 1
    return [
        Figure(
            "searches that came to other proposals, promotions, winner or weights than the first",
            different,
            "",
            below(1),
        ),
        Figure(
            "winners that are not their trials to the bit",
            sum(not each.winner[1] for each in (alone, pair, killed, resumed)),
            "",
            below(1),
        ),
        Figure("kills of server and workers within one search", killer.done, "", at_least(kills)),
        Figure("epochs trained ÷ those that the halving needs", epochs / NEEDED_EPOCHS, "", below(1.0000001)),
        Figure(f"{TRIALS} trials on one worker", alone_s, "s"),
        Figure("… on two workers", pair_s, "s"),
        Figure("… on two workers, with the kills", killed_s, "s"),
        Figure(f"… on one worker, cancelled and resumed {cancels} times", resumed_s, "s"),
    ]


def _search(workers: int, disturb: Disturb = lambda system, name: name) -> tuple[Outcome, int, float]:
    with tempfile.TemporaryDirectory(prefix="ktrdr-bench-", ignore_cleanup_errors=True) as folder:
        system = System(Path(folder) / "system", LOG_LEVEL="INFO", KTRDR_MAX_CONCURRENT=str(workers))
        with closing(system):
            system.start()
            load = {"symbol": "AAPL", "timeframe": "1d", "provider": "sample"}
            system.ended(system.post("/data/load", load).json()["operation_id"])
            began = time.perf_counter()
            body = {"strategy": SEARCH, "symbols": ["AAPL"], "timeframes": ["1d"]}
            name = disturb(system, system.post("/search", body).json()["operation_id"])
            _await_end(system, name)
            seconds, results = time.perf_counter() - began, system.results(name)
            return _outcome(system, results), results["epochs_trained"], seconds


def _await_end(system: System, name: str) -> None:
    while (status := system.operation(name, wait=20)["status"]) not in TERMINAL:
        pass
    assert status == "COMPLETED", system.operation(name)


def _outcome(system: System, results: dict[str, Any]) -> Outcome:
    winner = results["winner"]
    weights = system.home / "models" / winner["operation_id"] / "model.safetensors"
    return Outcome(
        tuple(str({**trial, "operation_id": ""}) for trial in results["trials"]),
        (winner["trial"], winner["identical"]),
        hashlib.sha256(weights.read_bytes()).hexdigest(),
    )


class _Killer:
    """Kills the server and workers in turn, at instants by chance, until so many are dead or the search has ended."""

    def __init__(self, kills: int) -> None:
        self._kills = kills
        self._chance = random.Random(11)
        self.done = 0

    def kill(self, system: System, name: str) -> str:
        while self.done < self._kills and system.operation(name)["status"] not in TERMINAL:
            time.sleep(self._chance.uniform(0.1, 1.0))
            if self.done % 2:
                system.kill()
                system.start()
                self.done += 1
            elif workers := system.at_work():
                self._chance.choice(workers)[1].kill()
                self.done += 1
        return name


def _cancel_and_resume(system: System, name: str, times: int) -> str:
    for share in range(1, times + 1):
        while len(system.metrics(name)["metrics"]) < share * TRIALS // (times + 1):
            time.sleep(0.05)
        system.post(f"/operations/{name}/cancel")
        system.ended(name, "CANCELLED")
        name = system.post(f"/operations/{name}/resume").json()["operation_id"]
    return name
