"""What goes into a training."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
