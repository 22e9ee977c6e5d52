"""The rows that a model was evaluated on: their true labels, and what the model and its rivals predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation import baselines
from ktrdr.evaluation.baselines import Guess
from ktrdr.evaluation.metrics import sign_hits
from ktrdr.evaluation.outputs import class_probabilities
from ktrdr.evaluation.rivals import Rivals
from ktrdr.evaluation.scored_rows import ScoredRows
from ktrdr.evaluation.timing import class_agreement, number_agreement

if TYPE_CHECKING:
    from ktrdr.features.dataset import Dataset, Part

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class EvaluatedRows:
    """All that an evaluation needs, without features, bars or models. Every array is [samples].

    part: `validation` or `test`, or `other` for bars outside of the training
    class_names: in the order of class indices; empty in a regression
    timestamps: opening instants (us, UTC) of the samples' last bars
    symbols: names
    spans: bars from a sample's last bar to the bar whose close settles its label
    labels: class indices, or in a regression targets in units of `scales`
    scales: standard deviation of the training labels, the unit of a regression's numbers; 1 with classes
    folds: index of the model that predicted the row, where several did
    look_back: bars that a prediction depends on
    model: what the model predicted
    rivals: what its rivals predicted
    """

    part: str
    class_names: tuple[str, ...]
    timestamps: NDArray[np.datetime64]
    symbols: NDArray[np.str_]
    spans: Integers
    labels: NDArray[Any]
    scales: Floats
    folds: Integers
    look_back: Integers
    model: Guess
    rivals: Rivals[Guess]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_regression(self) -> bool:
        return not self.class_names

    @property
    def symbol_names(self) -> list[str]:
        """The names behind the numbers in `scored.symbols`."""
        return [str(name) for name in np.unique(self.symbols)]

    @property
    def scored(self) -> ScoredRows:
        return ScoredRows(
            timestamps=self.timestamps,
            symbols=_numbered(self.symbols),
            spans=self.spans,
            hits=self._hits(),
            quality=self.quality(self.model),
            rivals=self.rivals.map(self.quality),
            agreement=self.agreement(self.model),
        )

    def take(self, places: Integers) -> EvaluatedRows:
        """The rows at `places`, in that order."""
        return replace(
            self,
            timestamps=self.timestamps[places],
            symbols=self.symbols[places],
            spans=self.spans[places],
            labels=self.labels[places],
            scales=self.scales[places],
            folds=self.folds[places],
            look_back=self.look_back[places],
            model=self.model.take(places),
            rivals=self.rivals.map(lambda guess: guess.take(places)),
        )

    def quality(self, guess: Guess) -> Floats:
        """[samples], 1 for a right class and 0 for a wrong one, or in a regression the squared error times -1."""
        if self.is_regression:
            return np.asarray(-((guess.predicted - self.labels) ** 2), np.float64)
        return np.asarray(guess.predicted == self.labels, np.float64)

    def agreement(self, guess: Guess) -> Floats:
        """[samples], see `ScoredRows.agreement`; frequencies and means are those of one symbol in one fold."""
        groups = _numbered(self.folds * (1 + int(_numbered(self.symbols).max())) + _numbered(self.symbols))
        if self.is_regression:
            return number_agreement(self.labels, guess.predicted, groups)
        return class_agreement(self.labels, guess.predicted, groups, len(self.class_names))

    def _hits(self) -> Floats:
        if self.is_regression:
            return np.asarray(sign_hits(self.labels, self.model.predicted), np.float64)
        return self.quality(self.model)


def collect_rows(
    outputs: NDArray[np.float32],
    dataset: Dataset,
    part: Part,
    control: NDArray[np.float32] | None = None,
    class_weights: Sequence[float] | None = None,
    yardstick: Mapping[str, Guess] | None = None,
) -> EvaluatedRows:
    """Set a model's `outputs` [samples, outputs], logits or targets, for `part` beside its rivals' predictions.

    `control` holds the outputs of the same model trained on shuffled labels; `yardstick` what `yardsticks` gives, where
    that was fitted before. `class_weights` [classes] are the weights
    of the training's loss. `ktrdr.evaluation.outputs.class_probabilities` removes them from the probabilities. The
    predicted classes keep them, because class weights are meant to move predictions.
    """

    def guess(values: NDArray[np.float32]) -> Guess:
        if dataset.is_regression:
            return Guess(values[:, 0].astype(np.float64))
        return Guess(values.argmax(axis=1), class_probabilities(values, class_weights))

    return EvaluatedRows(
        part=dataset.name_of(part),
        class_names=dataset.class_names,
        timestamps=part.timestamps,
        symbols=np.array(dataset.symbols)[part.symbols],
        spans=part.settled - part.rows,
        labels=part.labels.astype(np.float64 if dataset.is_regression else np.int64),
        scales=np.full(len(part.labels), dataset.target_scale),
        folds=np.zeros(len(part.labels), np.int64),
        look_back=np.full(len(part.labels), look_back(dataset)),
        model=guess(outputs),
        rivals=Rivals(
            _naive_guesses(dataset, part),
            yardsticks(dataset, part) if yardstick is None else yardstick,
            None if control is None else guess(control),
        ),
    )


def look_back(dataset: Dataset) -> int:
    """Bars that a prediction depends on: the window, and before it what the longest feature looks back on."""
    return dataset.sequence_length + max((coverage.warmup_rows for coverage in dataset.coverage), default=0)


def _naive_guesses(dataset: Dataset, part: Part) -> dict[str, Guess]:
    if dataset.is_regression:
        persistence = Guess(part.persistence.astype(np.float64))
        return {"mean": baselines.mean(dataset, part), "persistence": persistence}
    return {"majority": baselines.majority(dataset, part), "persistence": baselines.persistence(part)}


def yardsticks(dataset: Dataset, part: Part) -> dict[str, Guess]:
    """Predictions for `part` of a linear model that is fitted to the training part, by the model's name."""
    if dataset.is_regression:
        return {"ridge_regression": baselines.ridge_regression(dataset, part)}
    return {"logistic_regression": baselines.logistic_regression(dataset, part)}


