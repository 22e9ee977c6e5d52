"""What the folds of one training say together: mean and spread of each measure, and in words. Needs no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ktrdr.reports.folds_plot import MEASURES, Results, plot, summary
from ktrdr.training.files import CARD, SUMMARY, write_file

PLOT = "folds.png"


LEVEL = 0.05
_NAIVE = ("majority", "mean", "persistence")


def summarise(folds: Sequence[tuple[str, Results]], output: Path, about: Mapping[str, Any]) -> Results:
    """Results of the whole, from each fold's operation id and results; its artifacts go to `output`.

    The model is that of the last fold, which has seen the newest bars of all in a walk forward.
    """
    told = [_fold(number, *fold) for number, fold in enumerate(folds, start=1)]
    spread = {name: _spread([fold[name] for fold in told]) for name in MEASURES if name in told[0]}
    spread["best_val_loss"] = _spread([fold["best_val_loss"] for fold in told])
    lead = lead_of([fold["lead"] for fold in told])
    sentence = verdict(told, lead)
    last = folds[-1][1]
    results: Results = {
        "final_metrics": {
            "best_epoch": round(float(np.mean([fold["best_epoch"] for fold in told]))),
            "best_val_loss": spread["best_val_loss"]["mean"],
            "best_val_accuracy": spread["accuracy"]["mean"],
            "final_train_loss": _mean(folds, "final_train_loss"),
            "final_val_loss": _mean(folds, "final_val_loss"),
            "total_epochs": sum(fold["total_epochs"] for fold in told),
            "training_duration_seconds": sum(_final(results, "training_duration_seconds") for _, results in folds),
        },
        "folds": told,
        "spread": spread,
        "lead": lead,
        "verdict": sentence,
        "model_path": last["model_path"],
    }
    write_file(output / PLOT, plot(told, sentence))
    write_file(output / SUMMARY, summary(told, spread, sentence, about).encode())
    card = {"operation_ids": [operation_id for operation_id, _ in folds], **about, **results}
    write_file(output / CARD, json.dumps(card, indent=2).encode())
    results["artifacts"] = {
        "metrics_plot": str(output / PLOT),
        "model_summary": str(output / SUMMARY),
        "model_card": str(output / CARD),
    }
    return results


def _fold(number: int, operation_id: str, results: Results) -> Results:
    evaluation, final = results["evaluation"], results["final_metrics"]
    naive = {name: row["accuracy"] for name, row in evaluation["baselines"].items() if name in _NAIVE}
    strongest = max(naive, key=lambda name: float(naive[name]))
    return {
        "fold": number,
        "operation_id": operation_id,
        "from": evaluation["from"],
        "to": evaluation["to"],
        "validation_samples": evaluation["validation_samples"],
        "best_epoch": final["best_epoch"],
        "best_val_loss": final["best_val_loss"],
        "total_epochs": final["total_epochs"],
        **{name: evaluation[name] for name in MEASURES if name in evaluation},
        "strongest_baseline": strongest,
        "baseline_accuracy": naive[strongest],
        "lead": evaluation["accuracy"] - naive[strongest],
        "beats_baselines": evaluation["significance"]["beats_baselines"],
    }


def _final(results: Results, name: str) -> float:
    value: float = results["final_metrics"][name]
    return value


def _mean(folds: Sequence[tuple[str, Results]], name: str) -> float:
    return float(np.mean([_final(results, name) for _, results in folds]))


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "mean": float(np.mean(values)),
        "std": float(np.std(values, ddof=1)),
        "min": float(np.min(values)),
        "max": float(np.max(values)),
    }


def lead_of(leads: Sequence[float]) -> dict[str, Any]:
    """Mean lead over each fold's strongest naive baseline, and Student's one-sided test that it is above zero.

    Folds that train on shared bars are not independent, so the test is kinder than it should be.
    """
    from scipy.stats import t

    error = float(np.std(leads, ddof=1)) / math.sqrt(len(leads))
    mean = float(np.mean(leads))
    p_value = float(t.sf(mean / error, len(leads) - 1)) if error > 0 else float(mean <= 0)
    return {
        "mean": mean,
        "standard_error": error,
        "p_value": p_value,
        "folds_ahead": int(np.sum(np.array(leads) > 0)),
        "beats_baselines": mean > 0 and p_value < LEVEL,
    }


def verdict(told: Sequence[Results], lead: Mapping[str, Any]) -> str:
    ahead = f"ahead of the strongest naive baseline in {lead['folds_ahead']} of {len(told)} folds"
    by = f"{100 * lead['mean']:+.1f} ± {100 * lead['standard_error']:.1f} percentage points on average"
    if lead["beats_baselines"]:
        return f"The model is {ahead}, by {by}: more than chance explains (p = {lead['p_value']:.3f})."
    return f"The model is {ahead}, by {by}: no more than chance explains (p = {lead['p_value']:.2f})."
