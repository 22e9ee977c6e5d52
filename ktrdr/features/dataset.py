"""What a model is trained on and judged on: the scaled features of all bars, and the samples of each part."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ktrdr.features.labels.label import Cuts
from ktrdr.features.scaling import Scaler

Rows = NDArray[np.int64]
Values = NDArray[np.int64] | NDArray[np.float32]
PartName = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class Part:
    """The samples of one side of a split: sample i is the window `Dataset.values[ends[i] - L + 1 : ends[i] + 1]`.

    Every array is [samples]:

    ends: rows of `Dataset.values`, each the last of its window.
    labels: class indices (int64), or in a regression targets in units of `Dataset.target_scale` (float32).
    persistence: the newest label that was settled when the window ended, in the same units.
    timestamps: opening instants (us, UTC) of the windows' last bars.
    symbols: places in `Dataset.symbols`.
    rows: the windows' last bars, as rows of the symbol's own bars.
    settled: the bars whose close settles the label, as rows of the symbol's own bars.
    measures: what the label is made of, before classes or scaling.
    weights: of each sample in the loss; they average to 1 over the training part.
    """

    ends: Rows
    labels: Values
    persistence: Values
    timestamps: NDArray[np.datetime64]
    symbols: Rows
    rows: Rows
    settled: Rows
    measures: NDArray[np.float64]
    weights: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SymbolCoverage:
    """How the bars of one symbol are used.

    purged_samples: those between the fold's first and last sample that are in no part.
    first, last: opening instants of its bars.
    border: opening instant of the last bar of its first validation sample; None without validation samples.
    """

    symbol: str
    bars: int
    warmup_rows: int
    train_samples: int
    validation_samples: int
    test_samples: int
    purged_samples: int
    unlabelled_rows: int
    first: datetime
    last: datetime
    border: datetime | None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A symbol that has no part in a fold, or not in all of the fold's parts.

    parts: those that hold no sample of it.
    first, last: opening instants of its bars.
    reason: for people, with its numbers.
    """

    symbol: str
    parts: tuple[PartName, ...]
    first: datetime
    last: datetime
    reason: str

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "first": self.first.isoformat(), "last": self.last.isoformat()}


@dataclass(frozen=True, slots=True)
class Dataset:
    """The samples of one training.

    values: [rows, features], scaled; the rows of every symbol after its warm-up, one symbol after the other.
    feature_names: [features]
    class_names: [classes]; empty in a regression.
    sequence_length: rows in one window.
    test: None where the strategy sets no test part aside.
    cuts: where classes end; None in a regression.
    target_scale: unit of a regression's targets; 1 with classes.
    symbols: those that the model is trained on.
    coverage: [symbols]
    left_out: symbols without samples in some part or in all.
    """

    values: NDArray[np.float32]
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    sequence_length: int
    train: Part
    validation: Part
    test: Part | None
    scaler: Scaler
    cuts: Cuts | None
    target_scale: float
    symbols: tuple[str, ...]
    coverage: tuple[SymbolCoverage, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def is_regression(self) -> bool:
        return not self.class_names

    @property
    def outputs(self) -> int:
        """Numbers that a model gives for each window."""
        return len(self.class_names) or 1
