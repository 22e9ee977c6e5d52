"""Compares one dataset with its bars, from the split to the labels, and yields every leak."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.features.labels.label import Measure
from ktrdr.features.leaks import cut_points, label_correlation
from ktrdr.features.leaks.counters import Tally
from ktrdr.features.leaks.early_bars import early_leaks
from ktrdr.features.leaks.early_series import early_series_leaks
from ktrdr.features.leaks.histories import History
from ktrdr.features.leaks.label_checks import Outcomes
from ktrdr.features.leaks.label_correlation import Targets
from ktrdr.features.leaks.leak import MEANING, Kind, Leak, instant_text
from ktrdr.features.leaks.split_checks import Samples, scaler_leaks, split_leaks, target_leaks, value_leaks, window_rows
from ktrdr.features.leaks.truncation import Truncation
from ktrdr.features.stretches import Divider

if TYPE_CHECKING:
    from ktrdr.features.assemble import Fit
    from ktrdr.features.columns import Build, Columns
    from ktrdr.features.dataset import Dataset
    from ktrdr.features.labels.label import Measured
    from ktrdr.market.symbol_bars import SymbolBars
    from ktrdr.strategy.spec import Strategy

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Effort:
    """Limits of an inspection: instants and labels for each inspected symbol, and symbols."""

    instants: int
    labels: int
    symbols: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """One dataset, and the functions that made it from its bars.

    build, fit, measure: compute features, fit the scaler, measure labels
    goes_on: called before each instant; False stops the inspection
    done: symbols whose features an earlier inspection has covered, so that one instant is enough
    """

    strategy: Strategy
    bars: Mapping[str, SymbolBars]
    dataset: Dataset
    build: Build
    fit: Fit
    measure: Measure
    effort: Effort
    tally: Tally = field(default_factory=Tally)
    goes_on: Callable[[], bool] = lambda: True
    done: Collection[str] = ()

    def leaks(self) -> Iterator[Leak]:
        """All leaks: of the split, of each symbol's features, labels and values, and of scaling and classes."""
        dataset, training_rows, ends = self.dataset, [], []
        histories = [History.of(self.strategy, self.bars[symbol]) for symbol in dataset.symbols]
        for number in range(len(histories)):
            yield from split_leaks(self.strategy, dataset, histories, number)
            yield from early_leaks(histories[number], dataset.symbols[number])
            yield from early_series_leaks(histories[number], dataset.symbols[number])
        inspected = self._inspected(histories)
        for number, history in enumerate(histories):
            one = _Symbol(self, number, history)
            known = one.truncation.build_columns(history.until(one.end))
            yield from one.leaks(known) if number in inspected else one.training_value_leaks(known)
            training_rows.append(known.values.T[:, one.held[: one.end + 1]])
            ends.append(history.closed_at(one.end))
        if self.goes_on():
            self._count(histories, len(inspected))
            again = self.fit(self.strategy.features.scaling, np.concatenate(training_rows, axis=1).T)
            yield from scaler_leaks(dataset, again, instant_text(max(ends)))
            yield from target_leaks(self.strategy, dataset, instant_text(max(ends)))

    def _inspected(self, histories: list[History]) -> set[int]:
        """The numbers of the inspected symbols: all, or an even choice of as many as the effort allows."""
        return set(np.linspace(0, len(histories) - 1, min(self.effort.symbols, len(histories))).astype(int).tolist())

    def _count(self, histories: list[History], inspected: int) -> None:
        parts = (self.dataset.train, self.dataset.validation, self.dataset.test)
        self.tally.symbols, self.tally.inspected_symbols = len(histories), inspected
        self.tally.bars = sum(history.rows for history in histories)
        self.tally.columns = len(self.dataset.feature_names)
        self.tally.samples += sum(len(part.rows) for part in parts if part is not None)
        self.tally.scalers += 1


