"""Which bars a backtest predicts, and which of a training's models predicts each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import ConflictError, InputError
from ktrdr.experiments.remade_training import RemadeTraining
from ktrdr.features.panel import Panel, SymbolSeries
from ktrdr.features.stretches import opens_of
from ktrdr.formatting import counted
from ktrdr.ledger.footprint import Track
from ktrdr.ledger.overlap import tracks_overlap
from ktrdr.market.closings import closes_at
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.saved_models.trained_on import PartRange
from ktrdr.saved_models.unsealed import read_unsealing

if TYPE_CHECKING:
    from ktrdr.features.dataset import Part
    from ktrdr.strategy.spec import Strategy

Instants = NDArray[np.datetime64]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True, slots=True)
class BacktestRows:
    """The bars that are predicted, symbol by symbol in the order of the panel. Arrays are [samples].

    series: index of the symbol in the panel
    rows: last bar of the window, as a row of the symbol's own bars
    folds: index of the model that predicts it
    is_trained: whether every model was trained on it
    is_selected: whether it is of the validation part of the model that predicts it
    sealed: how many were left out, as they are in a sealed test part
    """

    series: Rows
    rows: Rows
    folds: Rows
    is_trained: Mask
    is_selected: Mask
    sealed: int

    def of_fold(self, fold: int, panel: Panel) -> list[Rows]:
        """The rows that a model predicts, one array for each series."""
        own = self.folds == fold
        return [self.rows[own & (self.series == number)] for number in range(len(panel.series))]


def choose_rows(
    model: str,
    folds: Sequence[RemadeTraining],
    panel: Panel,
    bars: Mapping[str, SymbolBars],
    days: tuple[date | None, date | None],
    *,
    allows_overlap: bool,
) -> BacktestRows:
    """The samples of the panel that open within the days, both inclusive; `model` names the training of the folds.

    Without a first day they begin after the training's last sample. The last fold that was not trained on a bar
    predicts it. A symbol whose bars are those of a trained symbol counts as that one, whatever its name.

    Raises:
        InputError: a model was trained on some, or there are none.
        ConflictError: all of them are sealed.
    """
    found = [
        _of_series(folds, number, series, bars[series.symbol], *days) for number, series in enumerate(panel.series)
    ]
    rows = BacktestRows(
        series=np.concatenate([each.series for each in found]),
        rows=np.concatenate([each.rows for each in found]),
        folds=np.concatenate([each.folds for each in found]),
        is_trained=np.concatenate([each.is_trained for each in found]),
        is_selected=np.concatenate([each.is_selected for each in found]),
        sealed=sum(each.sealed for each in found),
    )
    if not len(rows.rows):
        raise _nothing_to_predict(model, folds, rows.sealed)
    if rows.is_trained.any() and not allows_overlap:
        raise _trained(model, panel, rows)
    return rows


def _trained(model: str, panel: Panel, rows: BacktestRows) -> InputError:
    trained = [
        panel.series[series].timeline.opens[row]
        for series, row in zip(rows.series[rows.is_trained], rows.rows[rows.is_trained], strict=True)
    ]
    return InputError(
        f"model {model} was trained on {len(trained):,} of these {counted(len(rows.rows), 'bar')}, "
        f"until {_day(max(trained))}, so what it says of them is no evidence",
        hint=f"begin with --from {_day(max(trained) + _DAY)} or later, or take them with --allow-overlap",
    )


def _nothing_to_predict(model: str, folds: Sequence[RemadeTraining], sealed: int) -> InputError | ConflictError:
    if sealed:
        return ConflictError(
            f"all {counted(sealed, 'bar')} are in the sealed test part of {model}",
            hint=f"open it first, which is counted: ktrdr models unseal {model}",
        )
    return InputError(
        "there is no bar in this range that has a whole window before it and a label that is settled",
        hint=f"load bars after {_after(folds)}, where the training ends, or name another range with --from and --to",
    )


def _after(folds: Sequence[RemadeTraining]) -> date:
    """The first day after all samples of the training."""
    return _day(_last_sample(folds) + _DAY)


def _day(instant: np.datetime64) -> date:
    day: date = instant.astype("datetime64[D]").item()
    return day


def _last_sample(folds: Sequence[RemadeTraining]) -> np.datetime64:
    return max(_naive(each.last) for fold in folds for each in fold.trained.trained_on.parts)


def _of_series(
    folds: Sequence[RemadeTraining],
    number: int,
    series: SymbolSeries,
    bars: SymbolBars,
    start: date | None,
    end: date | None,
) -> BacktestRows:
    rows, opens = series.timeline.rows, series.timeline.opens
    at = opens[rows]
    in_range = at >= np.datetime64(start) if start else at > _last_sample(folds)
    if end:
        in_range &= at < np.datetime64(end) + _DAY
    is_sealed = np.zeros(len(rows), bool)
    for fold in folds:
        if (sealed := fold.trained.trained_on.sealed) and not read_unsealing(fold.folder):
            is_sealed |= _within(sealed, at)
    kept = in_range & ~is_sealed
    rows, at = rows[kept], at[kept]
    trained, validation = _seen(folds, series.symbol, bars, at)
    # The last one that was not trained on the bar; the last of all where every one was.
    clean = ~trained
    last = len(folds) - 1 - clean[::-1].argmax(axis=0)
    return BacktestRows(
        series=np.full(len(rows), number, np.int64),
        rows=rows,
        folds=last.astype(np.int64),
        is_trained=np.asarray(trained.all(axis=0), bool),
        is_selected=validation[last, np.arange(len(rows))],
        sealed=int((in_range & is_sealed).sum()),
    )


def _seen(folds: Sequence[RemadeTraining], symbol: str, bars: SymbolBars, at: Instants) -> tuple[Mask, Mask]:
    """[folds, bars]: which bars that open `at` are of a model's training part, and which of its validation part."""
    trained, validation = np.zeros((2, len(folds), len(at)), bool)
    for number, fold in enumerate(folds):
        for name in _same_market(fold, symbol, bars):
            own = fold.dataset.symbols.index(name)
            other = _is_of(fold.dataset.test, own, at)
            validation[number] |= _is_of(fold.dataset.validation, own, at)
            trained[number] |= _is_trained(fold, own, at) & ~validation[number] & ~other
    return trained, validation


