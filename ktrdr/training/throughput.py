"""How fast a training will go and how much memory it takes, measured on a few of its real batches."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from ktrdr.training.architectures.model import CHUNK, count_parameters, predict
from ktrdr.training.device import device_of
from ktrdr.training.families import build_trainer
from ktrdr.training.windows import TrainingTensors

if TYPE_CHECKING:
    from torch import nn

    from ktrdr.features.dataset import Dataset
    from ktrdr.strategy.spec import Strategy

MOST_SECONDS = 2.0
MOST_BATCHES = 50
# The first batches pay for what is made once.
_UNCOUNTED = 3


@dataclass(frozen=True, slots=True)
class Throughput:
    parameters: int
    epoch_seconds: float
    peak_memory_bytes: int


def measure(
    strategy: Strategy,
    dataset: Dataset,
    stop_requested: Callable[[], bool] = lambda: False,
    on_samples: Callable[[int], None] = lambda samples: None,
) -> Throughput:
    """Train a throw-away model for at most MOST_BATCHES batches or so many seconds, and let it predict once.

    The peak is that of the whole process, with what made the dataset; on another device than the CPU it leaves out
    that device's own memory.
    """
    settings = strategy.training
    tensors = TrainingTensors.of(dataset, settings, device_of(settings.device))
    trainer = build_trainer(strategy.model, settings, tensors, dataset.outputs)
    began = time.perf_counter()
    ends: list[float] = [began]
    batches = 1

    def on_batch(epoch: int, batch: int, of: int, samples_seen: int) -> None:
        nonlocal batches
        batches = of
        ends.append(time.perf_counter())
        on_samples(samples_seen)

    def is_enough() -> bool:
        return stop_requested() or len(ends) > MOST_BATCHES or time.perf_counter() - began > MOST_SECONDS

    # An epoch of few batches, or of one round of trees, is run more than once.
    for epoch in range(1, MOST_BATCHES + 1):
        if trainer.epoch(epoch, on_batch, is_enough) is None:
            break
    steps = [later - earlier for earlier, later in pairwise(ends)]
    batch_s = statistics.median(steps[_UNCOUNTED:] or steps)
    return Throughput(
        count_parameters(trainer.model), batches * batch_s + _validation_s(trainer.model, tensors), _peak_memory_bytes()
    )


def _validation_s(model: nn.Module, tensors: TrainingTensors) -> float:
    starts = tensors.validation.starts
    some = starts[:CHUNK]
    began = time.perf_counter()
    predict(model, tensors.windows, some)
    return (time.perf_counter() - began) * len(starts) / len(some)


def _peak_memory_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
