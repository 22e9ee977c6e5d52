"""The wire types: what travels between server and clients, and nothing else."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from ktrdr.operations.status import OperationStatus
from ktrdr.payloads.reading import ParsedResults

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _day(value: object) -> object:
    if (isinstance(value, str) and not _DAY.fullmatch(value)) or isinstance(value, int | float):
        raise PydanticCustomError("day", "must be a day such as 2023-06-30")
    return value


def milliseconds(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Instant = Annotated[
    datetime,
    PlainSerializer(milliseconds, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""Written with milliseconds, wherever it is shown."""

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
"""An example of a training's results, cut short."""
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
    "calendar": {"name": "XNYS", "why": "given", "is_guess": False},
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
    created_at: Instant
    updated_at: Instant
    started_at: Instant | None = None
    completed_at: Instant | None = None
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


class OnBars(Request):
    """A strategy and the bars it is to meet."""

    strategy: str = Field(description="The strategy as YAML text.", max_length=1_000_000)
    symbols: list[str] = Field(min_length=1, max_length=1000)
    timeframes: list[str] = Field(
        default_factory=list, max_length=16, description="May be left out where the strategy names its own."
    )
    start_date: Day | None = Field(None, description="First day, inclusive (UTC).")
    end_date: Day | None = Field(None, description="Last day, inclusive (UTC).")


class TrainingStart(OnBars):
    model_config = ConfigDict(
        json_schema_extra=_example(
            {"strategy": _STRATEGY, "symbols": ["AAPL"], "timeframes": ["1d"], "start_date": "2023-01-01"}
        )
    )

    strategy_name: str = Field(
        "", max_length=128, description="Name to file the run under; default: the strategy's own name."
    )


class Audit(OnBars):
    model_config = ConfigDict(
        json_schema_extra=_example({"strategy": _STRATEGY, "symbols": ["AAPL"], "timeframes": ["1d"]})
    )


class Prediction(Request):
    model_config = ConfigDict(json_schema_extra=_example({"symbol": "AAPL", "timeframe": "1d", "last": 20}))

    symbol: str
    timeframe: str = Field(description="The one whose bars the model's samples end on.")
    last: int = Field(20, ge=1, le=10_000, strict=True, description="How many of the newest closed bars.")


class Export(Request):
    model_config = ConfigDict(json_schema_extra=_example({"format": "onnx"}))

    format: Literal["onnx"] = "onnx"


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
    clip: bool = Field(
        False,
        strict=True,
        description="Where the provider's history begins later than start_date, load from there; else that is refused.",
    )


StartedStatus = Literal["running", "pending", "completed", "failed", "cancelled"]


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
    status: StartedStatus = Field(
        description="`running`, or `pending` while all workers are busy; of a repeated request also how it has ended."
    )
    message: str
    created_at: Instant


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
    status: Literal[OperationStatus.COMPLETED, OperationStatus.FAILED, OperationStatus.CANCELLED]
    completed_at: Instant
    size_bytes: int


class Pruned(BaseModel):
    """What went, or with `dry_run` would go."""

    dry_run: bool
    operations: list[PrunedOperation]
    size_bytes: int
    kept: int = Field(description="Operations that stay.")
    leftovers: list[str] = Field(description="Folders of removed operations that the system did not let go.")


VerdictWord = Literal["sound", "doubtful", "faulty"]


class SeriesQuality(BaseModel):
    """What the last check of a series found, in a line."""

    verdict: VerdictWord
    score: float = Field(ge=0, le=100)
    coverage: float = Field(ge=0, le=1, description="Share of the bars expected by the calendar that are present.")
    longest_gap: int = Field(description="Most expected bars in a row that are missing.")
    faults: int = Field(description="Kinds of fault; notes are none.")
    calendar: str


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
    quality: SeriesQuality | None = Field(None, description="Null where these bars have not been checked.")


class SeriesCalendar(BaseModel):
    name: str
    why: str
    is_guess: bool


class SeriesFault(BaseModel):
    """One kind of fault; a note is none, but something to know."""

    kind: str
    severity: Literal["error", "warning", "note"]
    count: int
    message: str
    instants: list[datetime] = Field(description="The first few that show it.")
    bars: int = Field(description="Bars that it makes doubtful or wrong.")


class SeriesGap(BaseModel):
    """Expected bars in a row that are missing, by the opening instants of the first and the last."""

    first: datetime
    last: datetime
    bars: int


class Quality(BaseModel):
    """How far the bars of a series can be trusted."""

    model_config = ConfigDict(json_schema_extra=_example(_QUALITY))

    symbol: str
    timeframe: str
    verdict: VerdictWord
    score: float = Field(ge=0, le=100)
    coverage: float = Field(ge=0, le=1)
    calendar: SeriesCalendar
    rows: int
    first: datetime
    last: datetime
    expected: int
    present: int
    missing: int
    faults: list[SeriesFault]
    gap_count: int
    longest_gap: int
    gaps: list[SeriesGap] = Field(description="The longest hundred, in the order of time.")


class Resample(Request):
    model_config = ConfigDict(json_schema_extra=_example({"to": "1h", "calendar": "XNYS"}))

    to: str = Field(description="The longer timeframe.", max_length=64)
    calendar: str | None = Field(None, max_length=64, description="By default what symbol and bars speak for.")
    replace: bool = Field(False, strict=True, description="Drop what is stored of the longer series.")


