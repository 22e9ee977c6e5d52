"""How often the best of many tries that know nothing is said to beat its baselines, and one that knows is found.

Tries are simulated guesses, which move together and change slowly. The one with the least p-value is the winner.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from benchmarks.outcome import Figure, at_least, below
from benchmarks.worlds import Floats, Integers, SimulatedPart, World
from ktrdr.evaluation.scored_rows import ScoredRows
from ktrdr.evaluation.significance import VALIDATION_LEVEL, measure_significance
from ktrdr.ledger.account import Account
from ktrdr.ledger.series import LookSeries
from ktrdr.ledger.verdict import verdict_on
from ktrdr.payloads.evaluation import Lead, Significance
from ktrdr.payloads.looks import TIMING, Door, Look, LookFigures, LookKind

SEARCHES, TRIES = 1_000, 50
# Validation rows of 3,000 bars.
ROWS = 590
KNOWN = 0.65
# Correlation of the numbers behind two guesses, and of each with itself a bar later.
ALIKE, PERSISTENCE = 0.5, 0.95
MARKETS = {
    "random walk": World(ROWS),
    "random walk with a drift of 0.1": World(ROWS, drift=0.1),
    "fitted GARCH, t5.5": World(ROWS, volatility="fitted"),
    "Apple's returns shuffled": World(ROWS, volatility="shuffled"),
    "stochastic volatility, t3": World(ROWS, volatility="stochastic"),
    "three classes by volatility": World(ROWS, volatility="stochastic", quantiles=(0.33, 0.67)),
    "labels of 5 bars": World(ROWS, horizon=5),
    "labels of 20 bars": World(ROWS, horizon=20),
}


@dataclass(frozen=True, slots=True)
class Winner:
    """The best of all tries: its number, and whether it beats its baselines by itself and over all tries."""

    number: int
    beats_alone: bool
    beats: bool


def run(searches: int = SEARCHES) -> list[Figure]:
    return [*_false_winners(searches), *_found(searches // 5), *_seconds()]


def _false_winners(searches: int) -> Iterator[Figure]:
    for market, world in MARKETS.items():
        winners = [winner_of(part, guesses(part, TRIES)) for part in world.parts(searches)]
        alone, over_all = (np.mean([getattr(each, name) for each in winners]) for name in ("beats_alone", "beats"))
        yield Figure(f"luckiest of {TRIES} beats its baselines alone: {market}", 100 * float(alone), "%")
        yield Figure(
            f"luckiest of {TRIES} beats them over all tries: {market}", 100 * float(over_all), "%", below(2.01)
        )


def _found(searches: int) -> Iterator[Figure]:
    for horizon, known, aim in ((1, KNOWN, 95), (1, 0.6, None), (5, KNOWN, None), (20, 0.8, None)):
        winners = [
            winner_of(part, [part.right(known), *guesses(part, TRIES - 1)])
            for part in World(ROWS, horizon).parts(searches, seed=1)
        ]
        found = np.mean([each.number == 0 and each.beats for each in winners])
        name = f"the one of {TRIES} that knows {known:.0%}, labels of {horizon} bars, beats them over all tries"
        yield Figure(name, 100 * float(found), "%", at_least(aim) if aim else None)


def guesses(part: SimulatedPart, count: int) -> list[Integers]:
    """Classes [samples, symbols] that know nothing."""
    from scipy.signal import lfilter
    from scipy.special import ndtr

    shape = (part.world.samples, count)
    shocks = np.sqrt(ALIKE) * part.random.normal(size=(shape[0], 1)) + np.sqrt(1 - ALIKE) * part.random.normal(
        size=shape
    )
    numbers = lfilter([np.sqrt(1 - PERSISTENCE**2)], [1.0, -PERSISTENCE], shocks, axis=0)
    classes = np.minimum(ndtr(numbers) * part.classes, part.classes - 1).astype(np.int64)
    return [np.broadcast_to(own[:, None], part.labels.shape) for own in classes.T]


def winner_of(part: SimulatedPart, tries: Sequence[Integers]) -> Winner:
    rows = [part.scored_classes(predicted) for predicted in tries]
    tests = [measure_significance(each, VALIDATION_LEVEL) for each in rows]
    best = int(np.argmin([max(lead.p_value for lead in _tests(each).values()) for each in tests]))
    if not tests[best].beats_baselines:
        return Winner(best, beats_alone=False, beats=False)
    verdict = verdict_on(_name(best), account_of(rows, tests), VALIDATION_LEVEL)
    assert verdict
    return Winner(best, beats_alone=True, beats=verdict.selection.beats_baselines)


def account_of(rows: Sequence[ScoredRows], tests: Sequence[Significance]) -> Account:
    looks = tuple(_look(number, LookFigures(tests=_tests(each))) for number, each in enumerate(tests))
    return Account(looks, looks, {look.look_id: _series(each) for look, each in zip(looks, rows, strict=True)})


def _tests(significance: Significance) -> dict[str, Lead]:
    assert significance.timing
    return {**significance.against, TIMING: significance.timing}


def _name(number: int) -> str:
    return f"look_20260101_{number:06}"


def _look(number: int, figures: LookFigures) -> Look:
    now = datetime.now(UTC)
    return Look(
        look_id=_name(number),
        operation_id="searched",
        door=Door.PYTHON,
        kind=LookKind.TRIAL,
        part="validation",
        strategy_name="",
        inputs_sha256=hashlib.sha256(bytes([number % 256, number // 256])).hexdigest(),
        label="direction",
        timeframe="1d",
        symbols=(),
        first=now,
        last=now,
        samples=0,
        opened_at=now,
        figures=figures,
        has_series=True,
    )


def _series(rows: ScoredRows) -> LookSeries:
    sampling, nothing = rows.sampling, np.empty(0, np.float32)

    def sums(values: Floats) -> NDArray[np.float32]:
        return sampling.sums(values).astype(np.float32)

    return LookSeries(
        instants=np.unique(rows.timestamps).astype("datetime64[us]"),
        samples=sums(np.ones(len(rows.hits))),
        gains={name: sums(rows.quality - quality) for name, quality in rows.rivals.naive.items()},
        agreement=sums(rows.agreement),
        lag=sampling.lag,
        span=sampling.span,
        periods=np.empty(0, "datetime64[us]"),
        returns=nothing,
        held=nothing,
    )


def _seconds() -> Iterator[Figure]:
    """Of one verdict over as many looks at 1,000 rows, on one core."""
    part = next(World(1_000).parts(1))
    rows = [part.scored_classes(predicted) for predicted in guesses(part, 1_000)]
    tests = [measure_significance(each, VALIDATION_LEVEL) for each in rows]
    for looks, aim in ((1_000, below(2)), (500, None), (250, None)):
        account = account_of(rows[:looks], tests[:looks])
        began = time.process_time()
        verdict_on(_name(0), account, VALIDATION_LEVEL)
        yield Figure(f"verdict over {looks:,} looks at 1,000 rows", time.process_time() - began, "s of one core", aim)
