"""What is known before a training: its samples, and what those of a part can show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from tests.recompute.evaluation import LEVELS
from tests.recompute.inference import Figures, critical, long_run_variance, of_rows
from tests.recompute.samples import Bars, Rules

POWER_80 = 0.8416


def preflight(series: Mapping[str, Bars], samples: pd.DataFrame, rules: Rules, parameters: int) -> Figures:
    """`samples` has the column label."""
    names = [name for name in ("train", "validation", "test") if (samples["part"] == name).any()]
    parts = [_part(samples, name, rules) for name in names]
    return {
        "symbols": [_symbol(bars, samples[samples["symbol"] == symbol], rules) for symbol, bars in series.items()],
        "parts": parts,
        "features": 2,
        "window": rules.window,
        "parameters": parameters,
        "parameters_per_sample": parameters / parts[0]["samples"],
        "folds": 1,
        "by_fold": [{"fold": rules.fold + 1, "parts": parts}],
    }


def _symbol(bars: Bars, own: pd.DataFrame, rules: Rules) -> Figures:
    stretches = [*bars.holes, len(bars.close)]
    return {
        "bars": len(bars.close),
        "warmup_rows": rules.warmup,
        **{
            f"{name}_samples": int((own["part"] == part).sum())
            for name, part in (("train", "train"), ("validation", "validation"), ("test", "test"), ("purged", "purged"))
        },
        "unlabelled_rows": rules.horizon * len(stretches),
        "calendar": {"is_guess": True},
        "holes": [
            {"bars": round((bars.opened[row] - bars.opened[row - 1]) / bars.length) - 1} for row in stretches[:-1]
        ],
    }


def _part(samples: pd.DataFrame, name: str, rules: Rules) -> Figures:
    train, own = (samples[samples["part"] == part] for part in ("train", name))
    effective, least = resolution(train, own, rules, LEVELS.get(name, 0.025))
    if rules.regression:
        shares = {"not above 0": float((own["label"] <= 0).mean()), "above 0": float((own["label"] > 0).mean())}
    else:
        shares = {name: float((own["label"] == name).mean()) for name in rules.classes}
    return {"samples": len(own), "shares": shares, "resolution": least, "effective_samples": round(effective)}


def resolution(train: pd.DataFrame, part: pd.DataFrame, rules: Rules, level: float) -> tuple[float, float]:
    """Effective samples of `part`, and the least lead or correlation that they show four times in five."""
    rows = of_rows(part)
    effective = max(1.0, len(part) / _weight(train, part["symbol"].nunique(), rules))
    needed = critical(level, rows.b) * math.sqrt(rows.bias) + POWER_80
    disagreement = 1.0
    if not rules.regression:
        shares = {name: float((part["label"] == name).mean()) for name in rules.classes}
        majority = max(rules.classes, key=lambda name: (train["label"] == name).sum())
        # A guess that follows the shares is right where the majority is not, or the other way round.
        disagreement = sum(share * (share if name != majority else 1 - share) for name, share in shares.items())
    return effective, needed * math.sqrt(disagreement / (effective + needed**2))


def _weight(train: pd.DataFrame, symbols: int, rules: Rules) -> float:
    """How many samples weigh as much as one: by overlap, and by symbols that move together."""
    rows, symbols_trained = of_rows(train), len(set(train["symbol"]))
    independent = together = apart = 0.0
    columns = [train["label"]] if rules.regression else [train["label"] == name for name in rules.classes]
    for column in columns:
        own = column.astype(float) - column.astype(float).groupby(train["symbol"]).transform("mean")
        independent += float((own**2).sum())
        together += long_run_variance(own.to_numpy(), rows)
        for symbol in set(train["symbol"]):
            inside = (train["symbol"] == symbol).to_numpy()
            alone = replace(rows, instants=train["timestamp"][inside])
            apart += long_run_variance(np.asarray(own[inside], float), alone)
    correlation = (together / apart - 1) / max(1, symbols_trained - 1)
    overlap = max(1.0, apart / independent / rows.bias)
    return overlap * (1 + (symbols - 1) * min(1.0, max(0.0, correlation)))
