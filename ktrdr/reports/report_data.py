"""The data of plots and summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ktrdr.features.splits import fold_count
from ktrdr.formatting import count
from ktrdr.strategy.sections.base import PluginModel
from ktrdr.strategy.sections.model import GradientBoosting

if TYPE_CHECKING:
    from ktrdr.features.dataset import Dataset, SymbolCoverage
    from ktrdr.payloads.backtest import BacktestResult
    from ktrdr.payloads.evaluation import Evaluation
    from ktrdr.payloads.training import EvaluatedResults, TrainingResults
    from ktrdr.strategy.spec import Strategy
    from ktrdr.training.architectures.model import Layer
    from ktrdr.training.fingerprint import Fingerprint
    from ktrdr.training.observer import EpochMetrics
    from ktrdr.training.request import TrainingRequest

Providers = Mapping[str, "str | Mapping[str, str]"]


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """A finished training with a model.

    providers: by symbol, the provider of its bars, or one for each timeframe
    layers: layers of a network; empty for other models
    history: metrics of the finished epochs
    """

    request: TrainingRequest
    dataset: Dataset
    fingerprint: Fingerprint
    providers: Providers
    layers: tuple[Layer, ...]
    history: tuple[EpochMetrics, ...]
    results: TrainingResults

    @property
    def evaluation(self) -> Evaluation:
        assert self.results.evaluation is not None  # there is a model
        return self.results.evaluation

    @property
    def backtest(self) -> BacktestResult:
        assert self.results.backtest is not None  # there is a model
        return self.results.backtest

    @property
    def best_epoch(self) -> int:
        assert self.results.final_metrics.best_epoch is not None  # there is a model
        return self.results.final_metrics.best_epoch

    @property
    def best(self) -> EpochMetrics:
        return self.history[self.best_epoch - 1]

    @property
    def strategy(self) -> Strategy:
        return self.request.strategy


def model_in_short(strategy: Strategy) -> str:
    """`LSTM 2×64`, `gradient boosting, 15 leaves`."""
    model = strategy.model
    if isinstance(model, PluginModel):
        return model.type
    if isinstance(model, GradientBoosting):
        return f"gradient boosting, {model.leaves} leaves"
    name = {"transformer": "Transformer"}.get(model.type, model.type.upper())
    return f"{name} {model.layers}×{model.hidden_size}"


def fold_in_short(report: TrainingReport) -> str:
    """`fold 2 of 4`; empty where there is one model."""
    folds = fold_count(report.strategy)
    return f"fold {report.request.fold + 1} of {folds}" if folds > 1 else ""


def sealed_in_short(results: EvaluatedResults) -> tuple[str, ...]:
    """`120 test samples sealed`; empty without a sealed test part."""
    return (f"{count(results.sealed.samples)} test samples sealed",) if results.sealed else ()


def symbol_sources(providers: Providers, symbol: str) -> str:
    names = providers[symbol]
    return names if isinstance(names, str) else ", ".join(dict.fromkeys(names.values()))


def sources(report: TrainingReport, at_most: int = 100) -> str:
    names = list(dict.fromkeys(symbol_sources(report.providers, symbol) for symbol in report.providers))
    return ", ".join(names) if len(names) <= at_most else f"{len(names)} providers"


def symbols_in_short(symbols: Sequence[str]) -> str:
    return ", ".join(symbols) if len(symbols) <= 6 else f"{', '.join(symbols[:5])} and {len(symbols) - 5} more"


def bar_range(coverage: Sequence[SymbolCoverage]) -> str:
    return f"{day(min(part.first for part in coverage))} to {day(max(part.last for part in coverage))}"


def calendars(coverage: Sequence[SymbolCoverage], at_most: int = 6) -> str:
    named = list(dict.fromkeys(str(part.calendar) for part in coverage))
    return ", ".join(named) if len(named) <= at_most else ", ".join(sorted({part.calendar.name for part in coverage}))


def day(instant: datetime) -> str:
    return instant.date().isoformat()
