"""What the variants of a strategy are measured against: Optuna and a plain PyTorch loop, one training after the other.

`python -m benchmarks.plain_search CLOSES_FILE VARIANTS THREADS [EPOCHS]` prints the seconds that all of them took, and
the seconds of processor time; 0 threads are torch's default. Nothing of ktrdr is imported: this is what one would write
without it.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import talib
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

WINDOW, BATCH, EPOCHS, VALIDATION = 20, 32, 10, 0.2

Batches = DataLoader[tuple[Tensor, ...]]


class Network(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, 64, num_layers=2, batch_first=True)
        self.head = nn.Linear(64, 2)

    def forward(self, windows: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(windows)
        logits: Tensor = self.head(hidden[-1])
        return logits


@dataclass(frozen=True, slots=True)
class Samples:
    """`windows` [samples, window, features], `labels` [samples]: whether the next close is higher."""

    windows: Tensor
    labels: Tensor

    def batches(self, *, shuffle: bool = False) -> Batches:
        return DataLoader(TensorDataset(self.windows, self.labels), batch_size=BATCH, shuffle=shuffle)


def features_of(closes: NDArray[np.float64]) -> NDArray[np.float64]:
    """[bars, 3]: the log return, the distance to the average of 20 closes, the RSI of 14."""
    returns = np.diff(np.log(closes), prepend=np.nan)
    return np.column_stack([returns, talib.SMA(closes, 20) / closes - 1, talib.RSI(closes, 14)])


def samples_of(closes: NDArray[np.float64]) -> tuple[Samples, Samples]:
    """The training and the validation part, scaled by the training part's rows."""
    features, is_up = features_of(closes)[:-1], (np.diff(closes) > 0).astype(np.int64)
    is_known = np.isfinite(features).all(axis=1)
    features, is_up = features[is_known], is_up[is_known]
    border = int((len(features) - WINDOW + 1) * (1 - VALIDATION))
    known = features[: border + WINDOW - 1]
    scaled = torch.from_numpy(((features - known.mean(0)) / known.std(0)).astype(np.float32))
    windows, labels = scaled.unfold(0, WINDOW, 1).transpose(1, 2).contiguous(), torch.from_numpy(is_up[WINDOW - 1 :])
    return Samples(windows[:border], labels[:border]), Samples(windows[border:], labels[border:])


def train(training: Samples, validation: Samples, seed: int, epochs: int = EPOCHS) -> float:
    """The best validation loss, of the epoch whose weights are in the model in the end."""
    torch.manual_seed(seed)
    model = Network(training.windows.shape[2])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    best, weights = float("inf"), model.state_dict()
    for _ in range(epochs):
        model.train()
        loss_sum, correct = 0.0, 0
        for windows, labels in training.batches(shuffle=True):
            optimizer.zero_grad()
            logits = model(windows)
            loss = cross_entropy(logits, labels)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            loss_sum += loss.item() * len(labels)
            correct += int((logits.argmax(1) == labels).sum().item())
        validation_loss = validate(model, validation)
        if validation_loss < best:
            best = validation_loss
            weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(weights)
    return best


@torch.no_grad()
def validate(model: nn.Module, samples: Samples) -> float:
    model.eval()
    losses = [cross_entropy(model(windows), labels, reduction="sum").item() for windows, labels in samples.batches()]
    return sum(losses) / len(samples.labels)


def search(closes: NDArray[np.float64], variants: int, epochs: int) -> None:
    training, validation = samples_of(closes)
    study = optuna.create_study()
    for seed in range(variants):
        study.enqueue_trial({"seed": seed})
        trial = study.ask()
        study.tell(trial, train(training, validation, trial.suggest_int("seed", 0, variants), epochs))


def main() -> None:
    closes_file, variants, threads, epochs = [*sys.argv[1:], str(EPOCHS)][:4]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if int(threads):
        torch.set_num_threads(int(threads))
    closes = np.load(Path(closes_file))
    began, cpu_before_s = time.perf_counter(), time.process_time()
    search(closes, int(variants), int(epochs))
    print(time.perf_counter() - began, time.process_time() - cpu_before_s)


if __name__ == "__main__":
    main()
