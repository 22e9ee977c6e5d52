"""What a walk forward holds while its folds wait for other trainings: processes, and memory of their own."""

from __future__ import annotations

import psutil

from benchmarks.outcome import Figure, below
from benchmarks.system import STRATEGY, Server, private_mb

FOLDS = 5
# For the process that checks a strategy before it is accepted to end.
_PATIENCE_S = 30.0


def run(folds: int = FOLDS) -> list[Figure]:
    strategy = f"{STRATEGY.read_text(encoding='utf-8')}\nvalidation: {{type: walk_forward, folds: {folds}}}\n"
    with Server(KTRDR_MAX_CONCURRENT="1") as server, server.endless_training():
        before = set(_processes(server))
        whole = server.start_training(strategy)
        waiting = server.get("/operations", parent=whole, status="PENDING")["total"]
        if waiting != folds:
            raise RuntimeError(f"{waiting} folds of {folds} wait")
        _, held = psutil.wait_procs(set(_processes(server)) - before, timeout=_PATIENCE_S)
        memory_mb = sum(private_mb(process.pid) for process in held)
        server.post(f"/operations/{whole}/cancel")
        server.wait_for_end(whole)
    what = f"a walk forward whose {folds} folds wait"
    return [
        Figure(f"{what}: processes of its own", len(held), "", below(1)),
        Figure("… their memory", memory_mb, "MB", below(1)),
    ]


def _processes(server: Server) -> list[psutil.Process]:
    return psutil.Process(server.process.pid).children(recursive=True)
