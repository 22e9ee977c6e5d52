"""The schema of strategies: parsed once, immutable afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, Self

from pydantic import (
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ktrdr.payloads.plugins import PluginKind
from ktrdr.payloads.trading_rules import Costs, Positions
from ktrdr.strategy.sections.base import NamedTimeframe, PluginLabel, PluginModel, Section
from ktrdr.strategy.sections.indicators import AnyIndicator, PluginFeature, TableColumn
from ktrdr.strategy.sections.labels import Direction, Labels
from ktrdr.strategy.sections.model import BOOSTING_RATE, Model
from ktrdr.strategy.sections.training import Training
from ktrdr.strategy.sections.validation import Holdout, Validation
from ktrdr.timeframe import Timeframe


class Controls(Section):
    """Control models, which show what the training procedure reaches without information."""

    shuffled_labels: Literal["brief", "full", "none"] = Field(
        "brief", description="The same model on shuffled labels: a tenth of the epochs, all of them, or not at all."
    )


class Data(Section):
    """Requirements that bars must meet before a training; absent limits are not checked."""

    min_coverage: float | None = Field(
        None, ge=0, le=1, description="Least share of the bars expected by the calendar that must be there, as 0.99."
    )
    max_gap: int | None = Field(
        None, ge=0, le=1_000_000, description="Most expected bars in a row that may be missing."
    )
    holes: Literal["cut", "bridge"] = Field(
        "cut", description="Whether features, labels and returns stop at a hole in the bars, or bridge it."
    )


class Features(Section):
    returns: bool = Field(True, description="Whether the log return of the close is a feature.")
    scaling: Literal["standard", "robust", "none"] = Field(
        "standard", description="How features are scaled, with statistics of the training part alone."
    )


class PluginUse(NamedTuple):
    """A plugin that a strategy uses, and the SHA-256 of its file, which a loaded strategy has."""

    kind: PluginKind
    name: str
    sha256: str | None


class Strategy(Section):
    name: str = Field(min_length=1, max_length=128, description="What the strategy is called.")
    description: str = Field("", max_length=10_000, description="What it tries, in words.")
    timeframes: tuple[NamedTimeframe, ...] = Field(
        (),
        strict=False,
        max_length=8,
        description="Of the bars, shortest first: samples end on those of the first; by default what is asked for.",
    )
    calendar: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9/_]{1,32}$",
        description="Exchange whose sessions say when a bar has closed and which are missing, as XNYS; by default the "
        "symbol's named one, or else a bar's full length, and a guess of what is missing.",
    )
    data: Data = Field(default_factory=Data, description="What bars it will do with.")
    model: Model
    training: Training = Field(default_factory=Training, description="How the model is trained.")
    validation: Validation = Field(default_factory=Holdout, description="On what it is judged.")
    indicators: tuple[AnyIndicator, ...] = Field(
        (),
        strict=False,
        max_length=256,
        description="TA-Lib functions, formulas and tables that features are made of.",
    )
    labels: Labels = Field(default_factory=Direction, description="What the model learns to tell.")
    features: Features = Field(default_factory=Features, description="How features are made of bars.")
    positions: Positions = Field(
        default_factory=Positions,
        exclude_if=lambda positions: positions == Positions(),
        description="How predictions become positions.",
    )
    costs: Costs = Field(default_factory=Costs, description="What trading on the predictions would cost.")
    controls: Controls = Field(default_factory=Controls, description="What is trained for comparison.")

    @model_validator(mode="before")
    @classmethod
    def _suit_learning_rate(cls, data: Any) -> Any:
        """A round of boosting takes larger steps than a batch: the usual default is another."""
        if not isinstance(data, dict) or not isinstance(model := data.get("model"), dict):
            return data
        training = data.get("training", {})
        if model.get("type") != "gradient_boosting" or not isinstance(training, dict) or "learning_rate" in training:
            return data
        return data | {"training": {"learning_rate": BOOSTING_RATE, **training}}

    @model_validator(mode="after")
    def _check_timeframes(self) -> Self:
        if list(self.timeframes) != sorted(set(self.timeframes), key=lambda each: each.length):
            raise PydanticCustomError("timeframes", "name each once, shortest first", {"key": "timeframes"})
        return self

    @model_validator(mode="after")
    def _check_schedule(self) -> Self:
        if self.training.schedule is not None and self.model.type == "gradient_boosting":
            raise PydanticCustomError(
                "schedule",
                "be absent with model.type gradient_boosting, whose rounds all have the same learning_rate",
                {"key": ("training", "schedule")},
            )
        return self

    @property
    def is_regression(self) -> bool:
        if isinstance(self.labels, PluginLabel):
            return not self.labels.classes
        return self.labels.type == "forward_return"

    @property
    def plugins(self) -> tuple[PluginUse, ...]:
        """What it uses of plugins."""
        uses = [
            PluginUse("feature", each.plugin, each.sha256)
            for each in self.indicators
            if isinstance(each, PluginFeature)
        ]
        if isinstance(self.labels, PluginLabel):
            uses.append(PluginUse("label", self.labels.type, self.labels.sha256))
        if isinstance(self.model, PluginModel):
            uses.append(PluginUse("network", self.model.type, self.model.sha256))
        return tuple(dict.fromkeys(uses))

    @property
    def table_columns(self) -> tuple[TableColumn, ...]:
        return tuple(each for each in self.indicators if isinstance(each, TableColumn))

    @property
    def slug(self) -> str:
        """The name in lower case with underscores, as files and lists show it."""
        return re.sub(r"[^a-z0-9]+", "_", self.name.lower()).strip("_") or "strategy"

    def on(self, timeframes: Iterable[str]) -> Strategy:
        """The same strategy on these timeframes, shortest first."""
        return self.model_copy(update={"timeframes": tuple(map(Timeframe, timeframes))})
