"""Measures speed and memory of a training on a few of its real batches."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from ktrdr.training.architectures.model import CHUNK, count_parameters
from ktrdr.training.device import choose_device
from ktrdr.training.families import build_trainer
from ktrdr.training.windows import TrainingTensors

if TYPE_CHECKING:
    from ktrdr.features.dataset import Dataset
    from ktrdr.strategy.spec import Strategy
    from ktrdr.training.loop import Trainer

MAX_SECONDS = 2.0
MAX_BATCHES = 50
# The first batches include one-time costs.
_UNCOUNTED = 3
_VALIDATIONS = 3


@dataclass(frozen=True, slots=True)
class Throughput:
    """Measured speed and memory of one training.

    parameters: number of trained parameters
    setup_seconds: one-time cost before batches run at their usual rate; every fold, a process of its own, pays it again
    train_seconds_per_sample: for a sample in a training batch
    validation_seconds_per_sample: for a sample in a validation batch
    peak_memory_bytes: peak resident memory of the whole process
    """

    parameters: int
    setup_seconds: float
    train_seconds_per_sample: float
    validation_seconds_per_sample: float
    peak_memory_bytes: int

    def epoch_seconds(self, train_samples: int, validation_samples: int) -> float:
        return self.train_seconds_per_sample * train_samples + self.validation_seconds_per_sample * validation_samples


def measure(
    strategy: Strategy,
    dataset: Dataset,
    stop_requested: Callable[[], bool] = lambda: False,
    on_samples: Callable[[int], None] = lambda samples: None,
) -> Throughput:
    """Train a throw-away model for at most MAX_BATCHES batches or MAX_SECONDS, and validate a few times.

    The peak memory includes what building the dataset took. It excludes the memory of a GPU.
    """
    settings = strategy.training
    tensors = TrainingTensors.of(dataset, settings, choose_device(settings.device))
    tensors = replace(tensors, validation=tensors.validation.first(CHUNK))
    trainer = build_trainer(strategy.model, settings, tensors, dataset.outputs)
    batches, steps = _timed_batches(trainer, stop_requested, on_samples)
    batch_s = statistics.median(steps[_UNCOUNTED:] or steps[1:] or steps)
    return Throughput(
        parameters=count_parameters(trainer.model),
        setup_seconds=max(0.0, steps[0] - batch_s),
        train_seconds_per_sample=batches * batch_s / len(tensors.train),
        validation_seconds_per_sample=_validation_s(trainer, stop_requested) / len(tensors.validation),
        peak_memory_bytes=_peak_memory_bytes(),
    )


def _timed_batches(
    trainer: Trainer, stop_requested: Callable[[], bool], on_samples: Callable[[int], None]
) -> tuple[int, list[float]]:
    """The number of batches in an epoch, and the seconds that each of the first batches took.

    The time limit counts from the end of the first batch, which includes one-time costs.
    """
    ends = [time.perf_counter()]
    batches = 1

    def on_batch(epoch: int, batch: int, epoch_batches: int, samples_seen: int) -> None:
        nonlocal batches
        batches = epoch_batches
        ends.append(time.perf_counter())
        on_samples(samples_seen)

    def is_enough() -> bool:
        return stop_requested() or len(ends) > MAX_BATCHES or ends[-1] - ends[1] > MAX_SECONDS

    # An epoch of few batches, or of one round of trees, is run more than once.
    for epoch in range(1, MAX_BATCHES + 1):
        if trainer.epoch(epoch, on_batch, is_enough) is None:
            break
    return batches, [later - earlier for earlier, later in pairwise(ends)]


def _validation_s(trainer: Trainer, stop_requested: Callable[[], bool]) -> float:
    """The shortest of a few validations, because the first one includes one-time costs."""
    seconds = []
    for _ in range(_VALIDATIONS):
        began = time.perf_counter()
        trainer.validate(stop_requested)
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def _peak_memory_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
