"""Evaluated rows without a training: one symbol, a row a day."""

from __future__ import annotations

from typing import Any

import numpy as np

from ktrdr.evaluation.baselines import Guess
from ktrdr.evaluation.evaluated_rows import EvaluatedRows
from ktrdr.evaluation.rivals import Rivals

CLASSES = ("down", "up")


def rows(
    labels: Any,
    predicted: Any,
    naive: dict[str, Any],
    *,
    first: int = 0,
    span: int = 1,
    classes: tuple[str, ...] = CLASSES,
    part: str = "validation",
    symbol: str = "UP",
) -> EvaluatedRows:
    """A row a day of one symbol, from day `first` on."""
    days = np.arange(first, first + len(labels))
    kind: Any = np.int64 if classes else np.float64

    def guess(values: Any) -> Guess:
        numbers = np.broadcast_to(np.asarray(values, kind), len(labels)).copy()
        return Guess(numbers, np.full((len(labels), len(classes)), 1 / len(classes)) if classes else None)

    return EvaluatedRows(
        part=part,
        class_names=classes,
        timestamps=np.datetime64("2020-01-01", "us") + days * np.timedelta64(1, "D"),
        symbols=np.full(len(labels), symbol),
        spans=np.full(len(labels), span),
        labels=np.asarray(labels, kind),
        scales=np.ones(len(labels)),
        folds=np.zeros(len(labels), np.int64),
        look_back=np.ones(len(labels), np.int64),
        model=guess(predicted),
        rivals=Rivals({name: guess(values) for name, values in naive.items()}),
    )
