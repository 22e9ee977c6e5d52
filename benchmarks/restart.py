"""How long a killed server is away that has 1,000 finished operations behind it and one that runs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

from benchmarks.outcome import Figure, below
from tests.chaos.restart import measure

ROUNDS = 7
FINISHED = 1000


def run(rounds: int = ROUNDS) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="ktrdr-bench-") as folder:
        restarts = measure(Path(folder) / "restart", FINISHED, rounds)
    seconds = [one.seconds for one in restarts]
    return [
        Figure(
            f"server started to serving, {FINISHED:,} operations finished and one running",
            median(seconds),
            "s",
            below(1.5),
        ),
        Figure("… slowest", max(seconds), "s"),
        Figure("… computed by the server until then", median(one.cpu_s for one in restarts), "s"),
    ]
