"""An evaluation of predicted rows.

A table of them has the columns symbol, fold, timestamp, span, label and each predictor's name: what it predicted. A
predictor's probabilities are in the columns `name.class`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tests.recompute import scores
from tests.recompute.inference import (
    Dependence,
    Figures,
    Floats,
    accuracy_interval,
    class_agreement,
    correlation_t,
    lead,
    number_agreement,
    of_rows,
)

RIVALS = ("majority", "mean", "persistence", "logistic_regression", "ridge_regression", "shuffled_control")
NAIVE = ("majority", "mean", "persistence")
LEVELS = {"validation": 0.025, "test": 0.025}  # of the first opening of a test part


def evaluate(table: pd.DataFrame, classes: Sequence[str], part: str) -> Figures:
    """`classes` is empty where numbers were predicted."""
    rows = of_rows(table)
    rivals = [name for name in RIVALS if name in table]
    right, timing = hits(table, classes, "model"), _agreement(table, classes)
    against = {name: lead(_quality(table, classes, "model") - _quality(table, classes, name), rows) for name in rivals}
    tests = [*(against[name] for name in rivals if name in NAIVE), lead(timing, rows)]
    effective, interval = accuracy_interval(right, rows)
    return {
        "samples": len(table),
        "accuracy": float(right.mean()),
        "accuracy_interval": interval,
        "significance": {
            "beats_baselines": all(test["p_value"] < LEVELS[part] for test in tests),
            "level": LEVELS[part],
            "effective_samples": effective,
            "against": against,
            "timing": tests[-1],
        },
        "breakdown": _breakdown(table, classes, against),
        **(_classes(table, classes, rivals, rows) if classes else _numbers(table, rivals, rows)),
    }


def hits(table: pd.DataFrame, classes: Sequence[str], predictor: str) -> Floats:
    if classes:
        return np.asarray(table["label"] == table[predictor], float)
    return np.asarray((table["label"] > 0) == (table[predictor] > 0), float)


def _quality(table: pd.DataFrame, classes: Sequence[str], predictor: str) -> Floats:
    if classes:
        return hits(table, classes, predictor)
    return -np.asarray((table["label"] - table[predictor]) ** 2, float)


def _agreement(table: pd.DataFrame, classes: Sequence[str]) -> Floats:
    return class_agreement(table, classes) if classes else number_agreement(table)


def _breakdown(table: pd.DataFrame, classes: Sequence[str], against: Figures) -> Figures:
    hardest = max((name for name in against if name in NAIVE), key=lambda name: against[name]["p_value"])
    gains = _quality(table, classes, "model") - _quality(table, classes, hardest)
    right = hits(table, classes, "model")

    def group(own: pd.Series) -> Figures:
        inside = own.to_numpy(bool)
        return {
            "samples": int(inside.sum()),
            "accuracy": float(right[inside].mean()),
            "lead": lead(gains[inside], of_rows(table[inside])),
        }

    years = table["timestamp"].dt.year
    return {
        "by_symbol": [group(table["symbol"] == symbol) for symbol in sorted(set(table["symbol"]))],
        "by_year": [group(years == year) for year in sorted(set(years))],
    }


def _classes(table: pd.DataFrame, classes: Sequence[str], rivals: Sequence[str], rows: Dependence) -> Figures:
    own = scores.class_scores(table["label"], table["model"], classes)
    likelihoods = {name: scores.log_likelihoods(table, name) for name in ("model", *rivals)}
    model, shares = likelihoods["model"], likelihoods["majority"]
    assert model is not None
    assert shares is not None
    baselines = {}
    for name in rivals:
        found = scores.class_scores(table["label"], table[name], classes)
        baselines[name] = {figure: found[figure] for figure in ("accuracy", "balanced_accuracy", "mcc")}
        given = likelihoods[name]
        baselines[name]["log_loss"] = None if given is None else -float(given.mean())
    return {
        **own,
        "log_loss": -float(model.mean()),
        "log_loss_lead": lead(model - shares, rows),
        "calibration": scores.calibration(table, rows),
        "baselines": baselines,
    }


def _numbers(table: pd.DataFrame, rivals: Sequence[str], rows: Dependence) -> Figures:
    targets, predicted, means = (table[name].to_numpy(float) for name in ("label", "model", "mean"))
    ranked = [np.asarray(table[name].rank(), float) for name in ("label", "model")]
    return {
        **scores.number_scores(targets, predicted, means),
        "ic_t": correlation_t(targets, predicted, rows),
        "rank_ic_t": correlation_t(ranked[0], ranked[1], rows),
        "baselines": {name: scores.number_scores(targets, table[name].to_numpy(float), means) for name in rivals},
    }
