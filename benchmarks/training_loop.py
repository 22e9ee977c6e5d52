"""Samples per second of the training loop against the ordinary Dataset and DataLoader loop: `main()` prints a table.

Every measurement runs in a fresh process (the allocator cannot be tuned back), in interleaved rounds, so that a busy
moment of the machine touches all variants alike. Seconds are the process's processor time, page faults included: with
one thread that is what a clock shows on an idle machine, and other processes hardly disturb it.
"""

from __future__ import annotations

import argparse
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

from ktrdr.strategy.sections.model import LSTM
from ktrdr.strategy.sections.training import Training
from ktrdr.training.allocator import keep_freed_memory
from ktrdr.training.checkpoint import Checkpoint, write
from ktrdr.training.determinism import make_repeatable
from ktrdr.training.families import build_model, build_trainer
from ktrdr.training.fingerprint import Fingerprint
from ktrdr.training.loop import TrainingState, train
from ktrdr.training.observer import SilentObserver, TrainingObserver
from ktrdr.training.windows import Samples, TrainingTensors, view_of_windows

FEATURES, WINDOW, BATCH, CLASSES = 10, 20, 32, 2
TRAIN_SAMPLES, VALIDATION_SAMPLES = 4096, 512
EPOCHS = 4
NETWORK = LSTM(type="lstm", layers=2, hidden_size=64, sequence_length=WINDOW)

