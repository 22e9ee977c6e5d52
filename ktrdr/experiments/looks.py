"""The looks of a training: recorded before its first figure is shown, closed before any figure is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ktrdr.evaluation.evaluated_rows import EvaluatedRows
from ktrdr.evaluation.significance import VALIDATION_LEVEL
from ktrdr.features.splits import fold_count
from ktrdr.ledger.footprint import EvaluatedBars
from ktrdr.ledger.recorder import LookRecorder, LookRequest
from ktrdr.ledger.series import LookSeries
from ktrdr.ledger.verdict import verdict_on
from ktrdr.payloads.evaluation import NAIVE, Evaluation, Regression
from ktrdr.payloads.looks import TIMING, LookFigures, LookKind
from ktrdr.payloads.selection import LookVerdict

if TYPE_CHECKING:
    from ktrdr.evaluation.backtest import Backtest
    from ktrdr.evaluation.signals import Signals
    from ktrdr.features.dataset import Dataset, Part
    from ktrdr.market.symbol_bars import SymbolBars
    from ktrdr.strategy.spec import Strategy
    from ktrdr.training.fingerprint import Fingerprint
    from ktrdr.training.request import TrainingRequest


@dataclass(frozen=True, slots=True, eq=False)
class OpenLook:
    """A look that was recorded and has no figures yet."""

    look_id: str
    bars: EvaluatedBars
    recorder: LookRecorder

    def close(self, rows: EvaluatedRows, evaluation: Evaluation, backtest: Backtest) -> None:
        """Record what the look came to. Raises StorageError."""
        series = LookSeries.of(rows, self.bars.instants, backtest.opens, backtest.returns, backtest.held)
        self.recorder.close_look(self.look_id, measure(evaluation, backtest), series)

    def verdict(self) -> LookVerdict | None:
        """The verdict over all tries at its rows; None where nothing is recorded. Raises StorageError."""
        return verdict_on(self.look_id, self.recorder.account_of(self.look_id), VALIDATION_LEVEL)


def open_look(
    recorder: LookRecorder,
    request: TrainingRequest,
    fingerprint: Fingerprint,
    dataset: Dataset,
    bars: Mapping[str, SymbolBars],
) -> OpenLook:
    """Record that the validation part of `dataset`, which was made of `bars`, is about to be evaluated.

    Raises StorageError.
    """
    evaluated = EvaluatedBars.of(request.strategy, dataset, dataset.validation, bars)
    look_id = recorder.open_look(
        LookRequest(
            operation_id=request.operation_id,
            kind=_kind(request),
            part="validation",
            strategy_name=request.strategy_name,
            inputs_sha256=fingerprint.inputs_sha256,
            label=request.strategy.labels.type,
            timeframe=evaluated.timeframe,
            symbols=evaluated_symbols(dataset, dataset.validation),
            samples=len(dataset.validation.labels),
            footprint=evaluated.footprint,
            whole_sha256=fingerprint.whole_sha256 if fold_count(request.strategy) > 1 else None,
        )
    )
    return OpenLook(look_id, evaluated, recorder)


def open_whole(
    recorder: LookRecorder,
    operation_id: str,
    strategy: Strategy,
    fingerprint: Fingerprint,
    signals: Signals,
    bars: Mapping[str, SymbolBars],
) -> OpenLook:
    """Record that the folds of a training, of one of which `fingerprint` is, are about to be evaluated together.

    `signals` are of all their rows. Raises StorageError.
    """
    evaluated = EvaluatedBars.of_signals(strategy, signals, bars)
    look_id = recorder.open_look(
        LookRequest(
            operation_id=operation_id,
            kind=LookKind.WHOLE,
            part=signals.part,
            strategy_name=strategy.slug,
            inputs_sha256=fingerprint.whole_sha256,
            label=strategy.labels.type,
            timeframe=evaluated.timeframe,
            symbols=signals.names,
            samples=len(signals.rows),
            footprint=evaluated.footprint,
            whole_sha256=fingerprint.whole_sha256,
        )
    )
    return OpenLook(look_id, evaluated, recorder)


def evaluated_symbols(dataset: Dataset, part: Part) -> tuple[str, ...]:
    return tuple(dataset.symbols[number] for number in np.unique(part.symbols))


def measure(evaluation: Evaluation, backtest: Backtest | None) -> LookFigures:
    """The figures that the ledger shows of an evaluation, and of a backtest where there is one."""
    hardest, lead = evaluation.significance.hardest_baseline
    significance, result = evaluation.significance, backtest.result if backtest else None
    tests = {name: significance.against[name] for name in significance.against if name in NAIVE}
    if significance.timing:
        tests[TIMING] = significance.timing
    return LookFigures(
        accuracy=evaluation.accuracy,
        ic=evaluation.ic if isinstance(evaluation, Regression) else None,
        over=hardest,
        lead=lead.lead,
        p_value=max(test.p_value for test in tests.values()),
        sharpe=result and result.model.sharpe,
        total_return=result and result.model.total_return,
        tests=tests,
        against_zero=result and result.against_zero,
        against_holding=result and result.against_holding,
        bars_per_year=result and result.bars_per_year,
    )


def _kind(request: TrainingRequest) -> LookKind:
    if request.is_lean:
        return LookKind.TRIAL
    return LookKind.FOLD if fold_count(request.strategy) > 1 else LookKind.TRAINING
