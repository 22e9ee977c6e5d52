"""The folds of one training as one series of predictions: its evaluation and its backtest, in order of time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ktrdr.errors import InputError, KtrdrError, StorageError
from ktrdr.evaluation.backtest import Backtest, trade_signals
from ktrdr.evaluation.evaluate import Standard, evaluate_rows
from ktrdr.evaluation.evaluated_rows import EvaluatedRows, join_folds
from ktrdr.evaluation.signals import find_signals
from ktrdr.experiments.looks import OpenLook, open_whole
from ktrdr.ledger.recorder import LookRecorder
from ktrdr.market.bars import fingerprint
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.payloads.backtest import BacktestResult
from ktrdr.payloads.evaluation import Evaluation
from ktrdr.saved_models.reproduce import bars_of
from ktrdr.saved_models.rows_file import read_rows
from ktrdr.training.files import CARD
from ktrdr.training.fingerprint import read_fingerprint

if TYPE_CHECKING:
    from datetime import date, datetime

    import polars as pl

    from ktrdr.market.series_file import StoredBars
    from ktrdr.strategy.spec import Strategy

ReadBars = Callable[[str, str, "date | datetime | None", "date | datetime | None"], "StoredBars"]
"""(symbol, timeframe, first, last) -> stored bars."""


@dataclass(frozen=True, slots=True)
class JoinedFolds:
    """What all validation rows came to, each predicted by its own fold's model.

    evaluation, backtest: None where they cannot be made
    gap: why not; None where nothing is missing
    """

    evaluation: Evaluation | None
    backtest: BacktestResult | None
    gap: str | None = None


def join(
    folders: Sequence[Path],
    strategy: Strategy,
    read_bars: ReadBars,
    operation_id: str,
    looks: LookRecorder,
    *,
    is_trial: bool = False,
) -> JoinedFolds:
    """Join the folds whose models lie in `folders`; `operation_id` is that of the whole.

    `looks` records the look at all their rows. A trial has no verdict over all tries: its search has. Raises
    StorageError when the look cannot be recorded.
    """
    alone = Standard(is_trial=is_trial)
    try:
        found = [read_rows(folder, "validation") for folder in folders]
    except StorageError as error:
        return JoinedFolds(None, None, error.detail)
    parts = [rows for rows in found if rows is not None]
    if len(parts) < len(found):
        missing = ", ".join(str(number) for number, rows in enumerate(found, start=1) if rows is None)
        return JoinedFolds(None, None, f"no predictions are stored of fold {missing}, which an older version trained")
    rows = join_folds(parts)
    try:
        bars = _read_bars(rows, folders[-1], strategy, read_bars)
        signals = find_signals(rows, bars, strategy)
    except KtrdrError as error:
        return JoinedFolds(evaluate_rows(rows, alone), None, f"there is no joined backtest: {error.detail}")
    look = open_whole(looks, operation_id, strategy, read_fingerprint(folders[-1]), signals, bars)
    traded = trade_signals(signals, _traded(bars, strategy), strategy.costs, strategy.positions)
    return _evaluate(rows, traded, look, alone)


def _evaluate(rows: EvaluatedRows, traded: Backtest, look: OpenLook, alone: Standard) -> JoinedFolds:
    evaluation = evaluate_rows(rows, alone)
    look.close(rows, evaluation, traded)
    verdict = None if alone.is_trial else look.verdict()
    if verdict is None:
        return JoinedFolds(evaluation, traded.result)
    beside_all_tries = replace(alone, selection=verdict.selection)
    return JoinedFolds(evaluate_rows(rows, beside_all_tries), traded.beside(verdict.backtest).result)


def _traded(bars: Mapping[str, SymbolBars], strategy: Strategy) -> dict[str, pl.DataFrame]:
    return {symbol: own[strategy.timeframes[0]] for symbol, own in bars.items()}


def _read_bars(rows: EvaluatedRows, folder: Path, strategy: Strategy, read_bars: ReadBars) -> dict[str, SymbolBars]:
    """Raises InputError and SeriesNotFound when the stored bars are no longer those of the folds."""
    timeframe = strategy.timeframes[0]
    hashes = json.loads((folder / CARD).read_bytes())["data_sha256"]
    bars: dict[str, SymbolBars] = {}
    for symbol in map(str, np.unique(rows.symbols)):
        first, last = bars_of(folder, symbol, timeframe) or (None, None)
        bars[symbol] = SymbolBars.of({timeframe: read_bars(symbol, timeframe, first, last)})
        if fingerprint(bars[symbol][timeframe]) != hashes[symbol][timeframe]:
            raise InputError(f"the stored bars of {symbol} {timeframe} have changed since the folds were trained")
    return bars
