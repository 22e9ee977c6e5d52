"""Simulated markets in which it is known what can be known: returns, labels, and guesses that know a given amount."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from hvsampledata import apple_stocks
from numpy.typing import NDArray

from ktrdr.evaluation.rivals import Rivals
from ktrdr.evaluation.scored_rows import ScoredRows
from ktrdr.evaluation.timing import class_agreement, number_agreement

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

Volatility = Literal["constant", "garch", "fitted", "shuffled", "stochastic"]

TRAINING_BARS = 1_000
# How many parts are simulated at once.
BATCH = 100
SWITCHES = 0.05


@dataclass(frozen=True, slots=True)
class World:
    """A market and the labels that are made of it.

    samples: bars of the part for each symbol
    horizon: bars that a label looks ahead
    symbols: how many; their returns are correlated by 0.6
    volatility: constant with normal returns; GARCH(1, 1) with Student's t (5); the same, fitted to daily returns of
        Apple, 2019 to 2024; those returns in random order; or a slowly drifting logarithm, t (3)
    drift: mean return, in standard deviations
    quantiles: of the training part's moves, where classes begin; 0 stands for the sign
    """

    samples: int = 300
    horizon: int = 1
    symbols: int = 1
    volatility: Volatility = "constant"
    drift: float = 0.0
    quantiles: tuple[float, ...] = (0.0,)

    def parts(self, count: int, seed: int = 0) -> Iterator[SimulatedPart]:
        random = np.random.default_rng([seed, self.samples, self.horizon, self.symbols, len(self.quantiles)])
        bars = TRAINING_BARS + self.samples + 3 * self.horizon
        for first in range(0, count, BATCH):
            for returns in _returns(self, random, min(BATCH, count - first), bars):
                yield SimulatedPart.of(self, returns, random)


@dataclass(frozen=True, slots=True)
class SimulatedPart:
    """One part: moves over the horizon in units of the training part's deviation, [samples, symbols], and classes."""

    world: World
    moves: Floats
    earlier: Floats
    training_mean: float
    labels: Integers
    persistence: Integers
    majority: int
    random: np.random.Generator

    @classmethod
    def of(cls, world: World, returns: Floats, random: np.random.Generator) -> SimulatedPart:
        horizon = world.horizon
        paths = np.cumsum(returns, axis=0)
        moves = paths[horizon:] - paths[:-horizon]
        training, first = moves[:TRAINING_BARS], TRAINING_BARS + horizon
        cuts = [0.0 if quantile == 0 else float(np.quantile(training, quantile)) for quantile in world.quantiles]
        own, earlier = moves[first : first + world.samples], moves[first - horizon : first - horizon + world.samples]
        scale, classes = training.std(), len(cuts) + 1
        return cls(
            world=world,
            moves=own / scale,
            earlier=earlier / scale,
            training_mean=float(training.mean() / scale),
            labels=np.searchsorted(cuts, own),
            persistence=np.searchsorted(cuts, earlier),
            majority=int(np.bincount(np.searchsorted(cuts, training).ravel(), minlength=classes).argmax()),
            random=random,
        )

    @property
    def classes(self) -> int:
        return len(self.world.quantiles) + 1

    def constant(self) -> Integers:
        """The class that is most frequent in the part, as only hindsight knows."""
        frequencies = np.bincount(self.labels.ravel(), minlength=self.classes)
        return np.full_like(self.labels, frequencies.argmax())

    def persistent(self) -> Integers:
        """One guess for all symbols, which changes once in twenty bars and knows nothing."""
        return self.stubborn(self.random.integers(0, self.classes, self.world.samples))

    def stubborn(self, guesses: Integers) -> Integers:
        switches = self.random.random(len(guesses)) < SWITCHES
        switches[0] = True
        held = np.maximum.accumulate(np.where(switches, np.arange(len(guesses)), 0))
        return np.broadcast_to(guesses[held][:, None], self.labels.shape).astype(np.int64)

    def right(self, share: float) -> Integers:
        """The label, but in 1 - `share` of the cases the other one of two classes."""
        is_right = self.random.random(self.labels.shape) < share
        return np.asarray(np.where(is_right, self.labels, 1 - self.labels), np.int64)

    def forecast(self, correlation: float) -> Integers:
        """Signs of numbers that are correlated with the moves, and overlap as they do."""
        bars, horizon = len(self.moves) + self.world.horizon, self.world.horizon
        walks = np.cumsum(self.random.normal(size=(bars, self.world.symbols)), axis=0) / np.sqrt(horizon)
        noise = walks[horizon:] - walks[:-horizon]
        return np.asarray(correlation * self.moves + np.sqrt(1 - correlation**2) * noise > 0, np.int64)

    def scored_classes(self, predicted: Integers) -> ScoredRows:
        hits = [
            _flat(each == self.labels)
            for each in (predicted, np.full_like(self.labels, self.majority), self.persistence)
        ]
        symbols = self._symbols.ravel()
        agreement = class_agreement(self.labels.ravel(), predicted.ravel(), symbols, self.classes)
        return self._rows(hits[0], hits[0], {"majority": hits[1], "persistence": hits[2]}, agreement)

    def scored_numbers(self, predicted: Floats) -> ScoredRows:
        naive = {"mean": np.full_like(self.moves, self.training_mean), "persistence": self.earlier}
        quality = {name: -_flat((guess - self.moves) ** 2) for name, guess in naive.items()}
        agreement = number_agreement(self.moves.ravel(), predicted.ravel(), self._symbols.ravel())
        hits = _flat((predicted > 0) == (self.moves > 0))
        return self._rows(hits, -_flat((predicted - self.moves) ** 2), quality, agreement)

    @property
    def _symbols(self) -> Integers:
        return np.broadcast_to(np.arange(self.world.symbols), self.labels.shape)

    def _rows(self, hits: Floats, quality: Floats, naive: dict[str, Floats], agreement: Floats) -> ScoredRows:
        days = np.broadcast_to(np.arange(self.world.samples)[:, None], self.labels.shape)
        return ScoredRows(
            timestamps=days.ravel().astype("datetime64[D]"),
            symbols=self._symbols.ravel(),
            spans=np.full(self.labels.size, self.world.horizon),
            hits=hits,
            quality=quality,
            rivals=Rivals(naive),
            agreement=agreement,
        )


