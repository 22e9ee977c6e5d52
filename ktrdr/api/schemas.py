"""The wire types: what travels between server and clients, and nothing else."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

OperationStatus = Literal["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"]
TERMINAL: frozenset[str] = frozenset({"COMPLETED", "FAILED", "CANCELLED"})


class Request(BaseModel):
    """Base of request bodies: a misspelt key is an error, not a silently ignored wish."""

    model_config = ConfigDict(extra="forbid")


class Progress(BaseModel):
    """Where an operation stands; kinds of operation add fields of their own."""

    model_config = ConfigDict(extra="allow")

    percentage: float = Field(ge=0, le=100)
    message: str
    current_step: int
    items_processed: int


class OperationError(BaseModel):
    code: str
    detail: str
    hint: str = ""


class Operation(BaseModel):
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
    operations: list[Operation]
    total: int
    next_page_token: str | None = None


class MetricsPage(BaseModel):
    metrics: list[dict[str, Any]]
    new_cursor: int


class Results(BaseModel):
    """Results of a terminal operation: `success`, `failed` or `cancelled`, and what there is."""

    model_config = ConfigDict(extra="allow")

    status: Literal["success", "failed", "cancelled"]


class TrainingStart(Request):
    strategy: str = Field(description="The strategy as YAML text.", max_length=1_000_000)
    strategy_name: str = Field(
        "", max_length=128, description="Name to file the run under; default: the strategy's own name."
    )
    symbols: list[str] = Field(min_length=1, max_length=1000)
    timeframes: list[str] = Field(min_length=1, max_length=16)
    start_date: date | None = Field(None, description="First day, inclusive (UTC).")
    end_date: date | None = Field(None, description="Last day, inclusive (UTC).")


class DataLoad(Request):
    symbol: str
    timeframe: str
    start_date: date | None = None
    end_date: date | None = None
    provider: str = "auto"


class OperationStarted(BaseModel):
    operation_id: str
    status: Literal["running", "pending"]
    message: str
    created_at: datetime


class Series(BaseModel):
    """One stored series of bars."""

    symbol: str
    timeframe: str
    rows: int
    first: datetime
    last: datetime
    provider: str
    size_bytes: int


class SeriesList(BaseModel):
    series: list[Series]


class Bars(BaseModel):
    """Bars of one series, oldest first; `total` counts the rows in range before `limit`."""

    symbol: str
    timeframe: str
    total: int
    bars: list[dict[str, Any]]


class StrategyText(Request):
    strategy: str = Field(description="The strategy as YAML text.", max_length=1_000_000)


class StrategyFault(BaseModel):
    path: str
    message: str
    value: Any = None
    suggestion: str | None = None
    line: int | None = None


class StrategyVerdict(BaseModel):
    """`strategy` is the document with every default filled in; absent when there are faults."""

    valid: bool
    faults: list[StrategyFault]
    strategy: dict[str, Any] | None = None


class IndicatorParameter(BaseModel):
    name: str
    default: float
    integer: bool


class Indicator(BaseModel):
    name: str
    title: str
    group: str
    inputs: list[str]
    parameters: list[IndicatorParameter]
    outputs: list[str]
    price_scale: bool
    warmup: int


class IndicatorList(BaseModel):
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


class Problem(BaseModel):
    """RFC 9457 problem details; `code` is stable, `hint` says what to do."""

    model_config = ConfigDict(extra="allow")

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
