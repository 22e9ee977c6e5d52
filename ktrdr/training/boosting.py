"""Trains boosted trees with LightGBM. An epoch is one boosting round, which adds one tree for each output.

LightGBM stores each sample's score, the sum of its leaf values in the order of the trees, as a double. A loaded model
has the same sums, so its next round adds the same trees, bit for bit, as the saved model's would. Random draws must not
depend on earlier rounds for that, so each round has its own seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktrdr.training.loop import OnBatch, Score, StopRequested

if TYPE_CHECKING:
    import lightgbm

    from ktrdr.strategy.sections.training import Training
    from ktrdr.training.architectures.gradient_boosting import GradientBoostingModel
    from ktrdr.training.windows import Samples, TrainingTensors

# Probabilities are clipped here, as in LightGBM's own metrics.
MIN_PROBABILITY = 1e-15


class BoostingTrainer:
    """The trees, and LightGBM's binned data of both parts, which the first epoch in this process makes."""

    def __init__(self, model: GradientBoostingModel, data: TrainingTensors, settings: Training) -> None:
        import_module("lightgbm")  # takes seconds, which are no part of the first round
        self.model = model
        self.data = data
        self.settings = settings
        self._train = _Part.of(data, data.train)
        self._validation = _Part.of(data, data.validation)
        self._has_begun = False
        self._best_rounds = 0

    @property
    def learning_rate(self) -> float:
        return self.settings.learning_rate

    def epoch(self, epoch: int, on_batch: OnBatch, stop_requested: StopRequested) -> Score | None:
        if self._has_begun:
            self._add_round(epoch)
        else:
            self._begin(epoch)
        on_batch(epoch, 1, 1, epoch * len(self.data.train))
        return None if stop_requested() else self._train.score_by(self._booster.eval_train)

    def validate(self, stop_requested: StopRequested = lambda: False) -> Score | None:
        return None if stop_requested() else self._validation.score_by(self._booster.eval_valid)

    def keep_best(self) -> None:
        self._best_rounds = self.model.rounds

    def best_weights(self) -> dict[str, Tensor]:
        return self.model.weights_of_first(self._best_rounds)

    def capture(self) -> Callable[[], dict[str, Tensor]]:
        # Rounds only add trees, so their text, which takes longer than a round, can be made later.
        rounds, best_rounds = self.model.rounds, self._best_rounds

        def tensors() -> dict[str, Tensor]:
            weights = self.model.weights_of_first(rounds)
            return {f"model.{name}": tensor for name, tensor in weights.items()} | {
                "best.rounds": torch.tensor(best_rounds)
            }

        return tensors

    def restore(self, tensors: dict[str, Tensor]) -> None:
        weights = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
        self.model.load_state_dict(weights)
        self._best_rounds = int(tensors["best.rounds"])
        self._has_begun = False

    @property
    def _booster(self) -> lightgbm.Booster:
        booster = self.model.booster
        assert booster is not None, "validated before the first epoch"
        return booster

    def _begin(self, epoch: int) -> None:
        """Train the first round in this process, on top of a restored model's trees if there are any."""
        import lightgbm

        parameters = self._parameters() | self._seed(epoch)
        train = lightgbm.Dataset(self._train.inputs(self.data), **self._train.targets, params=parameters)
        validation = train.create_valid(self._validation.inputs(self.data), **self._validation.targets)
        self.model.booster = lightgbm.train(
            parameters,
            train,
            num_boost_round=1,
            valid_sets=[validation],
            init_model=self.model.booster,
            keep_training_booster=True,
        )
        self._has_begun = True

    def _add_round(self, epoch: int) -> None:
        if seed := self._seed(epoch):
            self._booster.reset_parameter(seed)
        self._booster.update()

    def _parameters(self) -> dict[str, Any]:
        spec, settings = self.model.spec, self.settings
        return {
            **_objective(self.data, self.model.outputs),
            "num_leaves": spec.leaves,
            "min_data_in_leaf": spec.min_leaf_samples,
            "feature_fraction": spec.feature_fraction,
            "lambda_l2": spec.l2,
            "learning_rate": settings.learning_rate,
            "num_threads": settings.threads,
            "seed": settings.seed & 0x7FFFFFFF,
            "deterministic": True,
            "force_row_wise": True,
            "metric": "none",
            "verbosity": -1,
        }

    def _seed(self, epoch: int) -> dict[str, int]:
        """The seed that draws this round's features; empty where trees use all features."""
        if self.model.spec.feature_fraction == 1:
            return {}
        drawn = np.random.SeedSequence([self.settings.seed, epoch]).generate_state(1)[0]
        return {"feature_fraction_seed": int(drawn) & 0x7FFFFFFF}


@dataclass(frozen=True, slots=True)
class _Part:
    """Samples as LightGBM takes them.

    labels: [samples], int64 classes or float32 targets
    weights: [samples], class weight * sample weight; None where each is 1
    """

    samples: Samples
    labels: NDArray[np.int64] | NDArray[np.float32]
    weights: NDArray[np.float32] | None

    @classmethod
    def of(cls, data: TrainingTensors, samples: Samples) -> Self:
        weights = data.loss_weights(samples)
        return cls(samples, samples.labels.cpu().numpy(), None if weights is None else weights.cpu().numpy())

    @property
    def targets(self) -> dict[str, Any]:
        return {"label": self.labels, "weight": self.weights}

    def inputs(self, data: TrainingTensors) -> NDArray[np.float32]:
        """[samples, window * features]"""
        windows: NDArray[np.float32] = data.windows.index_select(0, self.samples.starts).flatten(1).cpu().numpy()
        return windows

    def score_by(self, evaluate: Callable[..., list[Any]]) -> Score:
        values = {name: value for _, name, value, *_ in evaluate(self._metrics)}
        return Score(values["loss"], values["accuracy"])

    def _metrics(self, predicted: NDArray[np.float64], _: lightgbm.Dataset) -> list[tuple[str, float, bool]]:
        losses, hits = _regression(predicted, self.labels) if self.is_regression else _classes(predicted, self.labels)
        return [
            ("loss", float(np.average(losses, weights=self.weights)), False),
            ("accuracy", float(hits.mean()), True),
        ]

    @property
    def is_regression(self) -> bool:
        return self.labels.dtype.kind == "f"


def _objective(data: TrainingTensors, outputs: int) -> dict[str, Any]:
    if data.train.labels.is_floating_point():
        return {"objective": "regression"}
    return {"objective": "binary"} if outputs == 2 else {"objective": "multiclass", "num_class": outputs}


def _regression(predicted: NDArray[np.float64], targets: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    return (predicted - targets) ** 2, (predicted > 0) == (targets > 0)


def _classes(predicted: NDArray[np.float64], labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Losses and hits [samples]. `predicted` is [samples, classes]; with two classes [samples], the second's."""
    probabilities = np.stack([1 - predicted, predicted], axis=1) if predicted.ndim == 1 else predicted
    true_class = probabilities[np.arange(len(labels)), labels]
    return -np.log(np.maximum(true_class, MIN_PROBABILITY)), probabilities.argmax(axis=1) == labels
