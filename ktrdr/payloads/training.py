"""What comes of a training, and of one in folds."""

from __future__ import annotations

from enum import StrEnum
from pathlib import PureWindowsPath
from typing import Any, Literal, get_args

from pydantic import Field

from ktrdr.payloads.backtest import BacktestResult
from ktrdr.payloads.evaluation import Evaluation
from ktrdr.payloads.leaks import LeakGateReport
from ktrdr.payloads.payload import BarInstant, Payload
from ktrdr.payloads.plots import PlotName
from ktrdr.payloads.preflight import PreflightReport
from ktrdr.payloads.results import ModelResults, Results
from ktrdr.payloads.unsealing import SealedPart


class Ending(StrEnum):
    """Why a training ended."""

    ALL_EPOCHS = "all epochs"
    EARLY_STOPPING = "early stopping"
    EPOCH_LIMIT = "epoch limit"
    """A trial that was to stop there; the winners of its rung go on."""
    CANCELLED = "cancelled"


class FinalMetrics(Payload):
    """The best epoch, and the last one. Null where no epoch was finished."""

    best_epoch: int | None = Field(description="The epoch with the least validation loss, counted from 1.")
    best_val_loss: float | None = Field(description="Its validation loss.")
    best_val_accuracy: float | None = Field(description="Its validation accuracy.")
    final_train_loss: float | None = Field(description="Training loss of the last epoch.")
    final_val_loss: float | None = Field(description="Validation loss of the last epoch.")
    total_epochs: int = Field(description="Epochs that were finished.")
    training_duration_seconds: float = Field(
        description="Time of the finished epochs, in seconds, those before a resume included."
    )


class Reproduction(Payload):
    """How a training that was run again compares with the first one."""

    of: str = Field(description="Operation of the first training.")
    identical: bool = Field(description="Whether weights, metrics, scores and predictions are the same to the bit.")
    differences: tuple[str, ...] = Field(description="What of them is not.")
    inputs: tuple[str, ...] = Field(description="What of strategy, bars, code and libraries is not the same.")


class EvaluatedResults(ModelResults):
    """Results whose model was evaluated on rows that it was not trained on."""

    evaluation: Evaluation | None = Field(None, description="How good the model is on the validation part.")
    sealed: SealedPart | None = Field(
        None, description="The test part and whether it was opened; null without one, and in results of 0.1.0."
    )
    test_evaluation: Evaluation | None = Field(
        None, description="How good it is on the test part, once that was opened; null while it is sealed."
    )
    backtest: BacktestResult | None = Field(
        None, alias="money", description="What trading on its predictions earned on the validation part."
    )
    test_backtest: BacktestResult | None = Field(
        None, alias="test_money", description="What it earned on the test part, once that was opened."
    )
    restored_epochs: int = Field(0, description="Epochs that were not trained here but restored from a checkpoint.")

    @property
    def lead_over_hardest(self) -> float | None:
        """The lead over the hardest baseline on the validation part; None without an evaluation."""
        return self.evaluation.significance.hardest_baseline[1].lead if self.evaluation else None

    def describe_test_part(self) -> str:
        """Whether the test part is sealed, in words; empty without one."""
        folder = PureWindowsPath(self.model_path).parent.name  # which reads slashes of both kinds
        return self.sealed.sentence(folder or "ID") if self.sealed else ""


class TrainingResults(EvaluatedResults):
    """Results of one training. One that was cancelled before its first epoch ended has no model and no figures."""

    kind: Literal["training"] = Field("training", description="The kind of results.")
    ending: Ending = Field(description="Why the training ended.")
    final_metrics: FinalMetrics = Field(description="The best epoch, and the last one.")
    leak_gate: LeakGateReport | None = Field(None, description="Proof that nothing in the training knew the future.")
    preflight: PreflightReport | None = Field(None, description="What the training met.")
    reproduction: Reproduction | None = Field(
        None, description="How it compares with the training that it was to reproduce, if it was."
    )
    phases_seconds: dict[str, float] = Field(
        default_factory=dict, description="Wall time of each phase of the training, in seconds."
    )

    @property
    def drawable(self) -> tuple[PlotName, ...]:
        """The plots that are drawn when they are asked for: those of a model that was saved without them."""
        return tuple(name for name in get_args(PlotName) if self.model_path and name not in self.artifacts)


