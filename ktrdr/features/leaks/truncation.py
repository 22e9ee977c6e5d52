"""Computes features again from truncated histories, and classifies differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.features.leaks.histories import History
from ktrdr.features.leaks.leak import MEANING, Kind, Leak, instant_text, shown

if TYPE_CHECKING:
    from ktrdr.features.columns import Build, Columns
    from ktrdr.features.leaks.counters import Tally
    from ktrdr.market.symbol_bars import SymbolBars
    from ktrdr.strategy.spec import Strategy

Rows = NDArray[np.int64]
Values = NDArray[np.float64]

# Below this row the whole history is truncated; from it on a stretch, so that the cost stays constant.
WHOLE_ROWS = 8192
AHEAD, MEMORY = 256, 1024
# From so many differing rows on, if they are half of all, the cause is not the edge of a window.
STATISTICS_ROWS = 64


@dataclass(frozen=True, slots=True)
class Truncation:
    """Computes one symbol's features again, by the function of its training."""

    strategy: Strategy
    symbol: str
    build: Build
    tally: Tally
    goes_on: Callable[[], bool]
    knows_label: Callable[[str], bool]

    def leaks(self, history: History, whole: Columns, rows: Rows) -> Iterator[Leak]:
        """The leaks that histories show which end at the closes of `rows`, in order."""
        near = rows[rows < WHOLE_ROWS]
        for row in near:
            if not self.goes_on():
                return
            yield from self.leaks_at(history, whole, int(row))
        yield from self._leaks_in_stretches(history, whole, rows[len(near) :])

    def leaks_at(self, history: History, whole: Columns, row: int, known: Columns | None = None) -> Iterator[Leak]:
        """Each column's leak, if any, at the close of bar `row`. `known` may hold the features that were known then."""
        self.tally.instants += 1
        closed = known or self.build_columns(history.until(row))
        bars = history.until_with_open_bars(row)
        opened = self.build_columns(bars) if bars else None
        self.tally.open_bars += bars is not None
        for place, name in enumerate(whole.names):
            found = self._difference(whole, closed, opened, place, row)
            if found is not None:
                yield self._leak(history, whole, found, name, place, row)

    def build_columns(self, bars: SymbolBars) -> Columns:
        self.tally.histories += 1
        return self.build(self.strategy, bars)

    def _leaks_in_stretches(self, history: History, whole: Columns, rows: Rows) -> Iterator[Leak]:
        memory, last = MEMORY, history.rows - 1
        while len(rows) and self.goes_on():
            first = max(0, int(rows[0]) - memory)
            end = min(int(rows[0]) + 2 * AHEAD, last)
            stretch = history.stretch(first, end, memory, AHEAD)
            made = self.build_columns(stretch.bars)
            if first and _is_colder(made.values[rows[0] - first], whole.values[rows[0]]):
                memory *= 2
                continue
            near = rows[rows <= rows[0] + AHEAD]
            for row in near - first:
                yield from self.leaks_at(stretch, made, int(row))
            rows = rows[len(near) :]

    def _difference(
        self, whole: Columns, closed: Columns, opened: Columns | None, place: int, row: int
    ) -> _Difference | None:
        full = whole.values[: row + 1, place]
        known = closed.values[:, place]
        with_open = known if opened is None else opened.values[:, place]
        self.tally.rows_compared += len(full) * (1 if opened is None else 2)
        if len(known) != len(full) or len(with_open) != len(full):
            raise ValueError(f"{row + 1} bars make {len(known)} rows of features")
        if is_same(full, known) and is_same(full, with_open):
            return None
        return _Difference(full, known if not is_same(full, known) else with_open, differing(known, with_open))

    def _leak(self, history: History, whole: Columns, found: _Difference, name: str, place: int, row: int) -> Leak:
        rows = differing(found.whole, found.known)
        at = int(rows[-1])
        kind = self._kind_of_series(history, found, place, row) or self._kind(
            history, whole.values[:, place], found, name, row
        )
        values = float(found.whole[at]), float(found.known[at])
        one, other = shown(*values)
        then = "then" if at == row else f"at {instant_text(history.closed_at(row))}"
        instant = instant_text(history.closed_at(at))
        detail = (
            f"feature {name} of {self.symbol} at {instant} is {one} with the whole history and {other} with what was "
            f"known {then}: {MEANING[kind]}."
        )
        return Leak.of(kind, self.symbol, name, instant, values, detail)

    def _kind_of_series(self, history: History, found: _Difference, place: int, row: int) -> Kind | None:
        """The kind where other series alone make the difference: with all that they hold, it is gone."""
        if not history.series:
            return None
        for series, kind in (
            (history.series.with_bars_known_at(history.closed_at(row)), Kind.UNRELEASED_ROW),
            (history.series, Kind.OTHER_SYMBOL),
        ):
            known = self.build_columns(history.until(row, series)).values[:, place]
            if is_same(found.whole, known):
                return kind
        return None

    def _kind(self, history: History, column: Values, found: _Difference, name: str, row: int) -> Kind:
        rows = differing(found.whole, found.known)
        if self.knows_label(name):
            return Kind.LABEL_IN_FEATURES
        if len(rows) >= max(STATISTICS_ROWS, np.isfinite(found.whole).sum() / 2):
            return Kind.WHOLE_HISTORY
        since = [first for each in history.others if (first := history.opened_since(each, row)) is not None]
        if len(found.by_open_bars) and rows[0] >= min(since):
            return Kind.OPEN_BAR
        if is_same(column[rows], np.full(len(rows), column[row + 1])):
            return Kind.BACK_FILL
        return Kind.LOOK_AHEAD


@dataclass(frozen=True, slots=True)
class _Difference:
    """A column that differs.

    whole: [rows], values with the whole history, up to a bar
    known: [rows], values with the bars known then
    by_open_bars: rows that change when open bars are added
    """

    whole: Values
    known: Values
    by_open_bars: Rows


def is_same(one: Values, other: Values) -> bool:
    """Whether both are equal bit for bit; all NaNs are equal."""
    return np.array_equal(one.view(np.int64), other.view(np.int64)) or not len(differing(one, other))


def differing(one: Values, other: Values) -> Rows:
    differs = (one.view(np.int64) != other.view(np.int64)) & ~(np.isnan(one) & np.isnan(other))
    return np.flatnonzero(differs).astype(np.int64)


def _is_colder(stretch: Values, whole: Values) -> bool:
    """Whether a stretch is shorter than the warm-up of the longest indicator."""
    return bool((np.isnan(stretch) & ~np.isnan(whole)).any())