def join_folds(folds: Sequence[EvaluatedRows]) -> EvaluatedRows:
    """The rows of all folds, each predicted by its own model; a rival that a fold lacks is left out."""
    first = folds[0]
    return EvaluatedRows(
        part=first.part,
        class_names=first.class_names,
        timestamps=np.concatenate([fold.timestamps for fold in folds]),
        symbols=np.concatenate([fold.symbols for fold in folds]),
        spans=np.concatenate([fold.spans for fold in folds]),
        labels=np.concatenate([fold.labels for fold in folds]),
        scales=np.concatenate([fold.scales for fold in folds]),
        folds=np.repeat(np.arange(len(folds)), [len(fold) for fold in folds]),
        look_back=np.concatenate([fold.look_back for fold in folds]),
        model=_join([fold.model for fold in folds]),
        rivals=Rivals(
            _join_by_name([fold.rivals.naive for fold in folds]),
            _join_by_name([fold.rivals.yardstick for fold in folds]),
            _join_all([fold.rivals.control for fold in folds]),
        ),
    )


def _join_by_name(folds: Sequence[Mapping[str, Guess]]) -> dict[str, Guess]:
    joined = {name: _join_all([fold.get(name) for fold in folds]) for name in folds[0]}
    return {name: guess for name, guess in joined.items() if guess is not None}


def _join_all(guesses: Sequence[Guess | None]) -> Guess | None:
    present = [guess for guess in guesses if guess is not None]
    return _join(present) if len(present) == len(guesses) else None


def _join(guesses: Sequence[Guess]) -> Guess:
    probabilities = [guess.probabilities for guess in guesses if guess.probabilities is not None]
    return Guess(
        np.concatenate([guess.predicted for guess in guesses]),
        np.concatenate(probabilities) if len(probabilities) == len(guesses) else None,
    )


def _numbered(values: NDArray[Any]) -> Integers:
    """[samples], the index of each value among the distinct ones."""
    return np.unique(values, return_inverse=True)[1].astype(np.int64)
