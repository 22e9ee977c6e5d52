"""Strategies as they are checked, and the indicators that they may name."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from ktrdr.api.schemas.base import Request


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
    warnings: list[str] = Field(default_factory=list, description="Keys that do nothing in this strategy, in words.")


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
    price_scale: bool = Field(description="Whether an output grows with the prices.")
    enters_as: list[str] = Field(description="What each output is in a model.")
    warmup: int


class IndicatorList(BaseModel):
    indicators: list[Indicator]
