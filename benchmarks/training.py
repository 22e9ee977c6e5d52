"""What the loop gives, against the usual one, and what the bridge takes from it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.outcome import Figure, at_least

ROUNDS = 5


def run(rounds: int = ROUNDS) -> list[Figure]:
    from benchmarks import training_loop
    from ktrdr.jobs.training_bridge import TrainingProgressBridge

    with tempfile.TemporaryDirectory(prefix="ktrdr-bench-") as folder:
        path = Path(folder) / "bridge"
        TrainingProgressBridge.create_for(path, 1000)
        with TrainingProgressBridge(path, writable=True) as bridge:
            found = training_loop.main(rounds, observer=lambda: bridge)
    rates = found["samples_per_second"]
    return [
        Figure("training loop: samples/s, LSTM 2×64, window 20, batch 32, 1 thread", rates["bare"], "1/s"),
        Figure("Dataset/DataLoader loop: samples/s, the same model", rates["dataloader"], "1/s"),
        Figure("training loop ÷ Dataset/DataLoader loop", found["ratio_to_dataloader"], "×", at_least(1.5)),
        Figure("training loop with bridge ÷ bare", found["with_observer"]["ratio"], "×", at_least(0.98)),
    ]