class Resampled(BaseModel):
    """A series made of another one's bars."""

    symbol: str
    timeframe: str
    source: str = Field(description="The timeframe that it was made of.")
    provider: str
    calendar: str
    rows_new: int
    rows_changed: int
    rows_total: int
    first: datetime
    last: datetime
    note: str


class SeriesList(BaseModel):
    model_config = ConfigDict(json_schema_extra=_example({"series": [_SERIES]}))

    series: list[Series]


class ProviderInfo(BaseModel):
    """What a source of bars can serve."""

    model_config = ConfigDict(json_schema_extra=_example(_PROVIDER))

    name: str
    timeframes: list[str]
    history_days: dict[str, int] = Field(
        description="How far back from today, by timeframe; one that is not named has no limit."
    )
    adjusted: Literal["splits and dividends", "splits", "no", "unknown"]
    symbols: str


class ProviderList(BaseModel):
    model_config = ConfigDict(json_schema_extra=_example({"providers": [_PROVIDER]}))

    providers: list[ProviderInfo]


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
    created_at: Instant
    strategy: str
    symbols: list[str]
    timeframes: list[str]
    model_type: str
    results: ParsedResults = Field(description="What the training came to.")
    bars_changed: bool | None = Field(
        None, description="Whether the stored bars are others than those it was trained on; null where not looked up."
    )


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


class IndicatorLine(BaseModel):
    """One output of an indicator; `on_price` when it is drawn over the candles, `group` names what belongs together."""

    name: str
    group: str
    on_price: bool
    values: list[float | None]


class LabelMarks(BaseModel):
    """Index of each bar's class among `class_names`; null where it is not settled."""

    class_names: list[str]
    classes: list[int | None]


class PredictionMarks(BaseModel):
    """One entry for each sample that the model was judged on; numbers in a regression, else names of classes."""

    time: list[int]
    part: list[str]
    label: list[str | float]
    predicted: list[str | float]
    confidence: list[float] | None


class Chart(BaseModel):
    """Bars as columns, oldest first; `time` in seconds since 1970, `first_row` the first one's place among `total`."""

    model_config = ConfigDict(
        json_schema_extra=_example(
            {
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
            }
        )
    )

    symbol: str
    timeframe: str
    total: int
    first_row: int
    time: list[int]
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume: list[float]
    indicators: list[IndicatorLine]
    labels: LabelMarks | None
    predictions: PredictionMarks | None


class Curve(BaseModel):
    steps: list[int]
    values: list[float | None]


class Curves(BaseModel):
    model_config = ConfigDict(
        json_schema_extra=_example(
            {
                "column": "val_loss",
                "curves": {"op_training_20250123_abc123": {"steps": [1, 5, 10], "values": [0.69, 0.68, 0.67]}},
            }
        )
    )

    column: str
    curves: dict[str, Curve]


class LogLines(BaseModel):
    model_config = ConfigDict(
        json_schema_extra=_example(
            {
                "lines": ["2025-01-23 10:00:00.123 INFO Created operation op_training_20250123_abc123 (type=TRAINING)"],
                "new_cursor": 81234,
            }
        )
    )

    lines: list[str]
    new_cursor: int = Field(description="Where to go on reading next time, in bytes of the log file.")


class Disk(BaseModel):
    home: str
    total_bytes: int
    free_bytes: int
    parts: dict[str, int] = Field(description="Bytes of what lies in the home, by name.")


class System(BaseModel):
    """The server and its machine."""

    health: Readiness
    operations: dict[str, int] = Field(description="How many are in which state.")
    disk: Disk
    versions: dict[str, str]
    platform: str
    memory_total_bytes: int
    memory_available_bytes: int
    started_at: Instant


class OperationKind(BaseModel):
    """One kind of operations."""

    operation_type: str = Field(description="As in operations of this kind, and in their ids.")
    title: str = Field(description="The same for people.")
    is_resumable: bool = Field(description="Whether one that failed or was cancelled can be resumed.")
    makes_model: bool = Field(description="Whether one that completed has a model.")


class TimeframeLength(BaseModel):
    name: str
    seconds: int = Field(description="How long a bar lasts.")


class Meta(BaseModel):
    """What the API works with; it changes only with the server's version."""

    model_config = ConfigDict(
        json_schema_extra=_example(
            {
                "version": "0.1.0",
                "states": ["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"],
                "terminal_states": ["COMPLETED", "FAILED", "CANCELLED"],
                "timeframes": [{"name": "1h", "seconds": 3600}, {"name": "1d", "seconds": 86400}],
                "kinds": [
                    {"operation_type": "TRAINING", "title": "Training", "is_resumable": True, "makes_model": True}
                ],
            }
        )
    )

    version: str = Field(description="Of the server.")
    states: list[OperationStatus] = Field(description="In the order in which an operation passes through them.")
    terminal_states: list[OperationStatus] = Field(description="Those that an operation never leaves.")
    timeframes: list[TimeframeLength] = Field(description="From the shortest to the longest.")
    kinds: list[OperationKind]
