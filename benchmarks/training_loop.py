"""Samples per second of the training loop against the ordinary Dataset and DataLoader loop: `main()` prints a table.

Every measurement runs in a fresh process (the allocator cannot be tuned back), in interleaved rounds, so that a busy
moment of the machine touches all variants alike.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ktrdr.strategy.spec import LSTM, Training
from ktrdr.training.allocator import keep_freed_memory
from ktrdr.training.checkpoint import Checkpoints, Fingerprint
from ktrdr.training.loop import TrainingState, TrainingTensors, build_optimizer, train
from ktrdr.training.models.families import build_model
from ktrdr.training.observer import SilentObserver, TrainingObserver
from ktrdr.training.run import make_repeatable
from ktrdr.training.windows import Samples, view_of_windows

FEATURES, WINDOW, BATCH, CLASSES = 10, 20, 32, 2
TRAIN_SAMPLES, VALIDATION_SAMPLES = 4096, 512
EPOCHS = 4
NETWORK = LSTM(type="lstm", layers=2, hidden_size=64, sequence_length=WINDOW)

VARIANTS = {
    "dataloader": "Dataset/DataLoader loop",
    "dataloader_tuned": "Dataset/DataLoader loop, allocator tuned",
    "bare": "ktrdr loop",
    "checkpoints": "ktrdr loop with checkpoints",
    "observer": "ktrdr loop with observer",
}


class BarWindows(Dataset[tuple[Tensor, Tensor]]):
    """What a tutorial would write."""

    def __init__(self, values: Tensor, labels: Tensor) -> None:
        self.values, self.labels = values, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.values[index : index + WINDOW], self.labels[index]


def ordinary_loop(values: Tensor, labels: Tensor, epochs: int) -> float:
    """Seconds for the training part of `epochs` epochs, after one that isn't counted."""
    model = build_model(NETWORK, FEATURES, CLASSES)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()
    training = DataLoader(BarWindows(values, labels[:TRAIN_SAMPLES]), batch_size=BATCH, shuffle=True)
    validation = DataLoader(BarWindows(values[TRAIN_SAMPLES:], labels[TRAIN_SAMPLES:]), batch_size=BATCH)

    def epoch() -> None:
        model.train()
        loss_sum, correct = 0.0, 0
        for windows, expected in training:
            optimizer.zero_grad()
            logits = model(windows)
            loss = criterion(logits, expected)
            loss.backward()
            optimizer.step()
            loss_sum += loss.item() * len(expected)
            correct += int((logits.argmax(1) == expected).sum().item())
        model.eval()
        with torch.no_grad():
            for windows, expected in validation:
                logits = model(windows)
                loss_sum += criterion(logits, expected).item()
                correct += int((logits.argmax(1) == expected).sum().item())

    epoch()
    began = time.perf_counter()
    for _ in range(epochs):
        epoch()
    return time.perf_counter() - began


def lean_loop(
    values: Tensor,
    labels: Tensor,
    epochs: int,
    observer: TrainingObserver,
    keep: Callable[[TrainingState], None] = lambda _: None,
) -> float:
    """Seconds for `epochs` epochs, after one that isn't counted."""
    model = build_model(NETWORK, FEATURES, CLASSES)
    settings = Training(epochs=1, batch_size=BATCH)
    state = TrainingState(model, build_optimizer(settings, model), torch.Generator().manual_seed(settings.seed))
    starts = torch.arange(len(labels))
    data = TrainingTensors(
        view_of_windows(values, WINDOW),
        Samples(starts[:TRAIN_SAMPLES], labels[:TRAIN_SAMPLES]),
        Samples(starts[TRAIN_SAMPLES:], labels[TRAIN_SAMPLES:]),
    )
    train(state, data, settings, observer, lambda: False, keep)
    began = time.perf_counter()
    train(state, data, settings.model_copy(update={"epochs": 1 + epochs}), observer, lambda: False, keep)
    return time.perf_counter() - began


