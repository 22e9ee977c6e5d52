"""Counts the work of an inspection, for its report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ktrdr.payloads.leaks import LabelControls, LeakChecks


@dataclass(slots=True)
class Tally:
    """Counters of an inspection.

    instants: instants at which histories were truncated
    open_bars: instants at which a longer bar was open
    histories: truncated histories from which features were computed again
    rows_compared: feature rows compared
    labels: labels measured again
    samples: samples checked against the borders
    scalers: scalers fitted again
    control_samples: samples in the correlation of features with the label
    strongest: largest score of a feature, and its name
    strongest_shuffled: largest score with shuffled labels
    void_controls: features for which the correlation proves nothing
    """

    symbols: int = 0
    inspected_symbols: int = 0
    bars: int = 0
    columns: int = 0
    instants: int = 0
    open_bars: int = 0
    histories: int = 0
    rows_compared: int = 0
    labels: int = 0
    samples: int = 0
    scalers: int = 0
    control_samples: int = 0
    strongest: tuple[float, str] | None = None
    strongest_shuffled: float = 0.0
    void_controls: set[str] = field(default_factory=set)

    def note_control(self, scores: np.ndarray[Any, Any], names: tuple[str, ...], shuffled: float) -> None:
        place = int(np.argmax(scores))
        if self.strongest is None or scores[place] > self.strongest[0]:
            self.strongest = float(scores[place]), names[place]
        self.strongest_shuffled = max(self.strongest_shuffled, shuffled)

    def to_checks(self) -> LeakChecks:
        controls = LabelControls(
            samples=self.control_samples,
            strongest_column=self.strongest[1] if self.strongest else None,
            strongest_score=round(self.strongest[0], 4) if self.strongest else None,
            strongest_score_shuffled=round(self.strongest_shuffled, 4) if self.strongest else None,
            void=tuple(sorted(self.void_controls)),
        )
        return LeakChecks(
            symbols=self.symbols,
            inspected_symbols=self.inspected_symbols,
            bars=self.bars,
            columns=self.columns,
            instants=self.instants,
            instants_with_open_bars=self.open_bars,
            histories=self.histories,
            rows_compared=self.rows_compared,
            labels=self.labels,
            samples=self.samples,
            scalers=self.scalers,
            label_controls=controls,
        )
