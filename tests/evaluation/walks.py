"""Datasets of random walks: what a label says is known exactly, and how samples depend on each other too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ktrdr.features.dataset import Dataset, Part
from ktrdr.features.scaling import Scaler

DAY = np.timedelta64(1, "D")
Floats = NDArray[np.float64]


def part_of_paths(paths: Floats, first: int, samples: int, horizon: int, cuts: tuple[float, ...] = (0.0,)) -> Part:
    """Samples of `paths` [bars, symbols] from bar `first` on: the class of the move over `horizon` bars."""
    symbols = paths.shape[1]
    rows = np.tile(np.arange(first, first + samples), symbols)
    numbers = np.repeat(np.arange(symbols), samples)
    moves = paths[rows + horizon, numbers] - paths[rows, numbers]
    earlier = paths[rows, numbers] - paths[rows - horizon, numbers]
    return Part(
        ends=rows,
        labels=np.searchsorted(cuts, moves).astype(np.int64),
        persistence=np.searchsorted(cuts, earlier).astype(np.int64),
        timestamps=np.datetime64("2015-01-01", "us") + rows * DAY,
        symbols=numbers,
        rows=rows,
        settled=rows + horizon,
        measures=moves,
        weights=np.ones(len(rows), np.float32),
    )


def dataset_of_paths(
    paths: Floats, samples: int, horizon: int, cuts: tuple[float, ...] = (0.0,), names: tuple[str, ...] = ("down", "up")
) -> Dataset:
    """The last `samples` bars are to validate on, and those before them to train on."""
    training = len(paths) - samples - 2 * horizon
    return Dataset(
        values=np.zeros((len(paths), 1), np.float32),
        feature_names=("x",),
        class_names=names,
        sequence_length=1,
        train=part_of_paths(paths, horizon, training - 2 * horizon, horizon, cuts),
        validation=part_of_paths(paths, training + horizon, samples, horizon, cuts),
        test=None,
        scaler=Scaler("none", np.zeros(1), np.ones(1)),
        cuts=None,
        target_scale=1.0,
        symbols=tuple(f"S{number}" for number in range(paths.shape[1])),
        coverage=(),
    )


def walk(bars: int, seed: int, symbols: int = 1, correlation: float = 0.0) -> Floats:
    """[bars, symbols], standard normal steps."""
    random = np.random.default_rng(seed)
    common, own = random.normal(size=(bars, 1)), random.normal(size=(bars, symbols))
    return np.cumsum(np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own, axis=0)


def as_regression(dataset: Dataset) -> Dataset:
    """The same with the moves themselves, in units of their deviation in the training part."""
    scale = float(dataset.train.measures.std())

    def numbers(part: Part) -> Part:
        targets = (part.measures / scale).astype(np.float32)
        return replace(part, labels=targets, persistence=np.roll(targets, 1))

    train, validation = numbers(dataset.train), numbers(dataset.validation)
    return replace(dataset, class_names=(), train=train, validation=validation, target_scale=scale)


def logits_of(classes: NDArray[np.int64], count: int = 2) -> NDArray[np.float32]:
    return np.asarray(2 * np.eye(count)[classes], np.float32)
