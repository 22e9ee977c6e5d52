"""The look at rows whose outcome is known already when a model predicts them outside of its training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ktrdr.features.labels.types import label_of
from ktrdr.features.stretches import Divider
from ktrdr.ledger.footprint import Footprint, Track
from ktrdr.ledger.recorder import LookRecorder, LookRequest
from ktrdr.market.closings import closes_at
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.payloads.looks import LookFigures, LookKind
from ktrdr.payloads.predictions import PredictionResults
from ktrdr.saved_models.predict import closed_bars
from ktrdr.saved_models.trained_model import TrainedModel
from ktrdr.training.fingerprint import read_fingerprint

if TYPE_CHECKING:
    from ktrdr.strategy.spec import Strategy


def record_prediction(
    recorder: LookRecorder,
    operation_id: str,
    model: TrainedModel,
    folder: Path,
    bars: SymbolBars,
    results: PredictionResults,
) -> None:
    """Record the predicted rows that have an outcome and are not of the training part; `folder` holds the model.

    Whoever reads them sees how good the model is, and nobody knows what was made of it: the look has no figures. It is
    another look of the same try, so on rows that the training evaluated it adds none. Raises StorageError.
    """
    strategy, symbol = model.strategy, results.symbol
    track = _evaluated(strategy, symbol, closed_bars(strategy, bars), results)
    if track is None:
        return
    look_id = recorder.open_look(
        LookRequest(
            operation_id=operation_id,
            kind=LookKind.PREDICTION,
            part="other",
            strategy_name=strategy.slug,
            inputs_sha256=read_fingerprint(folder).inputs_sha256,
            label=strategy.labels.type,
            timeframe=strategy.timeframes[0],
            symbols=(symbol,),
            samples=len(track.instants),
            footprint=Footprint((track,)),
        )
    )
    recorder.close_look(look_id, LookFigures(), None)


def _evaluated(strategy: Strategy, symbol: str, bars: SymbolBars, results: PredictionResults) -> Track | None:
    """The bars of predictions outside the training part whose labels are settled; None where there are none."""
    base = strategy.timeframes[0]
    frame = bars[base]
    measured = Divider.of(strategy, symbol, bars).labels(label_of(strategy.labels).measure)(strategy.labels, frame)
    openings = [each.timestamp.replace(tzinfo=None) for each in results.predictions if each.part != "train"]
    predicted = np.isin(frame["timestamp"].to_numpy(), np.array(openings, "datetime64[us]"))
    rows = np.flatnonzero(predicted & (measured.settled >= 0))
    if not len(rows):
        return None
    return Track.of(base, closes_at(frame, base, strategy.calendar)[rows], frame["close"].to_numpy()[rows])
