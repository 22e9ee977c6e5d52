"""What became of a follow's predictions: outcomes from the stored bars, the sequential test, and the look."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation.baselines import Guess
from ktrdr.evaluation.evaluate import evaluate_rows
from ktrdr.evaluation.evaluated_rows import EvaluatedRows
from ktrdr.evaluation.forward import ForwardRows, forward_test
from ktrdr.evaluation.rivals import Rivals
from ktrdr.experiments.looks import measure
from ktrdr.features.labels.types import label_of
from ktrdr.features.stretches import Divider, opens_of
from ktrdr.follows.chain import read_chain
from ktrdr.follows.followed_model import MAJORITY, FollowedModel
from ktrdr.follows.sources import StoredSource
from ktrdr.ledger.footprint import Footprint, Track
from ktrdr.ledger.recorder import LookRequest
from ktrdr.ledger.series import LookSeries
from ktrdr.ledger.store import Ledger
from ktrdr.market.closings import closes_at
from ktrdr.market.sessions import instant
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.payloads.evaluation import OTHER
from ktrdr.payloads.follows import GENESIS, FollowedPrediction, FollowReport, ModelRow, PredictionRow
from ktrdr.payloads.looks import LookKind
from ktrdr.saved_models.predict import closed_bars

Instants = NDArray[np.datetime64]

_UNSETTLED = np.datetime64("NaT", "us")


@dataclass(frozen=True, slots=True, eq=False)
class _Outcomes:
    """The predictions of a follow with what became of them. Arrays are [rows].

    values: class indices, or targets in training deviations; of no matter where nothing is settled
    settled_at: closing instants of the bars that settle the labels; NaT where these have not closed
    spans: bars between
    """

    rows: Sequence[PredictionRow]
    values: NDArray[Any]
    settled_at: Instants
    spans: NDArray[np.int64]

    @classmethod
    def of(cls, model: FollowedModel, source: StoredSource, rows: Sequence[PredictionRow], now: datetime) -> _Outcomes:
        """By the bars that are stored now. Raises SeriesNotFound."""
        dtype = np.int64 if model.trained.class_names else np.float64
        found = cls(rows, np.zeros(len(rows), dtype), np.full(len(rows), _UNSETTLED), np.zeros(len(rows), np.int64))
        symbols = np.array([row.symbol for row in rows])
        for symbol in np.unique(symbols).tolist():
            bars = closed_bars(model.strategy, source.read(symbol).bars, now)
            found._settle(model, symbol, bars, np.flatnonzero(symbols == symbol))
        return found

    def _settle(self, model: FollowedModel, symbol: str, bars: SymbolBars, own: NDArray[np.int64]) -> None:
        """Fill in the rows `own` of one symbol."""
        strategy, base = model.strategy, model.strategy.timeframes[0]
        frame = bars[base]
        measured = Divider.of(strategy, symbol, bars).labels(label_of(strategy.labels).measure)(strategy.labels, frame)
        opens = np.array([self.rows[place].opens_at.replace(tzinfo=None) for place in own], "datetime64[us]")
        stamps = opens_of(frame)
        places = np.minimum(np.searchsorted(stamps, opens), len(stamps) - 1)
        known = (stamps[places] == opens) & (measured.settled[places] >= 0)
        places, own = places[known], own[known]
        settled = measured.settled[places]
        self.values[own] = model.label_values(measured.values[places])
        self.settled_at[own] = closes_at(frame, base, strategy.calendar)[settled]
        self.spans[own] = settled - places

    def take(self, places: NDArray[np.int64]) -> _Outcomes:
        rows = [self.rows[place] for place in places]
        return _Outcomes(rows, self.values[places], self.settled_at[places], self.spans[places])

    @property
    def made_at(self) -> Instants:
        return np.array([row.closes_at.replace(tzinfo=None) for row in self.rows], "datetime64[us]")

    @property
    def symbols(self) -> NDArray[np.str_]:
        return np.array([row.symbol for row in self.rows], np.str_)


def report(folder: Path, model: FollowedModel, source: StoredSource, ledger: Ledger) -> FollowReport:
    """The follow in `folder` with its outcomes, which are a look; it is recorded before it is returned.

    Raises StorageError where the chain is broken or the look cannot be recorded, and SeriesNotFound.
    """
    stored = list(read_chain(folder))
    rows = [each.row for each in stored if isinstance(each.row, PredictionRow)]
    models = [each.row for each in stored if isinstance(each.row, ModelRow)]
    outcomes = _Outcomes.of(model, source, rows, datetime.now(UTC))
    settled = outcomes.take(np.flatnonzero(~np.isnat(outcomes.settled_at)))
    if len(settled.rows):
        _record_look(ledger, model, settled)
    in_time = outcomes.take(np.flatnonzero([not row.late for row in rows]))
    return FollowReport(
        model=model.model_id,
        timeframe=model.strategy.timeframes[0],
        is_replay=any(row.is_replay for row in models),
        head=stored[-1].sha256 if stored else GENESIS,
        predictions=tuple(_shown(model, outcomes)),
        test=forward_test(_forward_rows(model, in_time)),
    )


def _shown(model: FollowedModel, outcomes: _Outcomes) -> Iterator[FollowedPrediction]:
    names, scale = model.trained.class_names, model.trained.target_scale
    for row, value, settled_at in zip(outcomes.rows, outcomes.values.tolist(), outcomes.settled_at, strict=True):
        is_settled = not np.isnat(settled_at)
        yield FollowedPrediction(
            symbol=row.symbol,
            closes_at=row.closes_at,
            close=row.close,
            predicted=row.predicted if names else float.fromhex(row.predicted),
            outcome=(names[value] if names else value * scale) if is_settled else None,
            settled_at=instant(settled_at) if is_settled else None,
            late=row.late,
        )


def _forward_rows(model: FollowedModel, outcomes: _Outcomes) -> ForwardRows:
    return ForwardRows(
        made_at=outcomes.made_at,
        settled_at=outcomes.settled_at,
        symbols=np.unique(outcomes.symbols, return_inverse=True)[1].astype(np.int64),
        labels=outcomes.values,
        model=_predicted(model, outcomes.rows),
        naive=_naive(model, outcomes.rows),
        horizon=model.strategy.labels.horizon,
        is_regression=not model.trained.class_names,
    )


def _predicted(model: FollowedModel, rows: Sequence[PredictionRow]) -> NDArray[Any]:
    """Class indices, or numbers in training deviations."""
    if model.trained.class_names:
        return np.array([model.parse(row.predicted) for row in rows], np.int64)
    return np.array([float.fromhex(row.outputs[0]) for row in rows], np.float64)


def _naive(model: FollowedModel, rows: Sequence[PredictionRow]) -> Mapping[str, NDArray[Any]]:
    names = rows[0].baselines if rows else ()
    dtype = np.int64 if model.trained.class_names else np.float64
    return {name: np.array([model.parse(row.baselines[name]) for row in rows], dtype) for name in names}


def _record_look(ledger: Ledger, model: FollowedModel, settled: _Outcomes) -> None:
    """Another look of the training's own try, unless as many rows of it were looked at before."""
    earlier = [look for look in ledger.looks([model.model_id]) if look.kind is LookKind.FOLLOW]
    if earlier and earlier[-1].samples == len(settled.rows):
        return
    strategy, made_at, symbols = model.strategy, settled.made_at, settled.symbols
    base, closes = strategy.timeframes[0], np.array([row.close for row in settled.rows])
    names = np.unique(symbols)
    tracks = [Track.of(base, made_at[symbols == name], closes[symbols == name]) for name in names]
    look_id = ledger.open_look(
        LookRequest(
            operation_id=model.model_id,
            kind=LookKind.FOLLOW,
            part=OTHER,
            strategy_name=model.strategy_name,
            inputs_sha256=model.fingerprint,
            label=strategy.labels.type,
            timeframe=base,
            symbols=tuple(names.tolist()),
            samples=len(settled.rows),
            footprint=Footprint(tuple(tracks)),
        )
    )
    rows = _evaluated(model, settled)
    ledger.close_look(look_id, measure(evaluate_rows(rows), None), LookSeries.of(rows, made_at))


def _evaluated(model: FollowedModel, settled: _Outcomes) -> EvaluatedRows:
    rows, names, count = settled.rows, model.trained.class_names, len(settled.rows)
    shares = model.constant.probabilities
    naive = {
        name: Guess(said, np.tile(shares, (count, 1)) if shares is not None and name == MAJORITY else None)
        for name, said in _naive(model, rows).items()
    }
    probabilities = np.array([[float.fromhex(row.probabilities[name]) for name in names] for row in rows])
    return EvaluatedRows(
        part=OTHER,
        class_names=names,
        timestamps=np.array([row.opens_at.replace(tzinfo=None) for row in rows], "datetime64[us]"),
        symbols=settled.symbols,
        spans=settled.spans,
        labels=settled.values,
        scales=np.full(count, model.trained.target_scale),
        folds=np.zeros(count, np.int64),
        look_back=np.full(count, model.trained.sequence_length),
        model=Guess(_predicted(model, rows), probabilities if names else None),
        rivals=Rivals(naive),
    )
