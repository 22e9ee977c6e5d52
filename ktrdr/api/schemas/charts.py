"""Bars and metrics as columns that are ready to be drawn."""

from __future__ import annotations

from pydantic import BaseModel


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
    column: str
    curves: dict[str, Curve]