class Spread(Payload):
    """A figure over all folds, or over all trials of a search."""

    mean: float = Field(description="Mean of the folds or trials.")
    std: float = Field(description="Standard deviation between them.")
    min: float = Field(description="The least of them.")
    max: float = Field(description="The greatest of them.")


class FoldsLead(Payload):
    """Lead of the folds' models over the naive baseline that is hardest to beat, on the rows of all folds together.

    In results of 0.1.0 it is the mean of the leads of all folds, each over its own strongest baseline in accuracy.
    """

    over: str = Field("", description="That baseline; empty in results of 0.1.0.")
    mean: float = Field(description="Mean lead: a share of samples, or training variances of squared error.")
    standard_error: float = Field(description="Standard error of the mean.")
    p_value: float = Field(description="Probability of such a lead by chance alone.")
    folds_ahead: int = Field(description="Folds in which the model is ahead of every naive baseline.")
    beats_baselines: bool = Field(
        description="Whether the models beat each naive baseline beyond chance, as `evaluation.significance` says."
    )


def _measure(text: str) -> Any:
    """A measure that only classifications, or only regressions, have."""
    return Field(None, exclude_if=lambda value: value is None, description=text)


class FoldScores(Payload):
    """One fold of a training."""

    fold: int = Field(description="Number of the fold, counted from 1.")
    operation_id: str = Field(description="The operation that trained it.")
    first: BarInstant = Field(alias="from", description="Opening of the first validation sample's last bar.")
    last: BarInstant = Field(alias="to", description="Opening of the last validation sample's last bar.")
    samples: int = Field(alias="validation_samples", description="Validation samples.")
    best_epoch: int = Field(description="The epoch with the least validation loss, counted from 1.")
    best_val_loss: float = Field(description="Its validation loss.")
    total_epochs: int = Field(description="Epochs that were finished.")
    accuracy: float = Field(description="Share of samples whose class, or sign, was predicted.")
    balanced_accuracy: float | None = _measure("Mean recall of the classes that occur.")
    mcc: float | None = _measure("Matthews correlation coefficient, from -1 to 1.")
    log_loss: float | None = _measure("Cross-entropy in nats.")
    mse: float | None = _measure("Mean squared error, in variances of the training targets.")
    ic: float | None = _measure("Information coefficient (Pearson's).")
    rank_ic: float | None = _measure("Information coefficient of ranks (Spearman's).")
    strongest_baseline: str = Field(description="The naive baseline that is hardest to beat in this fold.")
    baseline_accuracy: float = Field(description="Its accuracy.")
    baseline_mse: float | None = _measure("Its mean squared error.")
    lead: float = Field(
        description="The model's lead over it: a share of samples, or training variances of squared error where "
        "`baseline_mse` is there."
    )
    total_return: float | None = _measure("Return of its backtest, as a share of the capital.")
    held_return: float | None = _measure("Return of holding at the same time.")
    beats_baselines: bool = Field(description="Whether the fold's model beats its naive baselines beyond chance.")


class FoldsResults(EvaluatedResults):
    """Results of a training in folds. Its model is that of the last fold.

    `evaluation` and `money` are of the validation rows of all folds together, each predicted by its own fold's model.
    `sealed`, `test_evaluation` and `test_money` are of the last fold's model. Results of 0.1.0 have none of them.
    """

    kind: Literal["folds"] = Field("folds", description="The kind of results.")
    final_metrics: FinalMetrics = Field(description="Means over the folds; epochs and times are sums.")
    folds: tuple[FoldScores, ...] = Field(description="The folds, in their order.")
    spread: dict[str, Spread] = Field(description="Mean and spread of each measure over the folds.")
    lead: FoldsLead | None = Field(
        None, description="Whether the folds together are ahead beyond chance; null where that cannot be tested."
    )
    reproduction: Reproduction | None = Field(
        None, description="How the folds compare with those that they were to reproduce, if they were."
    )
    verdict: str = Field(description="The same in words.")
    warnings: tuple[str, ...] = Field((), description="What the folds' preflights warned of.")


class FinishedFold(FinalMetrics):
    """A fold that was trained before the whole failed or was cancelled."""

    fold: int = Field(description="Number of the fold, counted from 1.")
    operation_id: str = Field(description="The operation that trained it.")


class UnfinishedFoldsResults(Results):
    """Results of a training in folds that failed or was cancelled."""

    kind: Literal["unfinished_folds"] = Field("unfinished_folds", description="The kind of results.")
    folds: tuple[FinishedFold, ...] = Field(description="The folds that were trained before that.")
