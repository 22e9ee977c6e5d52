"""What a model must beat: guesses that need no training, and linear models that need hardly any."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation.one_thread import one_thread

if TYPE_CHECKING:
    from ktrdr.features.dataset import Dataset, Part

# More samples would hardly change a linear model of a few features, and would take long to fit.
MAX_FITTED_SAMPLES = 100_000
# Newton's steps, to this slope of the loss. Steps of L-BFGS with the default slope, 1e-4, end elsewhere where features
# are much alike: probabilities were off by up to a percentage point.
_EXACT = {"solver": "newton-cholesky", "tol": 1e-8}


@dataclass(frozen=True, slots=True)
class Guess:
    """Predictions of one baseline.

    predicted: [samples], class indices, or targets in units of `Dataset.target_scale`
    probabilities: [samples, classes]; None where the baseline gives none
    """

    predicted: NDArray[Any]
    probabilities: NDArray[np.float64] | None = None

    @property
    def is_constant(self) -> bool:
        """Whether it says the same of every sample."""
        return bool((self.predicted == self.predicted[0]).all())

    def take(self, places: NDArray[np.int64]) -> Guess:
        """The predictions at `places`, in that order."""
        return Guess(self.predicted[places], None if self.probabilities is None else self.probabilities[places])


def majority(dataset: Dataset, part: Part) -> Guess:
    """The most frequent class of the training part, with its classes' shares as probabilities."""
    shares = class_shares(dataset)
    samples = len(part.labels)
    return Guess(np.full(samples, shares.argmax(), np.int64), np.tile(shares, (samples, 1)))


def class_shares(dataset: Dataset) -> NDArray[np.float64]:
    """[classes], shares in the training part."""
    counts = np.bincount(dataset.train.labels, minlength=len(dataset.class_names))
    return np.asarray(counts / counts.sum(), np.float64)


def mean(dataset: Dataset, part: Part) -> Guess:
    """The mean target of the training part."""
    return Guess(np.full(len(part.labels), training_mean(dataset)))


def training_mean(dataset: Dataset) -> float:
    return float(dataset.train.labels.mean(dtype=np.float64))


def persistence(part: Part) -> Guess:
    """Predict the newest label that was settled when the window ended."""
    return Guess(part.persistence)


def logistic_regression(dataset: Dataset, part: Part) -> Guess:
    """Fitted to the features of each window's last bar."""
    from sklearn.linear_model import LogisticRegression

    probabilities = np.zeros((len(part.labels), len(dataset.class_names)))
    with one_thread():
        model = _fit(LogisticRegression(**_EXACT), dataset)
        # A class that is absent from the training part has no column of its own.
        probabilities[:, model[-1].classes_] = model.predict_proba(_features(dataset, part.ends))
    return Guess(probabilities.argmax(axis=1), probabilities)


def ridge_regression(dataset: Dataset, part: Part) -> Guess:
    """Fitted to the features of each window's last bar."""
    from sklearn.linear_model import Ridge

    with one_thread():
        model = _fit(Ridge(alpha=1.0), dataset)
        return Guess(np.asarray(model.predict(_features(dataset, part.ends)), np.float64))


def _fit(estimator: Any, dataset: Dataset) -> Any:
    """Fit on at most MAX_FITTED_SAMPLES training samples. Features are standardised whatever the strategy says."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    stride = -(-len(dataset.train.ends) // MAX_FITTED_SAMPLES)
    features = _features(dataset, dataset.train.ends[::stride])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return make_pipeline(StandardScaler(), estimator).fit(features, dataset.train.labels[::stride])


def _features(dataset: Dataset, ends: NDArray[np.int64]) -> NDArray[np.float64]:
    return dataset.values[ends].astype(np.float64)