def measure(variant: str, observer: TrainingObserver, epochs: int = EPOCHS, threads: int = 1) -> float:
    """Samples per second of one variant, in this process."""
    random = np.random.default_rng(0)
    samples = TRAIN_SAMPLES + VALIDATION_SAMPLES
    values = torch.from_numpy(random.standard_normal((samples + WINDOW - 1, FEATURES)).astype(np.float32))
    labels = torch.from_numpy(random.integers(0, CLASSES, samples))
    torch.set_num_threads(threads)
    if variant.startswith("dataloader"):
        if variant == "dataloader_tuned":
            keep_freed_memory()
        seconds = ordinary_loop(values, labels, epochs)
    elif variant == "checkpoints":
        make_repeatable(0, threads)
        with tempfile.TemporaryDirectory() as folder:
            checkpoints = Checkpoints(Path(folder), Fingerprint({}, "1d", {}))
            seconds = lean_loop(values, labels, epochs, SilentObserver(), checkpoints.keep)
    else:
        make_repeatable(0, threads)
        seconds = lean_loop(values, labels, epochs, observer)
    return epochs * TRAIN_SAMPLES / seconds


def main(
    rounds: int = 5,
    epochs: int = EPOCHS,
    threads: int = 1,
    observer: str = "ktrdr.training.observer:SilentObserver",
) -> dict[str, Any]:
    """`observer` is `module:callable`; the callable takes nothing and gives the observer of the last variant."""
    rates: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for _ in range(rounds):
        for variant, found in rates.items():
            found.append(_in_fresh_process(variant, observer, epochs, threads))
    medians = {variant: statistics.median(found) for variant, found in rates.items()}
    result = {
        "samples_per_second": medians,
        "rounds": rates,
        "threads": threads,
        "observer": observer,
        "ratio_to_dataloader": _paired(rates, "bare", "dataloader"),
        "ratio_with_observer": _paired(rates, "observer", "bare"),
        "ratio_with_checkpoints": _paired(rates, "checkpoints", "bare"),
    }
    _print(result)
    return result


def _paired(rates: dict[str, list[float]], one: str, other: str) -> float:
    """Median of the ratios within each round."""
    return statistics.median(a / b for a, b in zip(rates[one], rates[other], strict=True))


def _in_fresh_process(variant: str, observer: str, epochs: int, threads: int) -> float:
    command = [sys.executable, __file__, "--variant", variant, "--observer", observer]
    command += ["--epochs", str(epochs), "--threads", str(threads)]
    return float(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def _print(result: dict[str, Any]) -> None:
    lines = [f"LSTM 2x64, window {WINDOW}, batch {BATCH}, {FEATURES} features, {result['threads']} thread(s)"]
    for variant, title in VARIANTS.items():
        rate = result["samples_per_second"][variant]
        low, high = min(result["rounds"][variant]), max(result["rounds"][variant])
        lines.append(f"{title:<44}{rate:>9,.0f} samples/s   ({low:,.0f} to {high:,.0f})")
    lines.append(f"ktrdr loop / DataLoader loop         {result['ratio_to_dataloader']:.2f}")
    lines.append(f"with observer / bare                 {result['ratio_with_observer']:.3f}")
    lines.append(f"with checkpoints / bare              {result['ratio_with_checkpoints']:.3f}")
    sys.stdout.write("\n".join(lines) + "\n")


def _built(path: str) -> TrainingObserver:
    module, name = path.split(":")
    observer: TrainingObserver = getattr(importlib.import_module(module), name)()
    return observer


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", choices=VARIANTS)
    parser.add_argument("--observer", default="ktrdr.training.observer:SilentObserver")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    if given.variant:
        rate = measure(given.variant, _built(given.observer), given.epochs, given.threads)
        sys.stdout.write(json.dumps(rate))
    else:
        main(given.rounds, given.epochs, given.threads, given.observer)