def _same_market(fold: RemadeTraining, symbol: str, bars: SymbolBars) -> list[str]:
    """The trained symbols whose bars are those of `symbol`: itself, or others under another name."""
    if symbol in fold.dataset.symbols:
        return [symbol]
    strategy = fold.trained.strategy
    own = _track(strategy, bars)
    return [name for name in fold.dataset.symbols if tracks_overlap(own, _track(strategy, fold.bars[name]))]


def _track(strategy: Strategy, bars: SymbolBars) -> Track:
    base = strategy.timeframes[0]
    frame = bars[base]
    return Track.of(base, closes_at(frame, base, strategy.calendar), frame["close"].to_numpy())


def _is_trained(fold: RemadeTraining, symbol: int, at: Instants) -> Mask:
    """From the first training sample to the close that settles the last label, so that no label is of both."""
    train, base = fold.dataset.train, fold.trained.strategy.timeframes[0]
    own = train.symbols == symbol
    if not own.any():
        return np.zeros(len(at), bool)
    opens = opens_of(fold.bars[fold.dataset.symbols[symbol]][base])
    return np.asarray((at >= train.timestamps[own].min()) & (at <= opens[train.settled[own].max()]), bool)


def _is_of(part: Part | None, symbol: int, at: Instants) -> Mask:
    if part is None:
        return np.zeros(len(at), bool)
    return np.isin(at, part.timestamps[part.symbols == symbol])


def _within(part: PartRange, at: Instants) -> Mask:
    return np.asarray((at >= _naive(part.first)) & (at <= _naive(part.last)), bool)


def _naive(instant: datetime) -> np.datetime64:
    return np.datetime64(instant.replace(tzinfo=None), "us")
