"""A look beside all tries at its rows, by arch's bootstrap and by loops.

A table of gains, or of returns, has one row for each instant and one column for each try; the first is the look's own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kurtosis, norm, skew

Floats = np.ndarray[Any, np.dtype[np.float64]]

GAMMA = 0.5772156649015329
BLOCKS = 12


def luckiest(gains: pd.DataFrame, block: float, missing: int, resamples: int = 2_000) -> Floats:
    """The greatest standardised mean of all tries in resamples, if none has skill."""
    from arch.bootstrap import StationaryBootstrap

    table, random = gains.to_numpy(float), np.random.default_rng(99)
    drawn = StationaryBootstrap(block, table, seed=98).bootstrap(resamples)
    means = np.array([positional[0].mean(axis=0) for positional, _ in drawn])
    errors = means.std(axis=0)
    scores = table.mean(axis=0) / errors
    hopeless = scores < -math.sqrt(2 * math.log(math.log(len(table))))
    by_chance = means / errors - np.where(hopeless, 0.0, scores)
    others = [random.normal(size=missing).max() if missing else -math.inf for _ in range(resamples)]
    return np.array([max(greatest, other) for greatest, other in zip(by_chance.max(axis=1), others, strict=True)])


def p_value(by_chance: Floats, alone: float) -> float:
    return max(alone, float(np.mean(by_chance >= norm.isf(alone))))


def rank(gains: pd.DataFrame) -> int:
    means = gains.mean()
    return int((means > means.iloc[0]).sum()) + 1


def overfitting(gains: pd.DataFrame) -> float:
    """How often the best in one half is at the median of the other, or below."""
    borders = [len(gains) * place // BLOCKS for place in range(BLOCKS + 1)]
    pieces = [gains.to_numpy(float)[first:last] for first, last in pairwise(borders)]
    failures = []
    for half in combinations(range(BLOCKS), BLOCKS // 2):
        one = np.concatenate([pieces[place] for place in half])
        other = np.concatenate([piece for place, piece in enumerate(pieces) if place not in half])
        chosen = (one.mean(axis=0) / one.std(axis=0)).argmax()
        ratios = other.mean(axis=0) / other.std(axis=0)
        failures.append((ratios <= ratios[chosen]).sum() <= (len(ratios) + 1) / 2)
    return float(np.mean(failures))


def deflated(returns: pd.DataFrame, missing: int, yearly: float) -> dict[str, float]:
    """Bailey and López de Prado (2014)."""
    pairs = returns.corr().to_numpy()[np.triu_indices(len(returns.columns), 1)]
    correlation = max(0.0, float(pairs.mean()))
    trials = correlation + (1 - correlation) * len(returns.columns) + missing
    ratios: Sequence[float] = [returns[name].mean() / returns[name].std(ddof=0) for name in returns]
    greatest = (1 - GAMMA) * norm.isf(1 / trials) + GAMMA * norm.isf(1 / (trials * math.e))
    expected, own = greatest * float(np.std(ratios, ddof=1)), returns.iloc[:, 0].to_numpy(float)
    ratio, skewness, tails = ratios[0], float(skew(own)), float(kurtosis(own, fisher=False))
    error = math.sqrt((1 - skewness * ratio + (tails - 1) / 4 * ratio**2) / (len(own) - 1))
    return {
        "effective_trials": trials,
        "expected_sharpe": expected * math.sqrt(yearly),
        "deflated_sharpe": float(norm.cdf((ratio - expected) / error)),
    }