class _Symbol:
    """One symbol of an inspection."""

    def __init__(self, inspection: Inspection, number: int, history: History) -> None:
        self.all, self.number, self.history = inspection, number, history
        self.symbol = inspection.dataset.symbols[number]
        self.train = Samples.of("training", inspection.dataset.train, number)
        self.end = int(self.train.settled.max())
        divider = Divider.of(inspection.strategy, self.symbol, inspection.bars[self.symbol])
        build, self.measure = divider.features(inspection.build), divider.labels(inspection.measure)
        self.truncation = Truncation(
            inspection.strategy, self.symbol, build, inspection.tally, inspection.goes_on, self._knows_label
        )

    @cached_property
    def held(self) -> NDArray[np.bool_]:
        return window_rows(self.train, self.all.dataset.sequence_length, self.history.rows)

    def leaks(self, known: Columns) -> Iterator[Leak]:
        """`known` holds the features up to the bar that settles the last training label."""
        whole = self.truncation.build_columns(self.history.bars)
        yield from self.truncation.leaks_at(self.history, whole, self.end, known)
        yield from self.truncation.leaks(self.history, whole, self._instants(whole))
        yield from self._label_leaks()
        yield from self._control_leaks()
        kept = np.arange(self.history.rows) >= self.all.dataset.coverage[self.number].warmup_rows
        yield from value_leaks(self.all.dataset, self.number, self.history, whole.values, kept)

    def training_value_leaks(self, known: Columns) -> Iterator[Leak]:
        yield from value_leaks(self.all.dataset, self.number, self.history, known.values, self.held[: self.end + 1])

    def _instants(self, whole: Columns) -> Rows:
        validation = Samples.of("validation", self.all.dataset.validation, self.number).rows
        first = int(validation.min()) if len(validation) else self.end
        count = 1 if self.symbol in self.all.done else self.all.effort.instants
        chosen = cut_points.instants(self.history, whole, (self.end - 1, first, first - 1), count)
        return np.asarray(chosen[chosen != self.end])

    # Labels.

    def _label_leaks(self) -> Iterator[Leak]:
        outcomes = Outcomes(self.all.strategy.labels, self.symbol, self.measure, self.all.tally)
        train = self.all.dataset.train
        measures = train.measures[train.of_symbol(self.number)]
        yield from outcomes.leaks_at_end(self.history, self.train.rows, self.train.settled, measures)
        yield from outcomes.leaks(self.history, self._labelled())

    def _labelled(self) -> Rows:
        """The last bars of evenly chosen samples of all parts, and of those next to the borders."""
        parts = (self.all.dataset.train, self.all.dataset.validation, self.all.dataset.test)
        rows = [part.rows[part.of_symbol(self.number)] for part in parts if part is not None]
        at_borders = np.concatenate([each[[0, -1]] for each in rows if len(each)])
        every = np.concatenate(rows)
        evenly = every[np.linspace(0, len(every) - 1, min(len(every), self.all.effort.labels)).astype(int)]
        return np.unique(np.concatenate((at_borders, evenly)))

    # Controls.

    def _control_leaks(self) -> Iterator[Leak]:
        targets, tally = self._targets, self.all.tally
        if not targets.is_enough:
            return
        tally.control_samples += len(targets.rows)
        random, horizon = cut_points.generator(self.history), self.all.strategy.labels.horizon
        names = self.all.dataset.feature_names
        by_chance = label_correlation.scores(self._values(0), label_correlation.shuffled(targets, horizon, random))
        for lag, found in enumerate(self._scores):
            tally.note_control(found, names, float(by_chance.max()))
            for place in np.flatnonzero(found >= label_correlation.LEAK_SCORE):
                if (
                    by_chance[place] >= label_correlation.MAX_CHANCE_SCORE
                    or self._own_past >= label_correlation.MAX_CHANCE_SCORE
                ):
                    tally.void_controls.add(f"{names[place]} of {self.symbol}")
                else:
                    yield self._control_leak(int(place), lag, float(found[place]), float(by_chance[place]))

    def _knows_label(self, name: str) -> bool:
        names = self.all.dataset.feature_names
        if name not in names or not self._targets.is_enough or self._own_past >= label_correlation.MAX_CHANCE_SCORE:
            return False
        return bool(max(found[names.index(name)] for found in self._scores) >= label_correlation.LEAK_SCORE)

    @cached_property
    def _targets(self) -> Targets:
        part = self.all.dataset.train
        own = part.of_symbol(self.number)
        return Targets.of(self.train, part.measures[own], part.labels[own], self.all.dataset.is_regression)

    @cached_property
    def _scores(self) -> list[NDArray[np.float64]]:
        """[features] for each lag: scores of the scaled features of a window's last bar and the bars before it."""
        lags = range(min(label_correlation.LAGS, self.all.dataset.sequence_length))
        return [label_correlation.scores(self._values(lag), self._targets) for lag in lags]

    def _values(self, lag: int) -> NDArray[np.float64]:
        part = self.all.dataset.train
        place = part.of_symbol(self.number).start
        ends = self._targets.rows + (part.ends[place] - part.rows[place])
        return np.asarray(self.all.dataset.values[ends - lag], np.float64)

    @cached_property
    def _own_past(self) -> float:
        return label_correlation.own_past(self._measured, self._targets)

    @cached_property
    def _measured(self) -> Measured:
        return self.measure(self.all.strategy.labels, self.history.frames[self.history.base])

    def _control_leak(self, place: int, lag: int, score: float, by_chance: float) -> Leak:
        name, row = self.all.dataset.feature_names[place], int(self._targets.rows[0])
        pair = float(self._values(lag)[0, place]), float(self._targets.measures[0])
        instant = instant_text(self.history.closed_at(row))
        bar = "" if not lag else f" {lag} bars before"
        detail = (
            f"feature {name} of {self.symbol}{bar} predicts the label: it scores {score:.3g} of 1 in "
            f"{len(self._targets.rows):,} training samples, {by_chance:.2g} when they are shuffled. "
            f"At {instant} it is {pair[0]:.6g}, scaled, and the label is made from {pair[1]:.6g}: "
            f"{MEANING[Kind.LABEL_IN_FEATURES]}."
        )
        return Leak.of(Kind.LABEL_IN_FEATURES, self.symbol, name, instant, pair, detail)
