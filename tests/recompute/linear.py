"""The features RSI and log return, scaled, and linear models of those of the last bar."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.special import log_softmax, softmax

from tests.recompute.inference import Floats
from tests.recompute.samples import Bars, Rules

RSI_PERIOD = 5


def features(bars: Bars) -> Floats:
    """[rows, 2]; every stretch without a hole begins anew."""
    found = []
    for row, close in enumerate(bars.close):
        begin = bars.begin(row)
        if row == begin:
            changes: list[float] = []
            gains = losses = math.nan
        else:
            changes.append(close - bars.close[row - 1])
            gain, loss = max(changes[-1], 0.0), max(-changes[-1], 0.0)
            if len(changes) == RSI_PERIOD:
                gains, losses = (sum(max(sign * c, 0.0) for c in changes) / RSI_PERIOD for sign in (1, -1))
            elif len(changes) > RSI_PERIOD:
                gains, losses = (
                    (past * (RSI_PERIOD - 1) + now) / RSI_PERIOD for past, now in ((gains, gain), (losses, loss))
                )
        log_return = math.log(close / bars.close[row - 1]) if row > begin else math.nan
        found.append((log_return, 100 * gains / (gains + losses)))
    return np.array(found)


def last_bars(series: Mapping[str, Bars], samples: pd.DataFrame, rules: Rules) -> Floats:
    """[samples, 2], scaled by the rows in training windows, rounded to 32 bits, and scaled again by the samples."""
    own = {symbol: features(bars) for symbol, bars in series.items()}
    train = samples[samples["part"] == "train"]
    windows = {
        (symbol, row - back)
        for symbol, row in zip(train["symbol"], train["row"], strict=True)
        for back in range(rules.window)
    }
    known = np.array([own[symbol][row] for symbol, row in sorted(windows)])
    last = np.array([own[symbol][row] for symbol, row in zip(samples["symbol"], samples["row"], strict=True)])
    scaled = ((last - known.mean(axis=0)) / known.std(axis=0)).astype(np.float32).astype(float)
    trained = scaled[(samples["part"] == "train").to_numpy()]
    return np.asarray((scaled - trained.mean(axis=0)) / trained.std(axis=0), float)


def ridge(inputs: Floats, targets: Floats, others: Floats) -> Floats:
    """With a penalty of 1 on the squares of the weights, none on the intercept."""
    centre, mean = inputs.mean(axis=0), targets.mean()
    weights = np.linalg.solve(
        (inputs - centre).T @ (inputs - centre) + np.eye(inputs.shape[1]), (inputs - centre).T @ (targets - mean)
    )
    return np.asarray((others - centre) @ weights + mean, float)


def logistic(inputs: Floats, labels: Sequence[str], classes: Sequence[str], others: Floats) -> Floats:
    """[others, classes], probabilities by Newton's method: cross-entropy plus half the squares of the weights.

    With two classes the first one has no weights of its own.
    """
    design, more = (np.column_stack([each, np.ones(len(each))]) for each in (inputs, others))
    fitted = list(classes[1:]) if len(classes) == 2 else list(classes)
    truth = np.array([[label == name for name in fitted] for label in labels], float)
    penalty = np.diag(np.tile([1.0] * inputs.shape[1] + [0.0], len(fitted)))
    weights = np.zeros(len(penalty))

    def scores(rows: Floats) -> Floats:
        own = rows @ weights.reshape(len(fitted), -1).T
        return np.column_stack([np.zeros(len(own)), own]) if len(classes) == 2 else own

    for _ in range(30):
        shares = softmax(scores(design), axis=1)[:, -len(fitted) :]
        slope = ((shares - truth).T @ design).ravel() + penalty @ weights
        curve = penalty + sum(
            np.kron(np.diag(share) - np.outer(share, share), np.outer(row, row))
            for share, row in zip(shares, design, strict=True)
        )
        step = np.linalg.lstsq(curve, slope, rcond=1e-12)[0]
        weights = weights - step
        if abs(step).max() < 1e-13:
            break
    return np.asarray(np.exp(log_softmax(scores(more), axis=1)), float)
