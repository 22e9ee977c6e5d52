"""An example of each schema, for the API's reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from ktrdr.api.schemas.base import Problem
from ktrdr.api.schemas.charts import Chart, Curves
from ktrdr.api.schemas.data import Bars, DataLoad, ProviderInfo, ProviderList, Resample, Series, SeriesList
from ktrdr.api.schemas.models import Export, Prediction
from ktrdr.api.schemas.operations import (
    MetricsPage,
    Operation,
    OperationList,
    OperationStarted,
    Prune,
)
from ktrdr.api.schemas.strategies import ExpressionName, Indicator, IndicatorList, StrategyText, StrategyVerdict
from ktrdr.api.schemas.system import LogLines, Meta
from ktrdr.api.schemas.training import Audit, TrainingStart
from ktrdr.payloads.data import QualityReport
from ktrdr.payloads.results import Progress

_STRATEGY = """name: Trend
model: {type: lstm, layers: 2, hidden_size: 64}
training: {epochs: 10}
indicators: [{name: sma, period: 20}, {name: rsi, period: 14}]
"""
_PROGRESS = {
    "percentage": 25.0,
    "message": "Epoch 3/10",
    "current_step": 3,
    "items_processed": 1680,
    "epoch_index": 3,
    "total_epochs": 10,
}
_OPERATION = {
    "operation_id": "op_training_20250123_abc123",
    "status": "RUNNING",
    "operation_type": "TRAINING",
    "created_at": "2025-01-23T10:00:00.123Z",
    "updated_at": "2025-01-23T10:00:01.456Z",
    "started_at": "2025-01-23T10:00:00.130Z",
    "completed_at": None,
    "progress": _PROGRESS,
    "metadata": {"symbols": ["AAPL"], "timeframes": ["1d"], "strategy": "trend", "model_type": "lstm"},
    "error": None,
    "parent_id": None,
}
_METRIC = {
    "epoch": 1,
    "train_loss": 0.6958,
    "train_accuracy": 0.4478,
    "val_loss": 0.6842,
    "val_accuracy": 0.6471,
    "learning_rate": 0.001,
    "duration": 0.021,
    "timestamp": "2025-01-23T10:00:00.412Z",
}
RESULTS = {
    "version": 1,
    "status": "success",
    "ending": "all epochs",
    "final_metrics": {
        "best_epoch": 3,
        "best_val_loss": 0.6749,
        "best_val_accuracy": 0.6471,
        "final_train_loss": 0.6823,
        "final_val_loss": 0.6868,
        "total_epochs": 10,
        "training_duration_seconds": 0.2,
    },
    "model_path": "/home/user/.local/share/ktrdr/models/op_training_20250123_abc123/model.safetensors",
    "artifacts": {"metrics_plot": "/home/user/.local/share/ktrdr/models/op_training_20250123_abc123/metrics.png"},
}
"""Of a training, cut short."""
_SERIES = {
    "symbol": "AAPL",
    "timeframe": "1d",
    "rows": 1509,
    "first": "2019-01-02T00:00:00Z",
    "last": "2024-12-30T00:00:00Z",
    "provider": "sample",
    "size_bytes": 58231,
    "quality": {
        "verdict": "sound",
        "score": 100.0,
        "coverage": 1.0,
        "longest_gap": 0,
        "faults": 0,
        "calendar": "XNYS",
    },
}
_QUALITY = {
    "symbol": "AAPL",
    "timeframe": "5m",
    "verdict": "doubtful",
    "score": 99.5,
    "coverage": 0.995978,
    "calendar": {"name": "XNYS", "why": "named by the request", "is_guess": False},
    "rows": 45993,
    "first": "2024-08-09T08:00:00Z",
    "last": "2025-08-08T23:55:00Z",
    "expected": 19392,
    "present": 19314,
    "missing": 78,
    "faults": [
        {
            "kind": "missing_sessions",
            "severity": "warning",
            "count": 1,
            "message": "1 session missing whole: 2025-08-07",
            "instants": ["2025-08-07T00:00:00Z"],
            "bars": 0,
        }
    ],
    "gap_count": 1,
    "longest_gap": 78,
    "gaps": [{"first": "2025-08-07T13:30:00Z", "last": "2025-08-07T19:55:00Z", "bars": 78}],
}
_PROVIDER = {
    "name": "yahoo",
    "timeframes": ["1m", "5m", "15m", "30m", "1h", "1d", "1w"],
    "history_days": {"1m": 30, "5m": 60, "15m": 60, "30m": 60, "1h": 730},
    "adjusted": "splits and dividends",
    "symbols": "stocks, funds, indices, FX and crypto by Yahoo's names",
}
_BAR = {
    "timestamp": "2023-06-30T00:00:00Z",
    "open": 191.63,
    "high": 194.48,
    "low": 191.26,
    "close": 193.97,
    "volume": 85069600.0,
}
_EXPRESSION_NAME = {"name": "mean", "call": "mean(x, n)", "title": "mean of the last n bars"}
_INDICATOR = {
    "name": "rsi",
    "title": "Relative Strength Index",
    "group": "Momentum Indicators",
    "inputs": ["close"],
    "parameters": [{"name": "timeperiod", "default": 14, "integer": True}],
    "outputs": ["real"],
    "price_scale": False,
    "enters_as": ["real"],
    "warmup": 14,
}
_PROBLEM = {
    "type": "about:blank",
    "title": "Conflict",
    "status": 409,
    "code": "conflict",
    "detail": "no bars of MSFT 1d are stored",
    "hint": "load it with: ktrdr data load MSFT 1d",
    "instance": "/api/v1/training/start",
}

EXAMPLES: Mapping[type[BaseModel], Mapping[str, Any]] = {
    Problem: _PROBLEM,
    Progress: _PROGRESS,
    Operation: _OPERATION,
    OperationList: {"operations": [_OPERATION], "total": 1, "next_page_token": None, "unreadable": []},
    MetricsPage: {"metrics": [_METRIC], "new_cursor": 1},
    OperationStarted: {
        "operation_id": "op_training_20250123_abc123",
        "status": "running",
        "message": "Training started",
        "created_at": "2025-01-23T10:00:00.123Z",
    },
    Prune: {"older_than_days": 30, "keep_best": 3, "dry_run": True},
    TrainingStart: {"strategy": _STRATEGY, "symbols": ["AAPL"], "timeframes": ["1d"], "start_date": "2023-01-01"},
    Audit: {"strategy": _STRATEGY, "symbols": ["AAPL"], "timeframes": ["1d"]},
    StrategyText: {"strategy": _STRATEGY},
    StrategyVerdict: {
        "valid": False,
        "faults": [
            {
                "path": "training.epochs",
                "message": "must be at least 1; it is 0",
                "value": 0,
                "suggestion": None,
                "line": 3,
            }
        ],
        "strategy": None,
    },
    Indicator: _INDICATOR,
    IndicatorList: {"indicators": [_INDICATOR], "expression_names": [_EXPRESSION_NAME]},
    ExpressionName: _EXPRESSION_NAME,
    DataLoad: {"symbol": "AAPL", "timeframe": "1d", "provider": "sample"},
    Series: _SERIES,
    QualityReport: _QUALITY,
    Resample: {"to": "1h", "calendar": "XNYS"},
    SeriesList: {"series": [_SERIES]},
    ProviderInfo: _PROVIDER,
    ProviderList: {"providers": [_PROVIDER]},
    Bars: {"symbol": "AAPL", "timeframe": "1d", "total": 124, "bars": [_BAR]},
    Prediction: {"symbol": "AAPL", "timeframe": "1d", "last": 20},
    Export: {"format": "onnx"},
    Chart: {
        "symbol": "AAPL",
        "timeframe": "1d",
        "total": 1509,
        "first_row": 1508,
        "time": [1735516800],
        "open": [252.23],
        "high": [253.5],
        "low": [250.75],
        "close": [252.2],
        "volume": [35557500.0],
        "indicators": [{"name": "sma_20", "group": "sma_20", "on_price": True, "values": [247.2]}],
        "labels": {"class_names": ["down", "up"], "classes": [None]},
        "predictions": None,
    },
    Curves: {
        "column": "val_loss",
        "curves": {"op_training_20250123_abc123": {"steps": [1, 5, 10], "values": [0.69, 0.68, 0.67]}},
    },
    Meta: {
        "version": "0.1.0",
        "states": ["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"],
        "terminal_states": ["COMPLETED", "FAILED", "CANCELLED"],
        "timeframes": [{"name": "1h", "seconds": 3600}, {"name": "1d", "seconds": 86400}],
        "kinds": [{"operation_type": "TRAINING", "title": "Training", "is_resumable": True, "makes_model": True}],
        "final_errors": ["training_diverged", "leak_detected"],
        "file_formats": ["binance", "histdata", "metatrader4"],
    },
    LogLines: {
        "lines": ["2025-01-23 10:00:00.123 INFO Created operation op_training_20250123_abc123 (type=TRAINING)"],
        "new_cursor": 81234,
    },
}