VARIANTS = {
    "dataloader": "Dataset/DataLoader loop",
    "dataloader_tuned": "Dataset/DataLoader loop, allocator tuned",
    "bare": "ktrdr loop",
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
    began = time.process_time()
    for _ in range(epochs):
        epoch()
    return time.process_time() - began


class LeanTraining:
    """One training by ktrdr's loop that goes on epoch by epoch."""

    def __init__(
        self,
        values: Tensor,
        labels: Tensor,
        observer: TrainingObserver,
    ) -> None:
        self.settings = Training(batch_size=BATCH)
        starts = torch.arange(len(labels))
        data = TrainingTensors(
            view_of_windows(values, WINDOW),
            Samples(starts[:TRAIN_SAMPLES], labels[:TRAIN_SAMPLES]),
            Samples(starts[TRAIN_SAMPLES:], labels[TRAIN_SAMPLES:]),
        )
        self.state = TrainingState(build_trainer(NETWORK, self.settings, data, CLASSES))
        self.observer = observer
        self.seconds(1)

    def seconds(self, epochs: int) -> float:
        """For so many more epochs."""
        settings = self.settings.model_copy(update={"epochs": self.state.epoch + epochs})
        began = time.process_time()
        train(self.state, settings, self.observer, lambda: False, lambda _: None)
        return time.process_time() - began


def measure(variant: str, epochs: int = EPOCHS, threads: int = 1) -> float:
    """Samples per second of one variant, in this process."""
    values, labels = made_up_bars()
    torch.set_num_threads(threads)
    if variant == "dataloader_tuned":
        keep_freed_memory()
    if variant.startswith("dataloader"):
        return epochs * TRAIN_SAMPLES / ordinary_loop(values, labels, epochs)
    make_repeatable(0, threads)
    return epochs * TRAIN_SAMPLES / LeanTraining(values, labels, SilentObserver()).seconds(epochs)


def measure_observer(observer: TrainingObserver, epochs: int = 4 * EPOCHS, threads: int = 1) -> dict[str, float]:
    """Samples per second without and with `observer`: two trainings in this process that take turns by epochs.

    What an observer costs is far less than two processes differ, hence the turns, and the median of the ratios of
    neighbours.
    """
    values, labels = made_up_bars()
    make_repeatable(0, threads)
    bare, observed = LeanTraining(values, labels, SilentObserver()), LeanTraining(values, labels, observer)
    pairs = []
    for turn in range(epochs):
        first, second = (bare, observed) if turn % 2 else (observed, bare)
        taken = {first: first.seconds(1), second: second.seconds(1)}
        pairs.append((taken[bare], taken[observed]))
    return {
        "bare": TRAIN_SAMPLES / statistics.median(without for without, _ in pairs),
        "observer": TRAIN_SAMPLES / statistics.median(with_it for _, with_it in pairs),
        "ratio": statistics.median(without / with_it for without, with_it in pairs),
    }


def measure_checkpoint(times: int = 20) -> dict[str, float]:
    """Milliseconds, in the median: to capture an epoch boundary (once an epoch), and to write it (once a second)."""
    values, labels = made_up_bars()
    state = LeanTraining(values, labels, SilentObserver()).state
    captures, writes = [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(times):
            began = time.perf_counter()
            checkpoint = Checkpoint.capture(state, Fingerprint({}, 0, {}))
            captured = time.perf_counter()
            write(Path(folder), checkpoint)
            captures.append(captured - began)
            writes.append(time.perf_counter() - captured)
    return {"capture_ms": 1000 * statistics.median(captures), "write_ms": 1000 * statistics.median(writes)}


def made_up_bars() -> tuple[Tensor, Tensor]:
    """Values [rows, features], and a label for every window."""
    random = np.random.default_rng(0)
    samples = TRAIN_SAMPLES + VALIDATION_SAMPLES
    values = random.standard_normal((samples + WINDOW - 1, FEATURES)).astype(np.float32)
    return torch.from_numpy(values), torch.from_numpy(random.integers(0, CLASSES, samples))


def main(
    rounds: int = 5,
    epochs: int = EPOCHS,
    threads: int = 1,
    observer: Callable[[], TrainingObserver] = SilentObserver,
) -> dict[str, Any]:
    """`observer` gives the observer whose cost is measured; by default that is nothing but the measurement's noise."""
    rates: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for turn in range(rounds):
        for variant in list(VARIANTS)[:: 1 if turn % 2 else -1]:
            rates[variant].append(_in_fresh_process(variant, epochs, threads))
    result = {
        "samples_per_second": {variant: statistics.median(found) for variant, found in rates.items()},
        "rounds": rates,
        "threads": threads,
        "ratio_to_dataloader": _paired(rates, "bare", "dataloader"),
        "ratio_to_tuned_dataloader": _paired(rates, "bare", "dataloader_tuned"),
        "with_observer": measure_observer(observer(), 4 * epochs, threads),
        "checkpoint": measure_checkpoint(),
    }
    _print(result)
    return result


def _paired(rates: dict[str, list[float]], one: str, other: str) -> float:
    """Median of the ratios within each round."""
    return statistics.median(a / b for a, b in zip(rates[one], rates[other], strict=True))


def _in_fresh_process(variant: str, epochs: int, threads: int) -> float:
    command = [
        sys.executable,
        "-m",
        "benchmarks.training_loop",
        "--variant",
        variant,
        "--epochs",
        str(epochs),
        "--threads",
        str(threads),
    ]
    return float(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def _print(result: dict[str, Any]) -> None:
    lines = [f"LSTM 2x64, window {WINDOW}, batch {BATCH}, {FEATURES} features, {result['threads']} thread(s)"]
    for variant, title in VARIANTS.items():
        low, high = min(result["rounds"][variant]), max(result["rounds"][variant])
        rate = result["samples_per_second"][variant]
        lines.append(f"{title:<44}{rate:>8,.0f} samples/s  ({low:,.0f} to {high:,.0f})")
    for title, ratio in {
        "ktrdr loop / Dataset/DataLoader loop": result["ratio_to_dataloader"],
        "ktrdr loop / the same, allocator tuned": result["ratio_to_tuned_dataloader"],
        "with observer / without": result["with_observer"]["ratio"],
    }.items():
        lines.append(f"{title:<44}{ratio:>8.3f}")
    lines.append(f"{'checkpoint, captured once an epoch':<44}{result['checkpoint']['capture_ms']:>8.3f} ms")
    lines.append(f"{'checkpoint, written at most once a second':<44}{result['checkpoint']['write_ms']:>8.3f} ms")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", choices=VARIANTS, help="measure this one here and print its samples per second")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    if given.variant:
        sys.stdout.write(json.dumps(measure(given.variant, given.epochs, given.threads)))
    else:
        main(given.rounds, given.epochs, given.threads)
