"""What goes into a training and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ktrdr.evaluation.backtest import BacktestResult
    from ktrdr.evaluation.evaluate import Evaluation
    from ktrdr.strategy.spec import Strategy


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """What to train; `output` is the folder that the model and its checkpoints go to.

    The strategy names its timeframes. `fold`, counted from 0, is the one to train of those that its validation makes.
    `reproduces` is the folder of the model that this training is to make again.
    """

    operation_id: str
    strategy: Strategy
    strategy_name: str
    strategy_text: str
    symbols: tuple[str, ...]
    start: date | None
    end: date | None
    output: Path
    fold: int = 0
    reproduces: Path | None = None


@dataclass(frozen=True, slots=True)
class TrainingOutcome:
    """What came of it; a training that was stopped before its first epoch ended has no model and no numbers."""

    status: Literal["success", "cancelled"]
    ending: str
    final_metrics: dict[str, float | int | None]
    evaluation: Evaluation | None = None
    test_evaluation: Evaluation | None = None
    money: BacktestResult | None = None
    test_money: BacktestResult | None = None
    leak_gate: dict[str, Any] | None = None
    preflight: dict[str, Any] | None = None
    reproduction: dict[str, Any] | None = None
    model_path: str = ""
    artifacts: dict[str, str] = field(default_factory=dict)
    phases_seconds: dict[str, float] = field(default_factory=dict)
    final_epoch: int = 0
    best_val_loss: float | None = None
