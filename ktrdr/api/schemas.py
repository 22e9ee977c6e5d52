"""The wire types: what travels between server and clients, and nothing else."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

OperationStatus = Literal["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"]
TERMINAL: frozenset[str] = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _day(value: object) -> object:
    if (isinstance(value, str) and not _DAY.fullmatch(value)) or isinstance(value, int | float):
        raise PydanticCustomError("day", "must be a day such as 2023-06-30")
    return value


Day = Annotated[date, BeforeValidator(_day)]
"""Written as YYYY-MM-DD; Pydantic alone would take numbers too, as seconds since 1970."""


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
_RESULTS = {
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
_SERIES = {
    "symbol": "AAPL",
    "timeframe": "1d",
    "rows": 1509,
    "first": "2019-01-02T00:00:00Z",
    "last": "2024-12-30T00:00:00Z",
    "provider": "sample",
    "size_bytes": 58231,
}
_BAR = {
    "timestamp": "2023-06-30T00:00:00Z",
    "open": 191.63,
    "high": 194.48,
    "low": 191.26,
    "close": 193.97,
    "volume": 85069600.0,
}
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


def _example(value: dict[str, Any]) -> dict[str, Any]:
    return {"examples": [value]}


class Request(BaseModel):
    """Base of request bodies: a misspelt key is an error, not a silently ignored wish."""

    model_config = ConfigDict(extra="forbid")


class Progress(BaseModel):
    """Where an operation stands; kinds of operation add fields of their own."""

    model_config = ConfigDict(json_schema_extra=_example(_PROGRESS), extra="allow")

    percentage: float = Field(ge=0, le=100)
    message: str
    current_step: int
    items_processed: int


class OperationError(BaseModel):
    code: str
    detail: str
    hint: str = ""


class Operation(BaseModel):
    model_config = ConfigDict(json_schema_extra=_example(_OPERATION))

    operation_id: str
    status: OperationStatus
    operation_type: str
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    progress: Progress
    metadata: dict[str, Any]
    error: OperationError | None = None
    parent_id: str | None = None


class OperationList(BaseModel):
    model_config = ConfigDict(
        json_schema_extra=_example({"operations": [_OPERATION], "total": 1, "next_page_token": None})
    )

    operations: list[Operation]
    total: int
    next_page_token: str | None = None


class MetricsPage(BaseModel):
    model_config = ConfigDict(json_schema_extra=_example({"metrics": [_METRIC], "new_cursor": 1}))

    metrics: list[dict[str, Any]]
    new_cursor: int


class Results(BaseModel):
    """Results of a terminal operation: `success`, `failed` or `cancelled`, and what there is."""

    model_config = ConfigDict(json_schema_extra=_example(_RESULTS), extra="allow")

    status: Literal["success", "failed", "cancelled"]


class TrainingStart(Request):
    model_config = ConfigDict(
        json_schema_extra=_example(
            {"strategy": _STRATEGY, "symbols": ["AAPL"], "timeframes": ["1d"], "start_date": "2023-01-01"}
        )
    )

    strategy: str = Field(description="The strategy as YAML text.", max_length=1_000_000)
    strategy_name: str = Field(
        "", max_length=128, description="Name to file the run under; default: the strategy's own name."
    )
    symbols: list[str] = Field(min_length=1, max_length=1000)
    timeframes: list[str] = Field(min_length=1, max_length=16)
    start_date: Day | None = Field(None, description="First day, inclusive (UTC).")
    end_date: Day | None = Field(None, description="Last day, inclusive (UTC).")


class DataLoad(Request):
    model_config = ConfigDict(json_schema_extra=_example({"symbol": "AAPL", "timeframe": "1d", "provider": "sample"}))

    symbol: str
    timeframe: str
    start_date: Day | None = None
    end_date: Day | None = None
    provider: str = "auto"
    replace: bool = Field(
        False, strict=True, description="Drop what is stored of the series and start it anew from this load."
    )


class OperationStarted(BaseModel):
    model_config = ConfigDict(
        json_schema_extra=_example(
            {
                "operation_id": "op_training_20250123_abc123",
                "status": "running",
                "message": "Training started",
                "created_at": "2025-01-23T10:00:00.123Z",
            }
        )
    )

    operation_id: str
    status: Literal["running", "pending"]
    message: str
    created_at: datetime


class Prune(Request):
    model_config = ConfigDict(
        json_schema_extra=_example({"older_than_days": 30, "keep_best": 3, "dry_run": True}),
        strict=True,  # what removes something guesses nothing
    )

    older_than_days: float = Field(ge=0, le=36_500, description="Only operations that ended longer ago.")
    keep_best: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Completed trainings to keep of each strategy, symbols and timeframe, by validation loss.",
    )
    dry_run: bool = Field(False, description="Remove nothing, and tell what would go.")


class PrunedOperation(BaseModel):
    operation_id: str
    operation_type: str
    status: Literal["COMPLETED", "FAILED", "CANCELLED"]
    completed_at: datetime
    size_bytes: int


class Pruned(BaseModel):
    """What went, or with `dry_run` would go."""

    dry_run: bool
    operations: list[PrunedOperation]
    size_bytes: int
    kept: int = Field(description="Operations that stay.")
    leftovers: list[str] = Field(description="Folders of removed operations that the system did not let go.")


class Series(BaseModel):
    """One stored series of bars."""

    model_config = ConfigDict(json_schema_extra=_example(_SERIES))

    symbol: str
    timeframe: str
    rows: int
    first: datetime
    last: datetime
    provider: str
    size_bytes: int


class SeriesList(BaseModel):
    model_config = ConfigDict(json_schema_extra=_example({"series": [_SERIES]}))

    series: list[Series]


class Bars(BaseModel):
    """Bars of one series, oldest first; `total` counts the rows in range before `limit`."""

    model_config = ConfigDict(
        json_schema_extra=_example({"symbol": "AAPL", "timeframe": "1d", "total": 124, "bars": [_BAR]})
    )

    symbol: str
    timeframe: str
    total: int
    bars: list[dict[str, Any]]


class StrategyText(Request):
    model_config = ConfigDict(json_schema_extra=_example({"strategy": _STRATEGY}))

    strategy: str = Field(description="The strategy as YAML text.", max_length=1_000_000)


class StrategyFault(BaseModel):
    path: str
    message: str
    value: Any = None
    suggestion: str | None = None
    line: int | None = None


class StrategyVerdict(BaseModel):
    """`strategy` is the document with every default filled in; absent when there are faults."""

    model_config = ConfigDict(
        json_schema_extra=_example(
            {
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
            }
        )
    )

    valid: bool
    faults: list[StrategyFault]
    strategy: dict[str, Any] | None = None


class IndicatorParameter(BaseModel):
    name: str
    default: float
    integer: bool


class Indicator(BaseModel):
    model_config = ConfigDict(json_schema_extra=_example(_INDICATOR))

    name: str
    title: str
    group: str
    inputs: list[str]
    parameters: list[IndicatorParameter]
    outputs: list[str]
    price_scale: bool = Field(description="Whether an output grows with the prices.")
    enters_as: list[str] = Field(description="What each output is in a model.")
    warmup: int


class IndicatorList(BaseModel):
    model_config = ConfigDict(json_schema_extra=_example({"indicators": [_INDICATOR]}))

    indicators: list[Indicator]


class Model(BaseModel):
    """One trained model as the registry knows it."""

    operation_id: str
    created_at: datetime
    strategy: str
    symbols: list[str]
    timeframes: list[str]
    model_type: str
    results: dict[str, Any]


class ModelList(BaseModel):
    models: list[Model]
    total: int


class Problem(BaseModel):
    """RFC 9457 problem details; `code` is stable, `hint` says what to do."""

    model_config = ConfigDict(json_schema_extra=_example(_PROBLEM), extra="allow")

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    hint: str = ""
    instance: str = ""


class Health(BaseModel):
    status: Literal["ok"]


class Readiness(BaseModel):
    status: Literal["ready", "unready"]
    registry: str
    store: str
    workers: dict[str, Any]
