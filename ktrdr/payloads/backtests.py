"""What a trained model comes to on bars of somebody's choice."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ktrdr.payloads.backtest import BacktestResult
from ktrdr.payloads.evaluation import Evaluation
from ktrdr.payloads.payload import BarInstant, Payload
from ktrdr.payloads.results import FileResults


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
