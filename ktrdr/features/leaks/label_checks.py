"""Checks that each label is known at the close of the bar that settles it, and not a bar earlier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.features.labels.label import Measure, Measured
from ktrdr.features.leaks.histories import History
from ktrdr.features.leaks.leak import Kind, Leak, instant_text, shown
from ktrdr.features.leaks.truncation import WHOLE_ROWS, differing

if TYPE_CHECKING:
    from ktrdr.features.leaks.counters import Tally

Rows = NDArray[np.int64]
Values = NDArray[np.float64]

_MEMORY = 2048


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Measures one symbol's labels again, by the function of its training."""

    spec: Any
    symbol: str
    measure: Measure
    tally: Tally

    def leaks_at_end(self, history: History, rows: Rows, settled: Rows, measures: Values) -> Iterator[Leak]:
        """Training labels that differ when the bars end where the last training label is settled."""
        end = int(settled.max())
        known = self._until(history, end)
        self.tally.labels += len(rows)
        wrong = differing(known.values[rows], measures)
        if not len(wrong):
            wrong = np.flatnonzero(known.settled[rows] != settled)
        if len(wrong):
            place = int(wrong[0])
            pair = float(measures[place]), float(known.values[rows[place]])
            yield self._leak(
                history, int(rows[place]), int(settled[place]), pair, f"known at the close of {end + 1} bars"
            )

    def leaks(self, history: History, rows: Rows) -> Iterator[Leak]:
        """Labels of `rows` that differ or are unknown at the close of their settling bar, or are known before it."""
        for row in rows.tolist():
            first = 0 if row < WHOLE_ROWS else row - _MEMORY
            bars = History({history.base: history.frames[history.base][first:]}, history.base, {}, {})
            whole = self._until(bars, min(row - first + self.spec.horizon + 1, history.rows - first - 1))
            at, settled = row - first, int(whole.settled[row - first])
            if settled < 0:
                continue
            self.tally.labels += 1
            closed, before = self._until(bars, settled), self._until(bars, settled - 1)
            pair = float(whole.values[at]), float(closed.values[at])
            if not (at < settled <= at + self.spec.horizon) or differing(*(np.array([each]) for each in pair)).size:
                yield self._leak(history, row, settled + first, pair, "known then")
            if before.settled[at] >= 0 or not np.isnan(before.values[at]):
                yield self._leak(
                    history, row, settled + first, (pair[0], float(before.values[at])), "known a bar before"
                )

    def _until(self, history: History, row: int) -> Measured:
        return self.measure(self.spec, history.frames[history.base].head(row + 1))

    def _leak(self, history: History, row: int, settled: int, pair: tuple[float, float], known: str) -> Leak:
        instant, settling = (instant_text(history.closed_at(each)) for each in (row, settled))
        one, other = shown(*pair)
        detail = (
            f"the label of {self.symbol} at {instant}, to be settled by the bar that closes at {settling}, is "
            f"made from {one} with the whole history and from {other} with what was {known}."
        )
        return Leak.of(Kind.LABEL, self.symbol, self.spec.type, instant, pair, detail)
