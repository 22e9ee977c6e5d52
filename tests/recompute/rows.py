"""The rows of every part with their labels, and what the baselines say of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tests.recompute import linear
from tests.recompute.samples import Bars, Rules, samples


def build(series: Mapping[str, Bars], rules: Rules) -> pd.DataFrame:
    """Samples with the columns label and, for each baseline, its name; numbers in deviations of the training labels."""
    table = samples(series, rules).assign(fold=rules.fold)
    train = (table["part"] == "train").to_numpy()
    inputs = linear.last_bars(series, table, rules)
    if rules.regression:
        scale = float(np.std(table["move"][train]))
        table["label"] = (table["move"] / scale).astype(np.float32).astype(float)
        table["mean"] = float(table["label"][train].mean())
        table["persistence"] = (table["last_move"] / scale).astype(np.float32).astype(float)
        table["ridge_regression"] = linear.ridge(inputs[train], table["label"][train].to_numpy(), inputs)
        return table
    table["label"] = table["move"].map(rules.label)
    shares = table["label"][train].value_counts(normalize=True).reindex(rules.classes, fill_value=0.0)
    table["majority"] = str(shares.idxmax())
    table["persistence"] = table["last_move"].map(rules.label)
    fitted = linear.logistic(inputs[train], list(table["label"][train]), rules.classes, inputs)
    table["logistic_regression"] = [rules.classes[place] for place in fitted.argmax(axis=1)]
    for place, name in enumerate(rules.classes):
        table[f"majority.{name}"] = shares[name]
        table[f"logistic_regression.{name}"] = fitted[:, place]
    return table
