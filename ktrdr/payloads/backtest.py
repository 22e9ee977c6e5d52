"""What trading on a model's predictions would have earned."""

from __future__ import annotations

from pydantic import Field

from ktrdr.payloads.evaluation import OTHER, Lead
from ktrdr.payloads.payload import BarInstant, Payload
from ktrdr.payloads.selection import BacktestSelection
from ktrdr.payloads.trading_rules import Costs, Positions


class Performance(Payload):
    """How one way of trading fared. A figure without a finite value is null."""

    total_return: float = Field(description="Return over the whole part, as a share of the capital.")
    annual_return: float | None = Field(description="The same a year, compounded.")
    annual_volatility: float | None = Field(description="Standard deviation of returns, a year.")
    sharpe: float | None = Field(description="Annual Sharpe ratio, without a risk-free rate.")
    sharpe_standard_error: float | None = Field(
        description="Its standard error, for skewed, fat-tailed and autocorrelated returns (Mertens 2002, Newey-West); "
        "in results of 0.1.0 for independent normal ones (Lo 2002)."
    )
    sharpe_interval: tuple[float, float] | None = Field(
        None, description="Its interval of 95 % confidence; null without a ratio, and in results of 0.1.0."
    )
    max_drawdown: float = Field(description="Deepest fall from a highest value so far, as a negative share of it.")
    turnover: float = Field(description="Traded value, in multiples of the capital.")
    trades: int = Field(description="Number of fills.")
    costs_paid: float = Field(
        description="Fees, slippage and costs of holding, as a share of the capital at the start."
    )


class RandomEntries(Payload):
    """The model's positions, shifted in time by chance: total returns after costs.

    The figures are null where the part is too short for its features' look-back.
    """

    draws: int = Field(description="Number of shifts that were tried; 0 where the part is too short for them.")
    low: float | None = Field(description="The 5 % quantile of their total returns.")
    median: float | None = Field(description="The median of their total returns.")
    high: float | None = Field(description="The 95 % quantile of their total returns.")
    percentile: float | None = Field(description="Percent of them that earned less than the model; ties count half.")
    p_value: float | None = Field(
        None, description="(1 + shifts that earned as much or more) / (1 + shifts); null in results of 0.1.0."
    )
    look_back: int | None = Field(
        None,
        description="Bars that a position looks back on; no shift puts it on one of them. Null in results of 0.1.0, "
        "which shifted by any number of bars.",
    )
    reason: str | None = Field(None, description="Why there are none, where the part is not too short for them.")


class EquityCurve(Payload):
    """Equity, from 1 on, thinned to a few hundred points."""

    timestamps: tuple[BarInstant, ...] = Field(description="Openings of the bars after which the equity was reached.")
    model: tuple[float, ...] = Field(description="Equity of trading on the predictions.")
    buy_and_hold: tuple[float, ...] = Field(description="Equity of holding.")


class BacktestResult(Payload):
    """Trading on the predictions of one part, beside holding and beside entering at random."""

    part: str = Field(description="The rows that were traded: validation, test, or other bars.")
    bars: int = Field(description="Number of instants at which bars opened.")
    bars_per_year: float = Field(description="Bars a year, sessions and holidays included.")
    fee_bps: float = Field(description="Fee in basis points of the traded value.")
    slippage_bps: float = Field(description="Slippage in basis points of the traded value.")
    positions: Positions = Field(default_factory=Positions, description="How predictions became positions.")
    costs: Costs | None = Field(
        None, description="Costs of trading and holding; null in older results, which have fee and slippage alone."
    )
    rules: str = Field(
        "", description="Positions and costs in words; empty where signs are traded at fee and slippage alone."
    )
    model: Performance = Field(description="Trading on the predictions.")
    buy_and_hold: Performance = Field(description="Holding from the first bar to the last.")
    random_entries: RandomEntries = Field(description="The model's positions at random times.")
    against_holding: Lead | None = Field(
        None,
        description="The test that the model's returns exceed those of holding, as a mean a year; null in results of "
        "0.1.0.",
    )
    against_zero: Lead | None = Field(
        None, description="The test that its returns exceed zero, as a mean a year; null in results of 0.1.0."
    )
    selection: BacktestSelection | None = Field(
        None, description="The returns beside those of all tries at the same rows so far; null in older results."
    )
    equity: EquityCurve = Field(description="Equity of the model and of holding.")
    verdict: str = Field(description="The backtest in words.")

    @property
    def where(self) -> str:
        """The bars in words."""
        return "the predicted bars" if self.part == OTHER else f"the {self.part} part"

    @property
    def costs_percent(self) -> float:
        """What a trade costs, in percent of its value."""
        return (self.fee_bps + self.slippage_bps) / 100
