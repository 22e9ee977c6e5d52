"""Results of a small training, whole and typed, as no training makes them in so short a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ktrdr.payloads.backtest import BacktestResult, EquityCurve, Performance, RandomEntries
from ktrdr.payloads.evaluation import (
    Calibration,
    CalibrationBin,
    Classification,
    ClassScores,
    Lead,
    NumberScores,
    Regression,
    Significance,
)
from ktrdr.payloads.leaks import LabelControls, LeakChecks, LeakGateReport
from ktrdr.payloads.preflight import PartReport, PreflightReport, SymbolSamples
from ktrdr.payloads.training import (
    Ending,
    FinalMetrics,
    FoldScores,
    FoldsLead,
    FoldsResults,
    Spread,
    TrainingResults,
)

FIRST, LAST = datetime(2023, 1, 3, tzinfo=UTC), datetime(2023, 6, 30, tzinfo=UTC)


def class_scores(accuracy: float = 0.55, balanced: float = 0.5, log_loss: float | None = 0.69) -> ClassScores:
    return ClassScores(accuracy=accuracy, balanced_accuracy=balanced, mcc=0.1, log_loss=log_loss)


def significance(names: tuple[str, ...], beats: bool = True) -> Significance:
    lead = Lead(lead=0.05, standard_error=0.02, p_value=0.01)
    return Significance(beats_baselines=beats, level=0.025, effective_samples=20, against=dict.fromkeys(names, lead))


def classification(accuracy: float = 0.6, **changes: Any) -> Classification:
    baselines = {
        "majority": class_scores(0.55, 0.5),
        "persistence": class_scores(0.45, 0.46, None),
        "logistic_regression": class_scores(0.5, 0.5),
    }
    bins = (CalibrationBin(confidence=0.6, accuracy=0.55, samples=20),)
    fields = {
        "part": "validation",
        "samples": 20,
        "first": FIRST,
        "last": LAST,
        "accuracy": accuracy,
        "accuracy_interval": (0.4, 0.8),
        "class_names": ("down", "up"),
        "significance": significance(tuple(baselines)),
        "verdict": "The model is ahead.",
        "balanced_accuracy": 0.58,
        "mcc": 0.2,
        "log_loss": 0.68,
        "f1": {"down": 0.5, "up": 0.6},
        "confusion": ((5, 5), (3, 7)),
        "calibration": Calibration(expected_error=0.05, error_by_chance=0.04, bins=bins),
        "baselines": baselines,
    }
    return Classification(**(fields | changes))


def regression() -> Regression:
    scores = NumberScores(mse=0.99, r2=0.01, ic=0.1, rank_ic=0.09, accuracy=0.52)
    baselines = {"mean": scores.model_copy(update={"ic": None, "rank_ic": None}), "persistence": scores}
    return Regression(
        part="validation",
        samples=50,
        first=FIRST,
        last=LAST,
        accuracy=0.52,
        accuracy_interval=(0.4, 0.6),
        class_names=(),
        significance=significance(tuple(baselines)),
        verdict="So it is.",
        mse=0.99,
        r2=0.01,
        ic=0.1,
        ic_t=1.2,
        rank_ic=0.09,
        rank_ic_t=1.1,
        baselines=baselines,
    )


def performance(**changes: Any) -> Performance:
    fields = {
        "total_return": -0.123,
        "annual_return": None,
        "annual_volatility": 0.2,
        "sharpe": -0.5,
        "sharpe_standard_error": 0.93,
        "max_drawdown": -0.2,
        "turnover": 12.0,
        "trades": 1234,
        "costs_paid": 0.04,
    }
    return Performance(**(fields | changes))


def backtest(part: str = "validation") -> BacktestResult:
    held = performance(
        total_return=0.5,
        annual_return=0.4,
        sharpe=None,
        sharpe_standard_error=None,
        max_drawdown=-0.1,
        trades=2,
        costs_paid=0.0006,
    )
    return BacktestResult(
        part=part,
        bars=20,
        bars_per_year=252.0,
        fee_bps=1.0,
        slippage_bps=2.0,
        model=performance(),
        buy_and_hold=held,
        random_entries=RandomEntries(draws=500, low=-0.3, median=-0.08, high=0.2, percentile=30.0),
        equity=EquityCurve(timestamps=(FIRST, LAST), model=(1.0, 0.877), buy_and_hold=(1.0, 1.5)),
        verdict="After costs the model returned -12.3%.",
    )


def leak_gate(verdict: str = "Nothing knows its future.") -> LeakGateReport:
    controls = LabelControls(
        samples=20, strongest_column="rsi", strongest_score=0.1, strongest_score_shuffled=0.1, void=()
    )
    counts = dict.fromkeys((name for name in LeakChecks.model_fields if name != "label_controls"), 3)
    return LeakGateReport(
        passed=True, verdict=verdict, checks=LeakChecks(**counts, label_controls=controls), seconds=0.1
    )


def preflight_report(**changes: Any) -> PreflightReport:
    symbol = SymbolSamples(
        symbol="AAPL",
        bars=124,
        warmup_rows=19,
        train_samples=67,
        validation_samples=17,
        test_samples=0,
        purged_samples=1,
        unlabelled_rows=1,
        first=FIRST,
        last=LAST,
        border=LAST,
    )
    part = PartReport(
        part="train", samples=67, first=FIRST, last=LAST, shares={"down": 0.4, "up": 0.6}, resolution=0.12
    )
    fields = {
        "symbols": (symbol,),
        "parts": (part,),
        "features": 3,
        "window": 20,
        "parameters": 50_000,
        "parameters_per_sample": 746.3,
        "peak_memory_bytes": 400_000_000,
        "available_memory_bytes": 8_000_000_000,
        "epoch_seconds": 0.02,
        "total_seconds": 0.2,
        "errors": (),
        "warnings": ("17 validation samples are few",),
    }
    return PreflightReport(**(fields | changes))


def final_metrics(**changes: Any) -> FinalMetrics:
    fields = {
        "best_epoch": 2,
        "best_val_loss": 0.69,
        "best_val_accuracy": 0.55,
        "final_train_loss": 0.66,
        "final_val_loss": 0.71,
        "total_epochs": 4,
        "training_duration_seconds": 2.5,
    }
    return FinalMetrics(**(fields | changes))


def training(folder: str = "models/op_training_20230630_abc123", **changes: Any) -> TrainingResults:
    fields = {
        "status": "success",
        "ending": Ending.ALL_EPOCHS,
        "final_metrics": final_metrics(),
        "evaluation": classification(),
        "model_path": f"{folder}/model.safetensors",
        "artifacts": {"metrics_plot": f"{folder}/metrics.png"},
        "phases_seconds": {"preparing": 0.1, "training": 2.0},
    }
    return TrainingResults(**(fields | changes))


def folds() -> FoldsResults:
    fold = FoldScores(
        fold=1,
        operation_id="op_training_20230630_fold01",
        first=FIRST,
        last=LAST,
        samples=120,
        best_epoch=2,
        best_val_loss=0.69,
        total_epochs=4,
        accuracy=0.55,
        balanced_accuracy=0.54,
        mcc=0.1,
        log_loss=0.69,
        strongest_baseline="majority",
        baseline_accuracy=0.52,
        lead=0.03,
        beats_baselines=False,
    )
    spread = Spread(mean=0.55, std=0.01, min=0.54, max=0.56)
    return FoldsResults(
        final_metrics=final_metrics(),
        folds=(fold, fold.model_copy(update={"fold": 2})),
        spread={"accuracy": spread, "best_val_loss": spread},
        lead=FoldsLead(mean=0.03, standard_error=0.02, p_value=0.2, folds_ahead=2, beats_baselines=False),
        verdict="No more than chance.",
        model_path="models/op_training_20230630_fold02/model.safetensors",
        artifacts={"metrics_plot": "models/op_training_20230630_whole1/folds.png"},
    )
