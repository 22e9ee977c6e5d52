"""The rows that several models have predicted, so that they can be compared pair by pair."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation.evaluated_rows import EvaluatedRows

Integers = NDArray[np.int64]


def shared_rows(models: Sequence[EvaluatedRows]) -> tuple[list[EvaluatedRows], int]:
    """The rows that all models have, in one order, and how many more differ in their labels."""
    keys = _keys(models)
    common = keys[0]
    for other in keys[1:]:
        common = np.intersect1d(common, other)
    placed = [rows.take(_places(own, common)) for rows, own in zip(models, keys, strict=True)]
    same = np.ones(len(common), bool)
    for other_rows in placed[1:]:
        same &= _same_labels(placed[0], other_rows)
    kept = np.flatnonzero(same)
    return [rows.take(kept) for rows in placed], len(common) - len(kept)


def _keys(models: Sequence[EvaluatedRows]) -> list[Integers]:
    """[samples] of each model, one number for each symbol and instant."""
    instants = np.unique(np.concatenate([rows.timestamps for rows in models]))
    symbols = np.unique(np.concatenate([rows.symbols for rows in models]))
    return [
        np.searchsorted(instants, rows.timestamps) * len(symbols) + np.searchsorted(symbols, rows.symbols)
        for rows in models
    ]


def _places(own: Integers, common: Integers) -> Integers:
    """Where the keys in `common` are among `own`."""
    order = np.argsort(own)
    return np.asarray(order[np.searchsorted(own, common, sorter=order)], np.int64)


def _same_labels(one: EvaluatedRows, other: EvaluatedRows) -> NDArray[np.bool_]:
    labels = one.labels * one.scales, other.labels * other.scales
    # Targets are stored in single precision.
    equal = np.isclose(*labels, rtol=1e-5, atol=1e-9) if one.is_regression else labels[0] == labels[1]
    return np.asarray(equal & (one.spans == other.spans))
