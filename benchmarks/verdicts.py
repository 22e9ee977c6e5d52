"""How often verdicts are wrong and how often they see what is there, on parts that are simulated by the thousand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from benchmarks.outcome import Figure, at_least, below
from benchmarks.worlds import SimulatedPart, World
from ktrdr.evaluation.random_entries import Shifts, shift_at_random
from ktrdr.evaluation.returns import sharpe_error
from ktrdr.evaluation.scored_rows import ScoredRows
from ktrdr.evaluation.significance import VALIDATION_LEVEL, accuracy_interval, measure_significance

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Predict = Callable[[SimulatedPart], ScoredRows]

PARTS = 2_000
HORIZONS = (1, 5, 20)
SYMBOLS = (1, 20)
CLASSES = {
    "two classes by sign": (0.0,),
    "two classes by volatility": (0.67,),
    "three classes by volatility": (0.33, 0.67),
}
MARKETS = {
    "GARCH": World(volatility="garch"),
    "stochastic volatility": World(volatility="stochastic"),
    "drift of 0.1": World(drift=0.1),
}


def run(parts: int = PARTS) -> list[Figure]:
    return [
        *_false_leads(parts),
        *_single_tests(parts),
        *_power(parts),
        *_coverage(parts),
        *_sharpe_coverage(parts),
        *_entries(parts),
    ]


# Errors of the first kind, at 2.5 %: the worst of several settings.


def _false_leads(parts: int) -> Iterator[Figure]:
    # A constant has no agreement with anything, however many symbols there are.
    guesses: dict[str, tuple[Predict, Sequence[int]]] = {
        "constant": (lambda part: part.scored_classes(part.constant()), (1,)),
        "persistent guess": (lambda part: part.scored_classes(part.persistent()), SYMBOLS),
    }
    for (market, world), (labels, quantiles), (name, (guess, symbols)) in product(
        MARKETS.items(), CLASSES.items(), guesses.items()
    ):
        yield _worst(f"{name}, {labels}, {market}", replace(world, quantiles=quantiles), guess, symbols, parts)
    for size in (0.03, 0.3):
        yield _worst(
            f"forecast of {size} deviations, t3 tails",
            World(volatility="stochastic"),
            _null_forecast(size),
            SYMBOLS,
            parts,
        )


def _null_forecast(size: float) -> Predict:
    def predict(part: SimulatedPart) -> ScoredRows:
        held = part.stubborn(np.arange(part.world.samples))
        return part.scored_numbers(size * part.random.normal(size=part.world.samples)[held])

    return predict


def _worst(name: str, world: World, predict: Predict, symbols: Sequence[int], parts: int) -> Figure:
    shares = [
        _share_that_beats(replace(world, horizon=horizon, symbols=count), predict, parts)
        for horizon, count in product(HORIZONS, symbols)
    ]
    return Figure(f"false lead: {name}", 100 * max(shares), "%", below(3.5))


def _share_that_beats(world: World, predict: Predict, parts: int) -> float:
    return float(
        np.mean([measure_significance(predict(part), VALIDATION_LEVEL).beats_baselines for part in world.parts(parts)])
    )


# Each of the three tests alone, at 2.5 %. Classes by volatility are left out: that can be foretold.


def _single_tests(parts: int) -> Iterator[Figure]:
    for market, world in MARKETS.items():
        settings = [replace(world, horizon=horizon, symbols=count) for horizon, count in product(HORIZONS, SYMBOLS)]
        shares = np.max([_shares_below(setting, parts) for setting in settings], axis=0)
        for test, share in zip(("majority", "persistence", "timing"), shares, strict=True):
            yield Figure(f"{test} alone: persistent guess, two classes by sign, {market}", 100 * share, "%", below(4.5))


def _shares_below(world: World, parts: int) -> Floats:
    """[tests], of p-values below the level."""
    found = [_p_values(part.scored_classes(part.persistent())) for part in world.parts(parts)]
    return np.asarray(np.mean(np.array(found) < VALIDATION_LEVEL, axis=0), np.float64)


def _p_values(rows: ScoredRows) -> list[float]:
    significance = measure_significance(rows, VALIDATION_LEVEL)
    tests = [*significance.against.values(), significance.timing]
    return [test.p_value for test in tests if test]


# Power, at 2.5 %.


def _power(parts: int) -> Iterator[Figure]:
    cases = {
        "oracle, 200 samples, horizon 20": (World(200, 20), 1.0, 90),
        "oracle, 300 samples, horizon 50": (World(300, 50), 1.0, None),
        "80 % right, 200 samples, horizon 20": (World(200, 20), 0.8, None),
        "65 % right, 300 samples, horizon 1": (World(300, 1), 0.65, 90),
        "55 % right, 300 samples, horizon 1": (World(300, 1), 0.55, None),
    }
    for name, (world, share, aim) in cases.items():
        found = _share_that_beats(world, _right(share), parts)
        yield Figure(f"lead found: {name}", 100 * found, "%", at_least(aim) if aim else None)


def _right(share: float) -> Predict:
    return lambda part: part.scored_classes(part.right(share))


# Coverage of intervals of 95 %.


def _coverage(parts: int) -> Iterator[Figure]:
    guesses: dict[str, tuple[float, Callable[[SimulatedPart], Integers]]] = {
        "no skill": (0.5, SimulatedPart.persistent),
        "67 % right": (0.5 + np.arcsin(0.5) / np.pi, lambda part: part.forecast(0.5)),
    }
    settings = [(300, 1, 1), (300, 5, 1), (100, 20, 1), (300, 20, 1), (100, 10, 20)]
    for (name, (share, guess)), (samples, horizon, symbols) in product(guesses.items(), settings):
        world = World(samples, horizon, symbols)
        covered = [_covers(part.scored_classes(guess(part)), share) for part in world.parts(parts)]
        setting = f"{samples} bars, horizon {horizon}, {symbols} symbols"
        yield Figure(f"accuracy covered: {name}, {setting}", 100 * float(np.mean(covered)), "%", at_least(92))


def _covers(rows: ScoredRows, share: float) -> bool:
    low, high = accuracy_interval(rows)
    return low <= share <= high


def _sharpe_coverage(parts: int) -> Iterator[Figure]:
    random = np.random.default_rng(3)
    for (name, process), ratio, periods in product(RETURNS.items(), (0.0, 0.1), (250, 1000)):
        covered = [_covers_sharpe(process(random, periods) + ratio, ratio) for _ in range(parts)]
        setting = f"{name}, ratio by bar {ratio:g}, {periods} bars"
        yield Figure(f"Sharpe ratio covered: {setting}", 100 * float(np.mean(covered)), "%", at_least(92))


def _covers_sharpe(returns: Floats, ratio: float) -> bool:
    error = sharpe_error(returns, per_year=1)
    return error is not None and error.interval[0] <= ratio <= error.interval[1]


def _normal(random: np.random.Generator, periods: int) -> Floats:
    return random.normal(size=periods)


def _student(random: np.random.Generator, periods: int) -> Floats:
    return np.asarray(random.standard_t(5, periods) / np.sqrt(5 / 3), np.float64)


def _autocorrelated(random: np.random.Generator, periods: int) -> Floats:
    from scipy.signal import lfilter

    shocks = np.concatenate([random.normal(size=1), np.sqrt(1 - 0.2**2) * random.normal(size=periods - 1)])
    return np.asarray(lfilter([1.0], [1.0, -0.2], shocks), np.float64)


def _crashes(random: np.random.Generator, periods: int) -> Floats:
    """One bar in fifty falls by six deviations: the skewness is -1.8."""
    falls = -6.0 * (random.random(periods) < 0.02)
    return np.asarray((random.normal(size=periods) + falls + 0.12) / np.sqrt(1 + 36 * 0.02 * 0.98), np.float64)


RETURNS = {
    "normal": _normal,
    "t5": _student,
    "autocorrelated by 0.2": _autocorrelated,
    "crashes": _crashes,
}


# Random entries of rules without skill, at 5 %.


def _entries(parts: int, bars: int = 1_000) -> Iterator[Figure]:
    random = np.random.default_rng(4)
    for (name, sign), look_back in product((("momentum", 1.0), ("reversal", -1.0)), (20, 50, 100)):
        returns = random.normal(0, 0.01, (parts, bars + look_back))
        beyond = [_beats_random_entries(own, look_back, sign) for own in returns]
        figure = f"beyond 95 % of random entries: {name} of {look_back} bars, {bars} bars"
        yield Figure(figure, 100 * float(np.mean(beyond)), "%", below(7))


def _beats_random_entries(returns: Floats, look_back: int, sign: float) -> bool:
    paths = np.cumsum(np.append(0.0, returns))
    positions = sign * np.sign(paths[look_back:-1] - paths[: -look_back - 1])
    traded = returns[look_back:]

    def returned(shifts: Shifts) -> Floats:
        moved = np.stack([np.roll(positions, shift) for shift in shifts[:, 0]])
        return np.asarray(np.prod(1 + moved * traded, axis=1) - 1, np.float64)

    model = float(returned(np.zeros((1, 1), np.int64))[0])
    chance = shift_at_random(returned, [len(traded)], look_back, model)
    return chance.percentile is not None and chance.percentile >= 95
