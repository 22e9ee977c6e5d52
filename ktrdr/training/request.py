"""The input of a training."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ktrdr.strategy.spec import Strategy


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """What to train, on which bars, and where to write it.

    strategy: parsed, with its timeframes
    strategy_name: its slug, for lists and files
    strategy_text: its YAML, as it was sent
    start, end: first and last day, both inclusive; None for all stored bars
    output: folder for the model and its checkpoints
    fold: which fold to train, counted from 0
    until: the epoch after which it stops with a checkpoint; None for as many as the strategy asks for
    reproduces: folder of the model that this training repeats
    is_lean: whether it leaves out what ranks no trial: the control on shuffled labels, reports and a last checkpoint
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
    until: int | None = None
    reproduces: Path | None = None
    is_lean: bool = False
