"""Evaluates a trained model: metrics and backtest on each part, and a control trained on shuffled labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from ktrdr.evaluation.backtest import backtest
from ktrdr.evaluation.evaluate import evaluate
from ktrdr.payloads.backtest import BacktestResult
from ktrdr.payloads.evaluation import Evaluation
from ktrdr.payloads.training import Ending
from ktrdr.training.architectures.model import predict
from ktrdr.training.families import build_trainer
from ktrdr.training.loop import TrainingState, train
from ktrdr.training.observer import SilentObserver
from ktrdr.training.windows import TrainingTensors

if TYPE_CHECKING:
    from torch import nn

    from ktrdr.features.columns import SymbolBars
    from ktrdr.features.dataset import Dataset, Part
    from ktrdr.strategy.spec import Strategy

Outputs = NDArray[np.float32]

# Share of the epochs that a brief control is trained for.
_BRIEF_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class ModelEvaluation:
    """The evaluation of one model.

    outputs: [samples, outputs] of the model, by the part's name
    class_weights: [classes], of the training's loss; None where there are none
    evaluation, backtest: on the validation part
    test_evaluation, test_backtest: on the test part; None without one
    was_stopped: whether a stop was requested while the control was trained; the control is missing then
    """

    outputs: dict[str, Outputs]
    class_weights: list[float] | None
    evaluation: Evaluation
    backtest: BacktestResult
    test_evaluation: Evaluation | None
    test_backtest: BacktestResult | None
    was_stopped: bool


def evaluate_on_splits(
    strategy: Strategy,
    dataset: Dataset,
    bars: Mapping[str, SymbolBars],
    tensors: TrainingTensors,
    state: TrainingState,
    stop_requested: Callable[[], bool],
) -> ModelEvaluation:
    """Evaluate and backtest the model of `state` on the validation part, and on the test part where there is one."""
    base = {symbol: bars[symbol][strategy.timeframes[0]] for symbol in dataset.symbols}
    class_weights = tensors.class_weights.tolist() if tensors.class_weights is not None else None
    control = label_permutation_control(strategy, dataset, tensors, state.epoch, stop_requested)

    def score(part: Part) -> tuple[Outputs, Evaluation, BacktestResult]:
        outputs = outputs_for(state.model, tensors, part)
        control_outputs = outputs_for(control, tensors, part) if control else None
        evaluation = evaluate(outputs, dataset, part, control_outputs, class_weights)
        return outputs, evaluation, backtest(outputs, part, dataset, base, strategy.costs)

    outputs, evaluation, traded = score(dataset.validation)
    test = score(dataset.test) if dataset.test is not None else None
    return ModelEvaluation(
        {"validation": outputs} | ({"test": test[0]} if test else {}),
        class_weights,
        evaluation,
        traded,
        test[1] if test else None,
        test[2] if test else None,
        was_stopped=control is None and strategy.controls.shuffled_labels != "none",
    )


def outputs_for(model: nn.Module, tensors: TrainingTensors, part: Part) -> Outputs:
    length = tensors.windows.shape[1]
    starts = torch.from_numpy(part.ends - (length - 1)).to(tensors.windows.device)
    outputs: Outputs = predict(model, tensors.windows, starts).numpy()
    return outputs


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
    torch.manual_seed(settings.seed)
    trainer = build_trainer(strategy.model, settings, replace(tensors, train=shuffled), dataset.outputs)
    state = TrainingState(trainer)
    ending = train(state, settings, SilentObserver(), stop_requested, keep=lambda _: None, tell=lambda *_: None)
    if ending is Ending.CANCELLED:
        return None
    state.model.load_state_dict(trainer.best_weights())
    return state.model
