"""Evaluates a trained model: metrics and backtest on each part, and a control trained on shuffled labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from ktrdr.evaluation.backtest import Backtest, backtest
from ktrdr.evaluation.evaluate import evaluate_rows, level_for
from ktrdr.evaluation.evaluated_rows import EvaluatedRows, collect_rows
from ktrdr.evaluation.resolution import resolution
from ktrdr.features.splits import fold_count
from ktrdr.payloads.backtest import BacktestResult
from ktrdr.payloads.evaluation import Evaluation
from ktrdr.payloads.selection import LookVerdict
from ktrdr.payloads.training import Ending
from ktrdr.training.architectures.model import predict
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

    outputs: [samples, outputs] of the model, by the part's name
    rows: of each evaluated part
    class_weights: [classes], of the training's loss; None where there are none
    evaluation, backtest: on the validation part
    test_evaluation, test_backtest: on the test part; None without one
    was_stopped: whether a stop was requested while the control was trained; the control is missing then
    """

    outputs: dict[str, Outputs]
    rows: tuple[EvaluatedRows, ...]
    class_weights: list[float] | None
    evaluation: Evaluation
    backtest: Backtest
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
    fold: int = 0,
) -> ModelEvaluation:
    """Evaluate and backtest the model of `state` on the validation part, and on the test part where there is one.

    In folds the last one alone opens the test part, as its model is the one that the whole hands out.
    """
    base = {symbol: bars[symbol][strategy.timeframes[0]] for symbol in dataset.symbols}
    class_weights = tensors.class_weights.tolist() if tensors.class_weights is not None else None
    control = label_permutation_control(strategy, dataset, tensors, state.epoch, stop_requested)

    def evaluate(part: Part) -> _PartEvaluation:
        outputs = outputs_for(state.model, tensors, part)
        control_outputs = outputs_for(control, tensors, part) if control else None
        rows = collect_rows(outputs, dataset, part, control_outputs, class_weights)
        evaluation = evaluate_rows(rows, resolution(dataset, part, level_for(rows.part)))
        return _PartEvaluation(outputs, rows, evaluation, backtest(outputs, part, dataset, base, strategy.costs))

    validation = evaluate(dataset.validation)
    test = evaluate(dataset.test) if dataset.test is not None and opens_test(strategy, fold) else None
    return ModelEvaluation(
        {"validation": validation.outputs} | ({"test": test.outputs} if test else {}),
        (validation.rows, test.rows) if test else (validation.rows,),
        class_weights,
        validation.evaluation,
        validation.backtest,
        test.evaluation if test else None,
        test.backtest.result if test else None,
        was_stopped=control is None and strategy.controls.shuffled_labels != "none",
    )


def beside_all_tries(evaluated: ModelEvaluation, dataset: Dataset, verdict: LookVerdict | None) -> ModelEvaluation:
    """The same evaluation of the validation part, with the verdict over all tries at its rows, where there is one."""
    if verdict is None:
        return evaluated
    shown = resolution(dataset, dataset.validation, verdict.selection.level)
    return replace(
        evaluated,
        evaluation=evaluate_rows(evaluated.rows[0], shown, verdict.selection),
        backtest=evaluated.backtest.beside(verdict.backtest),
    )


def opens_test(strategy: Strategy, fold: int) -> bool:
    """Whether this fold, counted from 0, evaluates the test part."""
    return fold == fold_count(strategy) - 1


@dataclass(frozen=True, slots=True)
class _PartEvaluation:
    outputs: Outputs
    rows: EvaluatedRows
    evaluation: Evaluation
    backtest: Backtest


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
