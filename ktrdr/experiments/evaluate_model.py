"""How good a trained model is: on what it was chosen by, on what it never saw, in money, and beside a shuffled twin."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from ktrdr.evaluation.backtest import BacktestResult, backtest
from ktrdr.evaluation.evaluate import Evaluation, evaluate
from ktrdr.training.architectures.model import predict
from ktrdr.training.families import build_trainer
from ktrdr.training.loop import Ending, TrainingState, train
from ktrdr.training.observer import SilentObserver
from ktrdr.training.windows import TrainingTensors

if TYPE_CHECKING:
    from torch import nn

    from ktrdr.features.columns import SymbolBars
    from ktrdr.features.dataset import Dataset, Part
    from ktrdr.strategy.spec import Strategy

Outputs = NDArray[np.float32]

_BRIEF = 0.1


@dataclass(frozen=True, slots=True)
class ModelEvaluation:
    """`outputs` are the model's, for each part that it was judged on by the part's name.

    `was_stopped` before its twin was trained; then nothing stands beside it that only knows by chance.
    """

    outputs: dict[str, Outputs]
    evaluation: Evaluation
    money: BacktestResult
    test_evaluation: Evaluation | None
    test_money: BacktestResult | None
    was_stopped: bool


def judge(
    strategy: Strategy,
    dataset: Dataset,
    bars: Mapping[str, SymbolBars],
    tensors: TrainingTensors,
    model: nn.Module,
    epochs: int,
    stop_requested: Callable[[], bool],
) -> ModelEvaluation:
    """`epochs` are those that the model was trained for."""
    base = {symbol: bars[symbol][strategy.timeframes[0]] for symbol in dataset.symbols}
    class_weights = tensors.class_weights.tolist() if tensors.class_weights is not None else None
    twin = label_permutation_control(strategy, dataset, tensors, epochs, stop_requested)
    parts = {"validation": dataset.validation, **({"test": dataset.test} if dataset.test else {})}
    outputs: dict[str, Outputs] = {}
    evaluations: dict[str, Evaluation] = {}
    moneys: dict[str, BacktestResult] = {}
    for name, part in parts.items():
        outputs[name] = outputs_for(model, tensors, part)
        control = outputs_for(twin, tensors, part) if twin else None
        evaluations[name] = evaluate(outputs[name], dataset, part, control, class_weights)
        moneys[name] = backtest(outputs[name], part, dataset, base, strategy.costs)
    return ModelEvaluation(
        outputs,
        evaluations["validation"],
        moneys["validation"],
        evaluations.get("test"),
        moneys.get("test"),
        was_stopped=twin is None and strategy.controls.shuffled_labels != "none",
    )


def outputs_for(model: nn.Module, tensors: TrainingTensors, part: Part) -> Outputs:
    length = tensors.windows.shape[1]
    starts = torch.from_numpy(part.ends - (length - 1)).to(tensors.windows.device)
    outputs: Outputs = predict(model, tensors.windows, starts).numpy()
    return outputs


def label_permutation_control(
    strategy: Strategy, dataset: Dataset, tensors: TrainingTensors, epochs: int, stop_requested: Callable[[], bool]
) -> nn.Module | None:
    """The same model, trained on the same windows with the training labels shuffled: it can only know by chance.

    None where the strategy wants no control, or when it was stopped on the way.
    """
    wanted = strategy.controls.shuffled_labels
    if wanted == "none":
        return None
    epochs = epochs if wanted == "full" else math.ceil(_BRIEF * epochs)
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
