"""Evaluates a trained model: metrics and backtest on one part, and a control trained on shuffled labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from ktrdr.evaluation.backtest import Backtest, backtest
from ktrdr.evaluation.baselines import Guess
from ktrdr.evaluation.evaluate import Standard, evaluate_rows
from ktrdr.evaluation.evaluated_rows import EvaluatedRows, collect_rows
from ktrdr.evaluation.resolution import resolution
from ktrdr.evaluation.significance import VALIDATION_LEVEL
from ktrdr.payloads.evaluation import Evaluation
from ktrdr.payloads.selection import LookVerdict
from ktrdr.payloads.training import Ending
from ktrdr.payloads.unsealing import SealedPart
from ktrdr.strategy.spec import Controls
from ktrdr.training.architectures.model import predict
from ktrdr.training.determinism import seed_generators
from ktrdr.training.families import build_trainer
from ktrdr.training.loop import TrainingState, train
from ktrdr.training.observer import SilentObserver
from ktrdr.training.windows import TrainingTensors

if TYPE_CHECKING:
    from torch import nn

    from ktrdr.features.dataset import Dataset, Part
    from ktrdr.market.symbol_bars import SymbolBars
    from ktrdr.strategy.spec import Strategy

Outputs = NDArray[np.float32]

# Share of the epochs that a brief control is trained for.
_BRIEF_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class ModelEvaluation:
    """The evaluation of one model.

    part: the evaluation on the validation part
    class_weights: [classes], of the training's loss; None where there are none
    was_stopped: whether a stop was requested while the control was trained; the control is missing then
    """

    part: EvaluatedPart
    class_weights: list[float] | None
    was_stopped: bool

    def beside_all_tries(self, verdict: LookVerdict) -> ModelEvaluation:
        """The same, with the verdict over all tries at the rows."""
        return replace(self, part=self.part.beside_all_tries(verdict))


@dataclass(frozen=True, slots=True)
class EvaluatedPart:
    """One part of the samples, evaluated and traded.

    outputs: [samples, outputs] of the model
    standard: what its lead is held against
    """

    outputs: Outputs
    rows: EvaluatedRows
    standard: Standard
    evaluation: Evaluation
    backtest: Backtest

    def beside_all_tries(self, verdict: LookVerdict) -> EvaluatedPart:
        standard = replace(self.standard, selection=verdict.selection)
        return replace(
            self,
            standard=standard,
            evaluation=evaluate_rows(self.rows, standard),
            backtest=self.backtest.beside(verdict.backtest),
        )


def evaluate_training(
    strategy: Strategy,
    dataset: Dataset,
    bars: Mapping[str, SymbolBars],
    tensors: TrainingTensors,
    state: TrainingState,
    stop_requested: Callable[[], bool],
    yardsticks: Mapping[str, Guess],
    *,
    is_trial: bool,
) -> ModelEvaluation:
    """Evaluate and backtest the model of `state` on the validation part; the test part stays sealed.

    `yardsticks` are the predictions of linear models for that part, by name.
    """
    control = label_permutation_control(strategy, dataset, tensors, state.epoch, stop_requested)
    part = evaluate_part(
        strategy,
        dataset,
        bars,
        tensors,
        dataset.validation,
        state.model,
        control,
        yardsticks=yardsticks,
        is_trial=is_trial,
    )
    was_stopped = control is None and strategy.controls.shuffled_labels != "none"
    return ModelEvaluation(part, _class_weights(tensors), was_stopped)


def evaluate_part(
    strategy: Strategy,
    dataset: Dataset,
    bars: Mapping[str, SymbolBars],
    tensors: TrainingTensors,
    part: Part,
    model: nn.Module,
    control: nn.Module | None,
    level: float = VALIDATION_LEVEL,
    yardsticks: Mapping[str, Guess] | None = None,
    *,
    is_trial: bool = False,
) -> EvaluatedPart:
    """Evaluate and backtest `model` on one part, at the significance `level`."""
    base = {symbol: bars[symbol][strategy.timeframes[0]] for symbol in dataset.symbols}
    outputs = outputs_for(model, tensors, part)
    control_outputs = outputs_for(control, tensors, part) if control else None
    rows = collect_rows(outputs, dataset, part, control_outputs, _class_weights(tensors), yardsticks)
    standard = Standard(resolution(dataset, part, level), level, is_trial=is_trial)
    traded = backtest(rows.model, part, dataset, base, strategy)
    return EvaluatedPart(outputs, rows, standard, evaluate_rows(rows, standard), traded)


def without_control(strategy: Strategy) -> Strategy:
    return strategy.model_copy(update={"controls": Controls(shuffled_labels="none")})


def _class_weights(tensors: TrainingTensors) -> list[float] | None:
    return None if tensors.class_weights is None else tensors.class_weights.tolist()


def outputs_for(model: nn.Module, tensors: TrainingTensors, part: Part) -> Outputs:
    length = tensors.windows.shape[1]
    starts = torch.from_numpy(part.ends - (length - 1)).to(tensors.windows.device)
    outputs: Outputs = predict(model, tensors.windows, starts).numpy()
    return outputs


def sealed_part(dataset: Dataset) -> SealedPart | None:
    """The test part, which stays sealed; None without one."""
    if dataset.test is None:
        return None
    stamps = dataset.test.timestamps.astype("datetime64[s]")
    return SealedPart(samples=len(stamps), first=stamps.min().item(), last=stamps.max().item())


def label_permutation_control(
    strategy: Strategy, dataset: Dataset, tensors: TrainingTensors, epochs: int, stop_requested: Callable[[], bool]
) -> nn.Module | None:
    """Train the same model on the same windows with shuffled training labels, which removes all that can be learnt.

    Returns None where the strategy turns the control off, or when a stop was requested.
    """
    length = strategy.controls.shuffled_labels
    if length == "none":
        return None
    epochs = epochs if length == "full" else math.ceil(_BRIEF_SHARE * epochs)
    order = torch.from_numpy(np.random.default_rng(strategy.training.seed).permutation(len(dataset.train.labels)))
    shuffled = replace(tensors.train, labels=tensors.train.labels[order.to(tensors.windows.device)])
    settings = strategy.training.model_copy(update={"epochs": epochs, "early_stopping": None})
    seed_generators(settings.seed)
    trainer = build_trainer(strategy.model, settings, replace(tensors, train=shuffled), dataset.outputs)
    state = TrainingState(trainer)
    ending = train(state, settings, SilentObserver(), stop_requested, keep=lambda _: None, tell=lambda *_: None)
    if ending is Ending.CANCELLED:
        return None
    state.model.load_state_dict(trainer.best_weights())
    return state.model
