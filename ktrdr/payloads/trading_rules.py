"""How predictions become positions, and what trading and holding them costs: two sections of a strategy."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Rules(BaseModel):
    """As strict as all sections of a strategy."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Positions(_Rules):
    """Positions in shares of a symbol's capital."""

    rule: Literal["sign", "threshold"] = Field(
        "sign", description="Trade every prediction, or those that are sure or large enough."
    )
    threshold: float | None = Field(
        None, ge=0, le=1, description="Least probability, or predicted log return, of a position; none of rule sign."
    )
    direction: Literal["both", "long", "short"] = Field("both", description="The sides that may be held.")
    volatility_target: float | None = Field(
        None, gt=0, le=10, description="Volatility a year that a position is sized for, as 0.1; absent for no sizing."
    )
    volatility_span: int = Field(
        60, ge=2, le=100_000, description="Span, in bars, of the moving deviation by which positions are sized."
    )
    kelly: float | None = Field(
        None, gt=0, le=1, description="Fraction of the Kelly position that is held; absent for no such sizing."
    )
    kelly_cap: float = Field(1.0, gt=0, le=100, description="Largest position that this sizing asks for.")
    max_symbol: float = Field(1.0, gt=0, le=100, description="Largest position, long or short; above 1 it is levered.")
    max_gross: float | None = Field(
        None, gt=0, le=100, description="Largest sum of all positions, long and short, as a share of the whole capital."
    )
    band: float = Field(
        0.0, ge=0, le=100, description="How far a held position may be from what is asked for before it is resized."
    )
    hold: Literal["signal", "barrier"] = Field(
        "signal", description="Until the next prediction asks for another position, or to a barrier of the label."
    )
    barrier_fill: Literal["touch", "next_open"] = Field(
        "touch", description="Fills at a barrier: at the touched price, or at the open after a close beyond it."
    )


def _is_nothing(cost: float | None) -> bool:
    return not cost


class Costs(_Rules):
    """Costs of one trade, each way, in basis points (hundredths of a percent) of the traded value, and of holding."""

    fee_bps: float = Field(1.0, ge=0, le=10_000, description="Fee of one trade.")
    slippage_bps: float = Field(2.0, ge=0, le=10_000, description="How much worse than the open a trade is filled.")
    # What a strategy does not have is not in its JSON, so that strategies of before these keys keep their hashes.
    min_fee: float = Field(
        0.0,
        ge=0,
        le=1e9,
        exclude_if=_is_nothing,
        description="Least fee of one trade, in the currency of the capital.",
    )
    borrow_bps_per_day: float = Field(
        0.0,
        ge=0,
        le=1000,
        exclude_if=_is_nothing,
        description="Fee for borrowing what is sold short, a day, of its value.",
    )
    financing_bps_per_day: float = Field(
        0.0, ge=0, le=1000, exclude_if=_is_nothing, description="Interest, a day, on what a levered position borrows."
    )
    participation: float | None = Field(
        None,
        gt=0,
        le=1,
        exclude_if=_is_nothing,
        description="Largest share of a bar's volume that is traded; absent for no limit.",
    )
    capital: float | None = Field(
        None,
        gt=0,
        le=1e15,
        exclude_if=_is_nothing,
        description="Capital at the start, which min_fee and participation are measured against.",
    )
