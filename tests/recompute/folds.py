"""The results of a whole from those of its folds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tests.recompute.evaluation import NAIVE
from tests.recompute.inference import Figures

MEASURES = ("accuracy", "balanced_accuracy", "mcc", "log_loss", "mse", "ic", "rank_ic")


def summarise(folds: Sequence[Figures], joined: Figures) -> Figures:
    """`folds` are the results of each, `joined` the evaluation of all their rows."""
    scores = [_scores(number, fold) for number, fold in enumerate(folds, start=1)]
    columns = {name: [score[name] for score in scores] for name in (*MEASURES, "best_val_loss")}
    spread = {name: _spread(values) for name, values in columns.items() if None not in values}
    finals = [fold["final_metrics"] for fold in folds]
    _, hardest = _hardest(joined)
    significance = joined["significance"]
    return {
        "folds": scores,
        "spread": spread,
        "final_metrics": {
            "final_train_loss": float(np.mean([each["final_train_loss"] for each in finals])),
            "final_val_loss": float(np.mean([each["final_val_loss"] for each in finals])),
            "best_epoch": round(float(np.mean([each["best_epoch"] for each in finals]))),
            "best_val_loss": spread["best_val_loss"]["mean"],
            "best_val_accuracy": spread["accuracy"]["mean"],
            "total_epochs": sum(each["total_epochs"] for each in finals),
        },
        "lead": {
            "mean": hardest["lead"],
            "standard_error": hardest["standard_error"],
            "p_value": max(hardest["p_value"], significance["timing"]["p_value"]),
            "folds_ahead": sum(score["lead"] > 0 for score in scores),
            "beats_baselines": significance["beats_baselines"],
        },
    }


def _scores(number: int, fold: Figures) -> Figures:
    evaluation, final, money = fold["evaluation"], fold["final_metrics"], fold["backtest"]
    name, lead = _hardest(evaluation)
    return {
        "fold": number,
        "samples": evaluation["samples"],
        **{figure: final[figure] for figure in ("best_epoch", "best_val_loss", "total_epochs")},
        **{measure: evaluation.get(measure) for measure in MEASURES},
        "baseline_accuracy": evaluation["baselines"][name]["accuracy"],
        "baseline_mse": evaluation["baselines"][name].get("mse"),
        "lead": lead["lead"],
        "total_return": money["model"]["total_return"],
        "held_return": money["buy_and_hold"]["total_return"],
        "beats_baselines": evaluation["significance"]["beats_baselines"],
    }


def _hardest(evaluation: Figures) -> tuple[str, Figures]:
    """The naive baseline that is beaten least surely; of two alike the one with the smaller lead."""
    against = evaluation["significance"]["against"]
    *_, name = max((against[name]["p_value"], -against[name]["lead"], name) for name in against if name in NAIVE)
    return name, against[name]


def _spread(values: Sequence[float]) -> Figures:
    return {
        "mean": float(np.mean(values)),
        "std": float(np.std(values, ddof=1)),
        "min": min(values),
        "max": max(values),
    }
