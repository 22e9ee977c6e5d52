"""Requests for work on a strategy and the bars that it is to meet."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ktrdr.api.schemas.base import Day, Request


class OnBars(Request):
    """A strategy and the bars it is to meet."""

    strategy: str = Field(description="The strategy as YAML text.", max_length=1_000_000)
    symbols: list[str] = Field(min_length=1, max_length=1000)
    timeframes: list[str] = Field(
        default_factory=list, max_length=16, description="May be left out where the strategy names its own."
    )
    set: dict[str, Any] | None = Field(
        None,
        max_length=1000,
        description="Values that take the place of the strategy's own, by their paths, as training.learning_rate or "
        "indicators[0].period; the changed strategy is the one that is stored.",
    )
    start_date: Day | None = Field(None, description="First day, inclusive (UTC).")
    end_date: Day | None = Field(None, description="Last day, inclusive (UTC).")


class TrainingStart(OnBars):
    strategy_name: str = Field(
        "", max_length=128, description="Name to file the run under; default: the strategy's own name."
    )


class SearchStart(OnBars):
    """A strategy with ranges in place of values, and its section `search`."""

    strategy_name: str = Field(
        "", max_length=128, description="Name to file the search under; default: the strategy's own name."
    )


class Audit(OnBars):
    """Asks whether features and labels see the future."""
