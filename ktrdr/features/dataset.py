"""What a model is trained and evaluated on: the scaled features of all bars, and the samples of each part."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ktrdr.features.labels.label import Cuts
from ktrdr.features.scaling import Scaler
from ktrdr.instants import format_instant
from ktrdr.market.other_series import SeriesKey, Shortfall
from ktrdr.market.trading_clock import Hole, TradingClock
from ktrdr.payloads.data import CalendarChoice
from ktrdr.payloads.evaluation import OTHER

Rows = NDArray[np.int64]
Values = NDArray[np.int64] | NDArray[np.float32]
PartName = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class Part:
    """The samples of one side of a split: sample i is the window `Dataset.values[ends[i] - L + 1 : ends[i] + 1]`.

    Every array is [samples], symbol by symbol in the order of `Dataset.symbols`:

    ends: last row of each window in `Dataset.values`
    labels: class indices (int64), or in a regression targets in units of `Dataset.target_scale` (float32)
    persistence: newest label that was settled when the window ended, in the same units
    timestamps: opening instants (us, UTC) of the windows' last bars
    symbols: index into `Dataset.symbols`
    rows: last bar of each window, as a row of the symbol's own bars
    settled: bar whose close settles the label, as a row of the symbol's own bars
    measures: value behind the label, before classes or scaling
    weights: sample weight in the loss; the mean is 1 over the training part
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

    def of_symbol(self, number: int) -> slice:
        """The samples of symbol `number`, which may be none."""
        begin, end = np.searchsorted(self.symbols, (number, number + 1))
        return slice(int(begin), int(end))


@dataclass(frozen=True, slots=True)
class SymbolCoverage:
    """How a fold uses the bars of one symbol.

    bars: of the base timeframe
    warmup_rows: leading bars without features
    train_samples, validation_samples, test_samples: samples in each part
    purged_samples: candidates between the fold's first and last sample that are in no part
    unlabelled_rows: bars without a label
    first, last: opening instants of the first and last bar
    border: opening instant of the last bar of the first validation sample; None without validation samples
    clock: the calendar of its bars
    holes: where bars are missing
    shortfalls: what other series lack for its bars
    late: other series that join its bars a bar late
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
    clock: TradingClock
    holes: tuple[Hole, ...] = ()
    shortfalls: tuple[Shortfall, ...] = ()
    late: tuple[SeriesKey, ...] = ()

    @property
    def calendar(self) -> CalendarChoice:
        return self.clock.calendar


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A symbol that is missing from a fold, or from some of its parts.

    parts: the parts without samples of this symbol
    first, last: opening instants of its first and last bar
    reason: a sentence with the numbers
    """

    symbol: str
    parts: tuple[PartName, ...]
    first: datetime
    last: datetime
    reason: str

    def to_dict(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "first": format_instant(self.first, "seconds"),
            "last": format_instant(self.last, "seconds"),
        }


@dataclass(frozen=True, slots=True)
class Dataset:
    """The samples of one training.

    values: [rows, features], scaled float32: each symbol's rows after its warm-up, one symbol after another
    feature_names: [features]
    class_names: [classes]; empty in a regression
    sequence_length: rows in one window
    train, validation: samples of the two parts
    test: None where the strategy has no test part
    scaler: scales raw features; fitted on the rows of training windows
    cuts: borders between classes; None in a regression
    target_scale: standard deviation of the training measures, the unit of a regression's targets; 1 with classes
    symbols: symbols that the model is trained on
    coverage: [symbols]
    left_out: symbols without samples in at least one part
    bridges_holes: whether features, labels and returns bridge holes
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
    bridges_holes: bool = False

    @property
    def is_regression(self) -> bool:
        return not self.class_names

    def name_of(self, part: Part) -> str:
        """`validation` or `test`; `other` for samples that are in no part of the training."""
        if part is self.test:
            return "test"
        return "validation" if part is self.validation else OTHER

    def rows_after_holes(self, symbol: int) -> Rows:
        """The first row after each hole in the bars of symbol number `symbol`; none where holes are bridged."""
        holes = () if self.bridges_holes else self.coverage[symbol].holes
        return np.array([hole.row for hole in holes], np.int64)

    @property
    def outputs(self) -> int:
        """Outputs of the model for each window: one for each class, or 1 in a regression."""
        return len(self.class_names) or 1
