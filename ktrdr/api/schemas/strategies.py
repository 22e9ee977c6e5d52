"""Strategies as they are checked, and the indicators that they may name."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from ktrdr.api.schemas.base import Request
from ktrdr.payloads.search import Objective


class StrategyText(Request):
    strategy: str = Field(description="The strategy as YAML text.", max_length=1_000_000)


class StrategyFault(BaseModel):
    path: str
    message: str
    value: Any = None
    suggestion: str | None = None
    line: int | None = None


class SearchedKey(BaseModel):
    """A key that a search varies."""

    path: str
    range: dict[str, Any] = Field(description="As it is written, such as `{log: [0.0001, 0.01]}`.")


class SearchOutline(BaseModel):
    """What a strategy with ranges asks for."""

    trials: int
    different: int | None = Field(description="The number of different trials; null where there is no end of them.")
    sampler: str
    objective: Objective
    keys: list[SearchedKey]


class StrategyVerdict(BaseModel):
    """`strategy` is the document with every default filled in; absent when there are faults.

    Of a search it has the first value of each range.
    """

    valid: bool
    faults: list[StrategyFault]
    strategy: dict[str, Any] | None = None
    search: SearchOutline | None = Field(None, description="Of a strategy with ranges.")
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


class ExpressionName(BaseModel):
    """A series or a function that an expression may name, beside TA-Lib's functions."""

    name: str
    call: str = Field(description="How it is written; n is a fixed number of bars, q a share.")
    title: str


class IndicatorList(BaseModel):
    indicators: list[Indicator]
    expression_names: list[ExpressionName] = Field(
        default_factory=list, description="What an expression may name beside these indicators."
    )
