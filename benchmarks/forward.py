"""How often the sequential test of forward predictions claims a lead that is none, and how soon it finds a real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice, product
from statistics import median

import numpy as np

from benchmarks.outcome import Figure, at_least, below
from benchmarks.worlds import Floats, Integers, SimulatedPart, World
from ktrdr.evaluation.betting import ENOUGH
from ktrdr.evaluation.forward import Bets, ForwardRows, Instants, bets_of

MODELS, ROWS = 500, 2_000
# How many are bet on at once.
BATCH = 100
# Horizon and number of symbols.
SETTINGS = ((1, 1), (5, 1), (20, 1), (5, 20))
MARKETS = {
    "random walk": World(ROWS),
    "random walk with a drift of 0.1": World(ROWS, drift=0.1),
    "GARCH, t5": World(ROWS, volatility="garch"),
    "stochastic volatility, t3": World(ROWS, volatility="stochastic"),
}
CLASSES = {"two classes by sign": (0.0,), "three classes by volatility": (0.33, 0.67)}

Predict = Callable[[SimulatedPart], Integers]
Watch = Callable[[SimulatedPart], ForwardRows]


def run(models: int = MODELS) -> list[Figure]:
    return [*_false_leads(models), *_false_forecasts(models), *_found(models // 5)]


def _false_leads(models: int) -> Iterator[Figure]:
    """Ever within 2,000 rows: the worst of several horizons and numbers of symbols."""
    guesses: dict[str, Predict] = {
        "guess that changes once in 20 bars": SimulatedPart.persistent,
        "most frequent class of these rows": SimulatedPart.constant,
    }
    for (guess, predict), (market, world), (labels, quantiles) in product(
        guesses.items(), MARKETS.items(), CLASSES.items()
    ):
        worst = max(
            _share_that_claims(replace(world, quantiles=quantiles, horizon=horizon, symbols=symbols), predict, models)
            for horizon, symbols in SETTINGS
        )
        yield Figure(f"false lead ever: {guess}, {labels}, {market}", 100 * worst, "%", below(5))


def _false_forecasts(models: int) -> Iterator[Figure]:
    for size, horizon in product((0.03, 0.3), (1, 5, 20)):
        world = World(ROWS, horizon, volatility="stochastic")
        claims = [claim is not None for claim in _first_claims(world, partial(_numbers, size=size), models)]
        yield Figure(
            f"false lead ever: forecast of {size} deviations, horizon {horizon}, t3",
            100 * float(np.mean(claims)),
            "%",
            below(5),
        )


def _found(models: int) -> Iterator[Figure]:
    for horizon, share in ((1, 0.53), (1, 0.55), (1, 0.6), (1, 0.65), (5, 0.6), (5, 0.65), (20, 0.8)):
        world = World(ROWS, horizon)
        claims = _first_claims(world, partial(_right, share=share), models)
        found = [claim for claim in claims if claim is not None]
        name = f"{100 * share:.0f} % right, horizon {horizon}"
        aim = at_least(90) if share >= 0.6 and horizon == 1 else None
        yield Figure(f"lead found in 2,000 rows: {name}", 100 * len(found) / len(claims), "%", aim)
        if found:
            yield Figure(f"rows until then, median: {name}", median(found), "rows")


def _share_that_claims(world: World, predict: Predict, models: int) -> float:
    claims = _first_claims(world, lambda part: _classes(part, predict(part)), models)
    return float(np.mean([claim is not None for claim in claims]))


def _first_claims(world: World, watch: Watch, models: int) -> list[int | None]:
    """Of each model the row at which the evidence is enough; None where it never is."""
    parts = world.parts(models)
    return [
        claim for _ in range(0, models, BATCH) for claim in _claims_of([watch(part) for part in islice(parts, BATCH)])
    ]


def _claims_of(models: Sequence[ForwardRows]) -> list[int | None]:
    """All at once, as they have the same instants."""
    bets = [bets_of(rows) for rows in models]
    gains = np.concatenate([each.gains for each in bets], axis=1)
    values = Bets(bets[0].opens, bets[0].settles, gains).evidence(models[0].horizon).values
    reached = values.reshape(len(values), len(models), -1).min(axis=2) >= ENOUGH
    return [int(own.argmax()) if own.any() else None for own in reached.T]


def _right(part: SimulatedPart, share: float) -> ForwardRows:
    return _classes(part, part.right(share))


def _classes(part: SimulatedPart, predicted: Integers) -> ForwardRows:
    naive = {"majority": np.full(part.labels.size, part.majority), "persistence": part.persistence.ravel()}
    return _rows(part, part.labels, predicted, naive)


def _numbers(part: SimulatedPart, size: float) -> ForwardRows:
    held = part.stubborn(np.arange(part.world.samples))
    predicted = size * part.random.normal(size=part.world.samples)[held]
    naive = {"mean": np.full(part.moves.size, part.training_mean), "persistence": part.earlier.ravel()}
    return _rows(part, part.moves, predicted, naive)


def _rows(
    part: SimulatedPart, labels: Integers | Floats, predicted: Integers | Floats, naive: dict[str, Integers | Floats]
) -> ForwardRows:
    samples, symbols = part.labels.shape
    made_at: Instants = np.repeat(np.arange(samples), symbols).astype("datetime64[D]").astype("datetime64[us]")
    return ForwardRows(
        made_at=made_at,
        settled_at=np.asarray(made_at + np.timedelta64(part.world.horizon, "D"), "datetime64[us]"),
        symbols=np.tile(np.arange(symbols), samples),
        labels=labels.ravel(),
        model=predicted.ravel(),
        naive=naive,
        horizon=part.world.horizon,
        is_regression=labels.dtype.kind == "f",
    )
