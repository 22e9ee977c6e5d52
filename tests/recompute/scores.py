"""How good predictions are, without a word on chance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from tests.recompute.inference import Dependence, Figures, Floats, inflation, varies


def class_scores(labels: pd.Series, predicted: pd.Series, classes: Sequence[str]) -> Figures:
    confusion = [[int(((labels == a) & (predicted == b)).sum()) for b in classes] for a in classes]
    true, guessed = [sum(row) for row in confusion], [sum(column) for column in zip(*confusion, strict=True)]
    total, right = sum(true), sum(confusion[k][k] for k in range(len(classes)))
    recalls = [confusion[k][k] / true[k] for k in range(len(classes)) if true[k]]
    spread = math.sqrt((total**2 - sum(n * n for n in true)) * (total**2 - sum(n * n for n in guessed)))
    crossed = right * total - sum(a * b for a, b in zip(true, guessed, strict=True))
    return {
        "accuracy": right / total,
        "balanced_accuracy": sum(recalls) / len(recalls),
        "mcc": crossed / spread if spread else 0.0,
        "confusion": confusion,
        "f1": {
            name: 2 * confusion[k][k] / (true[k] + guessed[k]) if true[k] + guessed[k] else 0.0
            for k, name in enumerate(classes)
        },
    }


def log_likelihoods(table: pd.DataFrame, predictor: str) -> Floats | None:
    """[rows], of the probabilities of a predictor; None where it gives none."""
    if not any(str(name).startswith(f"{predictor}.") for name in table):
        return None
    return np.array([math.log(row[f"{predictor}.{row['label']}"]) for row in table.to_dict("records")])


def calibration(table: pd.DataFrame, rows: Dependence) -> Figures:
    confidence = np.array([row[f"model.{row['model']}"] for row in table.to_dict("records")])
    hits = (table["label"] == table["model"]).to_numpy(float)
    edges = np.unique(np.quantile(confidence, [k / 10 for k in range(1, 10)]))
    bins = np.array([sum(value > edge for edge in edges) for value in confidence])
    error = chance = 0.0
    listed = []
    for number in sorted(set(bins)):
        inside = bins == number
        mean, share, count = float(confidence[inside].mean()), float(hits[inside].mean()), int(inside.sum())
        weight = inflation(np.where(inside, hits - share, 0.0), rows)
        error += count * abs(share - mean)
        chance += math.sqrt(2 * count * mean * (1 - mean) * weight / math.pi)
        listed.append({"confidence": mean, "accuracy": share, "samples": count})
    return {"expected_error": error / len(table), "error_by_chance": chance / len(table), "bins": listed}


def number_scores(targets: Floats, guesses: Floats, means: Floats) -> Figures:
    mse, naive = float(np.mean((targets - guesses) ** 2)), float(np.mean((targets - means) ** 2))
    one, two = pd.Series(targets), pd.Series(guesses)
    return {
        "mse": mse,
        "r2": 1 - mse / naive,
        "ic": float(one.corr(two)) if varies(guesses) else None,
        "rank_ic": float(one.rank().corr(two.rank())) if varies(guesses) else None,
        "accuracy": float(np.mean((targets > 0) == (guesses > 0))),
    }
