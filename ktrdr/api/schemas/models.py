"""Trained models, and requests for work with one."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from ktrdr.api.schemas.base import Day, Instant, Request
from ktrdr.payloads.reading import ParsedResults
from ktrdr.payloads.unsealing import MOST_OF_WHO


class Prediction(Request):
    symbol: str
    timeframe: str = Field(description="The one whose bars the model's samples end on.")
    last: int = Field(20, ge=1, le=10_000, strict=True, description="How many of the newest closed bars.")


class Export(Request):
    format: Literal["onnx"] = "onnx"


class BacktestStart(Request):
    symbols: list[str] = Field(
        default_factory=list, max_length=1000, description="To predict and trade; those of the training by default."
    )
    start_date: Day | None = Field(None, description="First day; by default that after the training's last sample.")
    end_date: Day | None = Field(None, description="Last day, inclusive; by default the last one stored.")
    allow_overlap: bool = Field(
        default=False, strict=True, description="Take bars that the model was trained on, which are no evidence."
    )
    set: dict[str, Any] | None = Field(
        None,
        max_length=100,
        description="Values of positions and costs that take the place of the strategy's own, by their paths, as "
        "positions.rule or costs.fee_bps.",
    )


class Explanation(Request):
    repeats: int = Field(10, ge=1, le=100, strict=True, description="How often the features are shuffled.")
    drop_one: bool = Field(
        default=False, strict=True, description="Train again without each indicator instead, which is a try each."
    )


class Unsealing(Request):
    by: str = Field("", max_length=MOST_OF_WHO, description="Who opens it; empty for the address of the client.")


class Model(BaseModel):
    """One trained model as the registry knows it."""

    operation_id: str
    created_at: Instant
    strategy: str
    symbols: list[str]
    timeframes: list[str]
    model_type: str
    fold: int | None = Field(None, description="Which fold of a training it is, counted from 1; null for no fold.")
    results: ParsedResults = Field(description="What the training came to.")
    bars_changed: bool | None = Field(
        None, description="Whether the stored bars are others than those it was trained on; null where not looked up."
    )


class ModelList(BaseModel):
    models: list[Model]
    total: int
