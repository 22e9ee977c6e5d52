"""The section `model`: each family has keys of its own."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ktrdr.strategy.sections.base import (
    PLUGIN,
    SHIPPED,
    Fraction,
    ModelSpec,
    PluginModel,
    only_shipped,
    shipped_or_plugin,
)

BOOSTING_RATE = 0.05


class Network(ModelSpec):
    layers: int = Field(2, ge=1, le=16, description="Number of stacked layers.")
    hidden_size: int = Field(64, ge=1, le=4096, description="Units in each layer.")
    dropout: Fraction = Field(0.0, description="Share of activations dropped between layers while training.")


class LSTM(Network):
    type: Literal["lstm"]


class GRU(Network):
    type: Literal["gru"]


class MLP(Network):
    type: Literal["mlp"]


class TCN(Network):
    """Dilated causal convolutions, the dilation doubling with each layer."""

    type: Literal["tcn"]
    kernel_size: int = Field(3, ge=2, le=64, description="Bars that one convolution sees.")


class Transformer(Network):
    """Self-attention that looks at a bar and those before it."""

    type: Literal["transformer"]
    heads: int = Field(4, ge=1, le=64, description="Attention heads; they divide hidden_size.")

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        if self.hidden_size % self.heads:
            raise PydanticCustomError(
                "heads",
                "divide hidden_size; it is {heads}, and hidden_size is {size}",
                {"heads": self.heads, "size": self.hidden_size, "key": "heads"},
            )
        return self


class GradientBoosting(ModelSpec):
    """Boosted trees over the window's values side by side; an epoch is one round."""

    type: Literal["gradient_boosting"]
    sequence_length: int = Field(1, ge=1, le=2048, description="Bars in one window; all their values are inputs.")
    leaves: int = Field(15, ge=2, le=4096, description="Most leaves of a tree.")
    min_leaf_samples: int = Field(20, ge=1, le=1_000_000, description="Fewest samples in a leaf.")
    feature_fraction: float = Field(1.0, gt=0, le=1, description="Share of the inputs that each tree may use.")
    l2: float = Field(0.0, ge=0, le=1e6, description="Strength of the pull of leaf values towards zero.")


ShippedModel = Annotated[LSTM | GRU | MLP | TCN | Transformer | GradientBoosting, Field(discriminator="type")]

Model = Annotated[
    Annotated[ShippedModel, Tag(SHIPPED)] | Annotated[PluginModel, Tag(PLUGIN)],
    shipped_or_plugin(ShippedModel),
    Field(description="The model that is trained.", json_schema_extra=only_shipped),
]
