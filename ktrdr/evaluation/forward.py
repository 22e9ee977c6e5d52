"""Tests predictions that were made before their outcomes, after every outcome and for as long as somebody likes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation.betting import ENOUGH, Evidence, gather_evidence
from ktrdr.evaluation.metrics import sign_hits
from ktrdr.market.sessions import instant
from ktrdr.payloads.forward import USUAL, ForwardGain, ForwardTest

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Instants = NDArray[np.datetime64]

# Outcomes beyond it count as it, in deviations of the training labels: what is bet on must be bounded.
MOST_DEVIATIONS = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class ForwardRows:
    """Predictions in the order in which they were made. Arrays are [rows].

    made_at: closing instants (us, UTC) of the predicted bars
    settled_at: closing instants of the bars that settle their labels; NaT where these have not closed
    symbols: numbers of the symbols
    labels: class indices, or targets in deviations of the training labels; of no matter where nothing is settled
    model: what the model predicted, in the same unit
    naive: what each naive baseline predicted
    horizon: bars that a label looks ahead at most
    is_regression: whether labels are numbers
    """

    made_at: Instants
    settled_at: Instants
    symbols: Integers
    labels: NDArray[Any]
    model: NDArray[Any]
    naive: Mapping[str, NDArray[Any]]
    horizon: int
    is_regression: bool

    def __len__(self) -> int:
        return len(self.made_at)

    @property
    def is_settled(self) -> NDArray[np.bool_]:
        return ~np.isnat(self.settled_at)

    @property
    def rivals(self) -> dict[str, NDArray[Any]]:
        usual = _usual_number if self.is_regression else _usual_class
        return {**self.naive, USUAL: _by_symbol(self.symbols, self.model, usual)}


def forward_test(rows: ForwardRows) -> ForwardTest:
    """Bet on the model's gain over each rival that knows nothing; the least of the e-values counts.

    A lead over all of them is claimed where that least reaches ENOUGH.
    """
    settled = rows.is_settled
    if not settled.any():
        return ForwardTest(
            predictions=len(rows),
            settled=0,
            accuracy=None,
            against={},
            enough=ENOUGH,
            is_regression=rows.is_regression,
        )
    bets = bets_of(rows)
    evidence = bets.evidence(rows.horizon)
    least = evidence.values.min(axis=1)
    claimed = np.flatnonzero(least >= ENOUGH)
    return ForwardTest(
        predictions=len(rows),
        settled=int(settled.sum()),
        accuracy=float(_hits(rows)[settled].mean()),
        against={
            name: ForwardGain(
                lead=float(_leads(rows, rival)[settled].mean()),
                e_value=float(evidence.now[place]),
                highest=float(evidence.highest[place]),
            )
            for place, (name, rival) in enumerate(rows.rivals.items())
        },
        e_value=float(least[-1]),
        highest=float(least.max()),
        enough=ENOUGH,
        claimed_at=instant(np.append(bets.opens, rows.settled_at[settled].max())[claimed[0]]) if len(claimed) else None,
        is_regression=rows.is_regression,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Bets:
    """What is bet on at each instant, in the terms of `gather_evidence`."""

    opens: Instants
    settles: Instants
    gains: Floats

    def evidence(self, streams: int) -> Evidence:
        return gather_evidence(self.opens, self.settles, self.gains, streams)


def bets_of(rows: ForwardRows) -> Bets:
    """One bet for each instant and each of `rows.rivals`.

    Symbols move together, so the gains of one instant are averaged. It is settled once all of them are.
    """
    opens, places = np.unique(rows.made_at, return_inverse=True)
    counts = np.bincount(places, minlength=len(opens))
    gains = np.stack(
        [np.bincount(places, bounded_gains(rows, rival), len(opens)) / counts for rival in rows.rivals.values()],
        axis=1,
    )
    settles = opens.copy()
    np.maximum.at(settles, places[rows.is_settled], rows.settled_at[rows.is_settled])
    settles[np.unique(places[~rows.is_settled])] = np.datetime64("NaT")
    return Bets(opens, settles, gains)


def bounded_gains(rows: ForwardRows, rival: NDArray[Any]) -> Floats:
    """[rows], from -1 to 1; 0 where nothing is settled.

    Of classes 1 where only the model is right, -1 where only the rival is. Of numbers the difference of the squared
    errors as a share of the largest that there could have been, known before the outcome y: with m and r the two
    predictions and |y| <= c, ((y - r)^2 - (y - m)^2) / (|m - r| (2 c + |m + r|)).
    """
    if not rows.is_regression:
        return _leads(rows, rival)
    largest = np.abs(rows.model - rival) * (2 * MOST_DEVIATIONS + np.abs(rows.model + rival))
    outcome = np.clip(rows.labels, -MOST_DEVIATIONS, MOST_DEVIATIONS)
    gains = (rows.model - rival) * (2 * outcome - rows.model - rival)
    return np.where(rows.is_settled & (largest > 0), gains / np.where(largest > 0, largest, 1.0), 0.0)


def _leads(rows: ForwardRows, rival: NDArray[Any]) -> Floats:
    """[rows], the gain in the unit of `Lead`; 0 where nothing is settled."""
    if rows.is_regression:
        gains = (rival - rows.labels) ** 2 - (rows.model - rows.labels) ** 2
    else:
        gains = (rows.model == rows.labels).astype(np.float64) - (rival == rows.labels)
    return np.where(rows.is_settled, gains, 0.0)


def _hits(rows: ForwardRows) -> Floats:
    if rows.is_regression:
        return np.asarray(sign_hits(rows.labels, rows.model), np.float64)
    return np.asarray(rows.model == rows.labels, np.float64)


def _by_symbol(symbols: Integers, predicted: NDArray[Any], usual: Any) -> NDArray[Any]:
    rival = np.empty_like(predicted)
    for number in np.unique(symbols):
        rival[symbols == number] = usual(predicted[symbols == number])
    return rival


def _usual_class(predicted: Integers) -> Integers:
    """[rows], the class that was predicted most often before; at first the prediction itself, which gains nothing."""
    counts = np.cumsum(predicted[:, None] == np.arange(predicted.max() + 1), axis=0)
    return np.concatenate([predicted[:1], counts[:-1].argmax(axis=1)])


def _usual_number(predicted: Floats) -> Floats:
    """[rows], the mean of the predictions before."""
    means = np.cumsum(predicted) / np.arange(1, len(predicted) + 1)
    return np.concatenate([predicted[:1], means[:-1]])
