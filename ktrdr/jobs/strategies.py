"""The strategy of a job, with the plugins that there were when the job was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.payloads.jobs import StrategyOnBars
from ktrdr.strategy.loading import load_strategy
from ktrdr.strategy.spec import Strategy


def strategy_of(job: StrategyOnBars, parsed: Mapping[str, Any] | None = None) -> Strategy:
    """The strategy on its timeframes; `parsed` is what reading its text gives. Raises StrategyError."""
    return load_strategy(job.strategy, catalogue_of(job), parsed).on(job.timeframes)


def catalogue_of(job: StrategyOnBars) -> IndicatorCatalogue:
    """The indicators that the job knows; none of its plugins runs for that."""
    return IndicatorCatalogue(lambda: job.plugins)
