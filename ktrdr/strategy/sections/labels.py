"""The section `labels`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ktrdr.strategy.sections.base import PLUGIN, SHIPPED, LabelSpec, PluginLabel, only_shipped, shipped_or_plugin, typed


class Direction(LabelSpec):
    """Whether the close `horizon` bars ahead is higher or lower."""

    type: Literal["direction"] = Field("direction", description="The direction of the move ahead.")
    threshold: float = Field(
        0.0, ge=0, lt=1, description="Relative move that counts; above 0 there is a third class, flat, between."
    )
    quantiles: Annotated[tuple[float, ...], Field(min_length=1, max_length=2)] | None = Field(
        None,
        strict=False,
        description="In place of a threshold: cut the moves of the training part at these shares, as [0.33, 0.67].",
    )

    @model_validator(mode="after")
    def _check_quantiles(self) -> Self:
        cuts = self.quantiles
        if cuts is not None and not (all(0 < cut < 1 for cut in cuts) and list(cuts) == sorted(set(cuts))):
            raise PydanticCustomError("quantiles", "rise and lie between 0 and 1", {"key": "quantiles"})
        if cuts is not None and self.threshold:
            raise PydanticCustomError(
                "quantiles",
                "be absent where there is a threshold, or the threshold where there are quantiles",
                {"key": "quantiles"},
            )
        return self


class ForwardReturn(LabelSpec):
    """The log return of the next `horizon` bars, a number: the training is a regression."""

    type: Literal["forward_return"]


class TripleBarrier(LabelSpec):
    """The barrier that the close touches first: upper, lower, or the end of `horizon` bars (López de Prado, ch. 3)."""

    type: Literal["triple_barrier"]
    horizon: int = Field(10, ge=1, le=10_000, description="Bars after which the label is flat.")
    volatility_span: int = Field(20, ge=2, le=100_000, description="Span of the moving deviation of log returns.")
    upper: float = Field(2.0, gt=0, le=1000, description="Distance of the upper barrier, in deviations.")
    lower: float = Field(2.0, gt=0, le=1000, description="Distance of the lower barrier, in deviations.")


class Trend(LabelSpec):
    """The t-value of a line fitted to the log closes of a bar and the `horizon` bars after it."""

    type: Literal["trend"]
    horizon: int = Field(10, ge=2, le=10_000, description="Bars ahead that the line is fitted to.")
    t_value: float = Field(2.0, ge=0, le=1e6, description="Above it lies a trend; 0 leaves two classes, down and up.")


ShippedLabels = Annotated[Direction | ForwardReturn | TripleBarrier | Trend, Field(discriminator="type")]

Labels = Annotated[
    Annotated[
        Annotated[ShippedLabels, Tag(SHIPPED)] | Annotated[PluginLabel, Tag(PLUGIN)],
        shipped_or_plugin(ShippedLabels),
        Field(json_schema_extra=only_shipped),
    ],
    typed("direction"),
]
