"""Whether a training is worth its time, told before it takes any: samples, balance, parameters, memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from ktrdr.errors import TrainingDataError

if TYPE_CHECKING:
    from ktrdr.features.dataset import Dataset, Part
    from ktrdr.strategy.spec import Strategy
    from ktrdr.training.throughput import Throughput

FEWEST_TRAINING_SAMPLES = 20
FEWEST_VALIDATION_SAMPLES = 5
THIN_VALIDATION_SAMPLES = 200
THIN_CLASS_SHARE = 0.02
PARAMETERS_PER_SAMPLE = 10

_FLOAT_BYTES = 4
# Weights, gradients, two moments; the best weights, and a checkpoint's copy of weights, moments and best weights.
_COPIES_OF_WEIGHTS = 9
# Numbers that a unit of a layer keeps of one bar while gradients are on their way: an LSTM's gates, cell and output.
_NUMBERS_PER_UNIT = 8
_ROWS_VALIDATED_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class PartReport:
    """`shares` of the classes; in a regression of targets above 0 and not. `resolution` is the least difference of
    accuracies that so many samples tell from chance, at 95 %."""

    part: str
    samples: int
    first: str
    last: str
    shares: dict[str, float]
    resolution: float


@dataclass(frozen=True, slots=True)
class Preflight:
    """`errors` make the training hopeless, `warnings` its result weak."""

    symbols: list[dict[str, Any]]
    parts: list[PartReport]
    features: int
    window: int
    parameters: int
    parameters_per_sample: float
    peak_memory_bytes: int
    available_memory_bytes: int
    epoch_seconds: float | None
    total_seconds: float | None
    errors: list[str]
    warnings: list[str]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def check(self) -> None:
        """Raises TrainingDataError when the training is hopeless."""
        if self.errors:
            raise TrainingDataError(
                "; ".join(self.errors),
                hint="load a longer range, or choose other labels or another split; see: ktrdr models train --dry-run",
                preflight=self.to_dict(),
            )


def preflight(
    strategy: Strategy, dataset: Dataset, *, model_parameters: int, throughput: Throughput | None = None
) -> Preflight:
    """What there is to train on; times only with a `throughput`, which takes a few batches to find."""
    parts = [_part(dataset, name, part) for name, part in _parts_of(dataset)]
    training = strategy.training
    memory = throughput.peak_memory_bytes if throughput else _peak_memory(strategy, dataset, model_parameters)
    available = psutil.virtual_memory().available + psutil.Process().memory_info().rss
    return Preflight(
        symbols=[_symbol(dataset, index) for index in range(len(dataset.coverage))],
        parts=parts,
        features=len(dataset.feature_names),
        window=dataset.sequence_length,
        parameters=model_parameters,
        parameters_per_sample=model_parameters / len(dataset.train.labels),
        peak_memory_bytes=memory,
        available_memory_bytes=available,
        epoch_seconds=throughput.epoch_seconds if throughput else None,
        total_seconds=throughput.epoch_seconds * training.epochs if throughput else None,
        errors=list(_errors(parts, dataset.is_regression)),
        warnings=list(_warnings(strategy, parts, model_parameters, memory, available)),
    )


def _parts_of(dataset: Dataset) -> Iterator[tuple[str, Part]]:
    yield from (("train", dataset.train), ("validation", dataset.validation))
    if dataset.test is not None:
        yield "test", dataset.test


def _part(dataset: Dataset, name: str, part: Part) -> PartReport:
    samples = len(part.labels)
    names: Sequence[str] = dataset.class_names
    labels = part.labels.astype(np.int64)
    if dataset.is_regression:
        names, labels = ("not above 0", "above 0"), (part.measures > 0).astype(np.int64)
    counts = np.bincount(labels, minlength=len(names))
    return PartReport(
        part=name,
        samples=samples,
        first=_instant(part.timestamps.min()),
        last=_instant(part.timestamps.max()),
        shares={each: float(count / samples) for each, count in zip(names, counts, strict=True)},
        resolution=1.96 * math.sqrt(0.25 / _independent(part)),
    )


def _independent(part: Part) -> float:
    """Labels that settle over several bars overlap: so many of the samples as have no bar in common."""
    return max(1.0, len(part.labels) / float(np.mean(part.settled - part.rows)))


def _symbol(dataset: Dataset, index: int) -> dict[str, Any]:
    told = asdict(dataset.coverage[index])
    return {key: value.isoformat() if hasattr(value, "isoformat") else value for key, value in told.items()}


def _instant(timestamp: np.datetime64) -> str:
    return f"{timestamp.astype('datetime64[s]')}Z"


def _peak_memory(strategy: Strategy, dataset: Dataset, parameters: int) -> int:
    """What is in use now, with bars and samples, and what weights and the largest batch will add; a rough figure."""
    model = strategy.model
    units = getattr(model, "hidden_size", 0) * getattr(model, "layers", 0) * dataset.sequence_length
    inputs = len(dataset.feature_names) * dataset.sequence_length
    trained = min(strategy.training.batch_size, len(dataset.train.labels)) * (units * _NUMBERS_PER_UNIT + inputs)
    validated = min(_ROWS_VALIDATED_AT_ONCE, len(dataset.validation.labels)) * (units + inputs)
    numbers = parameters * _COPIES_OF_WEIGHTS + max(trained, validated)
    return int(psutil.Process().memory_info().rss + numbers * _FLOAT_BYTES)


def _errors(parts: Sequence[PartReport], is_regression: bool) -> Iterator[str]:
    for part, fewest in zip(parts, (FEWEST_TRAINING_SAMPLES, *[FEWEST_VALIDATION_SAMPLES] * 2), strict=False):
        if part.samples < fewest:
            yield f"there are {part.samples} {_adjective(part)} samples; nothing can be told from fewer than {fewest}"
        elif not is_regression and (only := _only_class(part)):
            yield f"all {part.samples} {_adjective(part)} samples are of the class {only!r}"


def _warnings(
    strategy: Strategy, parts: Sequence[PartReport], parameters: int, memory: int, available: int
) -> Iterator[str]:
    train, *judging = parts
    if parameters > PARAMETERS_PER_SAMPLE * train.samples:
        yield (
            f"the model has {parameters:,} parameters for {train.samples:,} training samples, "
            f"{parameters / train.samples:,.0f} for each: it can learn them by heart"
        )
    for part in judging:
        if part.samples < THIN_VALIDATION_SAMPLES:
            yield (
                f"{part.samples} {_adjective(part)} samples tell an accuracy from that of a baseline only when the two "
                f"lie {100 * part.resolution:.0f} percentage points apart"
            )
    if not strategy.is_regression:
        for part in parts:
            yield from (
                f"the class {name!r} has {100 * share:.1f} % of the {_adjective(part)} samples"
                for name, share in part.shares.items()
                if share < THIN_CLASS_SHARE
            )
    if memory > available:
        yield f"about {memory / 1e9:.1f} GB of memory are needed, and {available / 1e9:.1f} GB are free"


def _adjective(part: PartReport) -> str:
    return "training" if part.part == "train" else part.part


def _only_class(part: PartReport) -> str | None:
    present = [name for name, share in part.shares.items() if share]
    return present[0] if len(present) == 1 else None
