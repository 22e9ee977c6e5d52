"""What a trained model comes to on bars of somebody's choice."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ktrdr.payloads.backtest import BacktestResult
from ktrdr.payloads.evaluation import Evaluation
from ktrdr.payloads.payload import BarInstant, Payload
from ktrdr.payloads.results import FileResults


class CostPoint(Payload):
    """The return with other costs."""

    cost_bps: float = Field(description="Fee and slippage together, in basis points of the traded value.")
    total_return: float = Field(description="Return after these costs, as a share.")


class DelayPoint(Payload):
    """The return where each position is taken later."""

    bars: int = Field(description="Bars after the open at which it would have been taken.")
    total_return: float = Field(description="Return after costs, as a share.")


class GroupReturn(Payload):
    """The bars of one group, one after another."""

    group: str = Field(description="Its name: a year, a weekday, an hour (UTC), a third of volatility, or a symbol.")
    bars: int = Field(description="Number of its bars.")
    total_return: float = Field(description="Return of the model on them after costs, as a share.")
    held_return: float = Field(description="Return of holding on them.")


class ReturnBands(Payload):
    """What other orders of the same bars would have come to, by a circular block bootstrap; lists are quantiles."""

    draws: int = Field(description="Number of resamples.")
    block: int = Field(description="Bars of one block.")
    levels: tuple[float, ...] = Field(description="The quantiles' levels.")
    total_return: tuple[float, ...] = Field(description="Quantiles of the return after costs.")
    max_drawdown: tuple[float, ...] = Field(description="Quantiles of the deepest drawdown, from the deepest on.")
    loss_probability: float = Field(description="Share of the resamples that end below the capital at the start.")
    bars: tuple[int, ...] = Field((), description="Numbers of bars since the start, up to all of them.")
    equity: tuple[tuple[float, ...], ...] = Field(
        (), description="For each level the quantiles of the equity after so many bars; it begins with 1."
    )


class Stress(Payload):
    """How much the return depends on costs, on the delay of orders, on chance, and on single stretches."""

    costs: tuple[CostPoint, ...] = Field(description="Returns by costs, rising.")
    break_even_bps: float | None = Field(
        description="Costs at which nothing is left of the return; null where it loses without costs, never trades, or "
        "outlives all costs."
    )
    delays: tuple[DelayPoint, ...] = Field(description="Returns by delay, from none on.")
    bands: ReturnBands | None = Field(description="Null where there are too few bars.")
    by_year: tuple[GroupReturn, ...] = Field(description="By calendar year (UTC).")
    by_volatility: tuple[GroupReturn, ...] = Field(
        description="By thirds of the volatility of holding over the 20 bars before; empty with fewer than 60 bars."
    )
    by_weekday: tuple[GroupReturn, ...] = Field(description="By weekday (UTC) of the bar's opening.")
    by_hour: tuple[GroupReturn, ...] = Field(description="By hour (UTC); empty for bars of a day or longer.")
    by_symbol: tuple[GroupReturn, ...] = Field(description="Each symbol with the whole capital.")


class FoldShare(Payload):
    """The share of one model in a backtest of a training in folds."""

    fold: int = Field(description="Its number, counted from 1; 1 of a training without folds.")
    operation_id: str = Field(description="The operation that trained it.")
    samples: int = Field(description="Number of samples that it predicted, as the last model that had not seen them.")


class BacktestResults(FileResults):
    """Results of a backtest."""

    kind: Literal["backtest"] = Field("backtest", description="The kind of results.")
    model: str = Field(description="Operation that trained the model.")
    symbols: tuple[str, ...] = Field(description="Symbols whose bars were predicted and traded.")
    timeframe: str = Field(description="Timeframe of the bars on which samples end.")
    samples: int = Field(description="Number of predicted bars whose labels are settled.")
    first: BarInstant = Field(alias="from", description="Opening of the first one.")
    last: BarInstant = Field(alias="to", description="Opening of the last one.")
    trained_samples: int = Field(description="Those that every model was trained on, which are no evidence.")
    selected_samples: int = Field(description="Those of a validation part, which the choice of an epoch depends on.")
    sealed_samples: int = Field(description="Bars that were left out, as they are in a sealed test part.")
    folds: tuple[FoldShare, ...] = Field(description="The models that predicted them.")
    trades: int = Field(description="Number of trades, each from its entry to its exit.")
    warnings: tuple[str, ...] = Field(description="What stands against the figures.")
    evaluation: Evaluation = Field(description="How good the predictions were.")
    backtest: BacktestResult = Field(alias="money", description="What trading on them earned.")
    stress: Stress | None = Field(None, description="What that depends on.")
