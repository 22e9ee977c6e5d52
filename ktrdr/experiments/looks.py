"""The looks of a training: recorded before its first figure is shown, closed before any figure is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ktrdr.evaluation.evaluated_rows import EvaluatedRows
from ktrdr.features.splits import fold_count
from ktrdr.ledger.footprint import EvaluatedBars
from ktrdr.ledger.recorder import LookRecorder, LookRequest
from ktrdr.ledger.series import LookSeries
from ktrdr.payloads.evaluation import Evaluation, Regression
from ktrdr.payloads.looks import LookFigures, LookKind

if TYPE_CHECKING:
    from ktrdr.evaluation.backtest import Backtest
    from ktrdr.features.dataset import Dataset, Part
    from ktrdr.market.symbol_bars import SymbolBars
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
        series = LookSeries.of(rows, self.bars.instants, backtest.opens, backtest.returns)
        self.recorder.close_look(self.look_id, measure(evaluation, backtest), series)


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
        )
    )
    return OpenLook(look_id, evaluated, recorder)


def evaluated_symbols(dataset: Dataset, part: Part) -> tuple[str, ...]:
    return tuple(symbol for number, symbol in enumerate(dataset.symbols) if (part.symbols == number).any())


def measure(evaluation: Evaluation, backtest: Backtest) -> LookFigures:
    """The figures that the ledger shows of an evaluation."""
    hardest, lead = evaluation.significance.hardest_baseline
    timing, performance = evaluation.significance.timing, backtest.result.model
    return LookFigures(
        accuracy=evaluation.accuracy,
        ic=evaluation.ic if isinstance(evaluation, Regression) else None,
        over=hardest,
        lead=lead.lead,
        p_value=max(lead.p_value, timing.p_value) if timing else lead.p_value,
        sharpe=performance.sharpe,
        total_return=performance.total_return,
    )


def _kind(request: TrainingRequest) -> LookKind:
    return LookKind.FOLD if fold_count(request.strategy) > 1 else LookKind.TRAINING