def _flat(values: NDArray[np.bool_] | Floats) -> Floats:
    return values.ravel().astype(np.float64)


def _returns(world: World, random: np.random.Generator, count: int, bars: int) -> Floats:
    """[count, bars, symbols]"""
    shape = (count, bars, world.symbols)
    correlation = 0.6 if world.symbols > 1 else 0.0
    shocks = np.sqrt(correlation) * random.normal(size=(count, bars, 1)) + np.sqrt(1 - correlation) * random.normal(
        size=shape
    )
    volatility = {
        "constant": _constant,
        "garch": _garch,
        "fitted": _fitted,
        "shuffled": _shuffled,
        "stochastic": _stochastic,
    }
    returns = volatility[world.volatility](shocks, random)
    return np.asarray(returns + world.drift * returns.std(), np.float64)


def _constant(shocks: Floats, random: np.random.Generator) -> Floats:
    del random
    return shocks


def _garch(
    shocks: Floats, random: np.random.Generator, arch: float = 0.08, garch: float = 0.91, freedom: float = 5
) -> Floats:
    """sigma^2(t) = 1 - arch - garch + arch r^2(t - 1) + garch sigma^2(t - 1), shocks of Student's t."""
    shocks = _fat_tailed(shocks, random, freedom) * np.sqrt((freedom - 2) / freedom)
    variance, returns = np.ones(shocks[:, 0].shape), np.empty_like(shocks)
    for bar in range(shocks.shape[1]):
        returns[:, bar] = np.sqrt(variance) * shocks[:, bar]
        variance = 1 - arch - garch + arch * returns[:, bar] ** 2 + garch * variance
    return returns


def _fitted(shocks: Floats, random: np.random.Generator) -> Floats:
    """The parameters that `arch` finds for the returns of `_shuffled`."""
    return _garch(shocks, random, arch=0.089, garch=0.882, freedom=5.5)


def _shuffled(shocks: Floats, random: np.random.Generator) -> Floats:
    """Daily returns of Apple, in random order, each as often as the part and what is before it need."""
    closes = apple_stocks("polars", lazy=False)["close"].to_numpy()
    single = np.diff(np.log(closes))
    returns = np.tile(single, -(-shocks.shape[1] // len(single)))
    order = np.array([random.permutation(len(returns)) for _ in range(len(shocks))])
    return np.asarray(returns[order[:, : shocks.shape[1]], None] / returns.std(), np.float64)


def _stochastic(shocks: Floats, random: np.random.Generator) -> Floats:
    """The logarithm of the volatility is common to all symbols, and autocorrelated by 0.995 with a deviation of 0.5."""
    from scipy.signal import lfilter

    steps = random.normal(0, 0.5 * np.sqrt(1 - 0.995**2), (len(shocks), shocks.shape[1]))
    steps[:, 0] = random.normal(0, 0.5, len(shocks))
    logarithm = lfilter([1.0], [1.0, -0.995], steps, axis=1)
    return np.asarray(_fat_tailed(shocks, random, freedom=3) * np.exp(logarithm)[:, :, None], np.float64)


def _fat_tailed(shocks: Floats, random: np.random.Generator, freedom: float) -> Floats:
    """One divisor for all symbols of a bar: they share the days on which markets crash."""
    return np.asarray(shocks / np.sqrt(random.chisquare(freedom, (*shocks.shape[:2], 1)) / freedom), np.float64)
