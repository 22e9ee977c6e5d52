"""The plan of an ablation: one training without each indicator, all at once, then their comparison."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ktrdr.errors import ConflictError, KtrdrError
from ktrdr.executors.outcome import Outcome
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.features.other_series import other_keys
from ktrdr.features.splits import fold_count
from ktrdr.formatting import counted
from ktrdr.jobs.parts import is_tried_again, next_attempt, part_request, stops_whole
from ktrdr.jobs.strategies import catalogue_of
from ktrdr.operations.bridge import BridgeLayout, ProgressBridge
from ktrdr.operations.plan import Finish, Part, Start
from ktrdr.payloads.ablations import TrainedWithout, UnfinishedAblationResults
from ktrdr.payloads.jobs import AblationJob, StrategyOnBars, TrainingJob
from ktrdr.payloads.plugins import Plugins
from ktrdr.payloads.training import TrainingResults
from ktrdr.saved_models.reproduce import read_card
from ktrdr.strategy.left_out import LeftOut, leave_out_each
from ktrdr.strategy.loading import load_strategy
from ktrdr.training.files import EVALUATED_ROWS

MOST_TRAININGS = 64

_COLUMNS = ("trial", "val_loss", "val_accuracy", "total_epochs")


def create_ablation_bridge(job: AblationJob, path: Path) -> None:
    """Create the bridge of an ablation, with one record for each training, in the order in which they end."""
    layout = BridgeLayout(
        phases=(f"{{items}} of {job.trainings} trainings have ended",),
        total_steps=job.trainings,
        columns=_COLUMNS,
        integer_columns=("trial", "total_epochs"),
        planned_records=job.trainings,
    )
    ProgressBridge.create(path, layout)


def ablation_job(model: str, folder: Path) -> AblationJob:
    """The job of an ablation of the model in `folder`, which `model` trained.

    Raises ArtifactNotFound, StorageError, and ConflictError where there is nothing to leave out, or too much.
    """
    card = read_card(folder)
    plugins = Plugins.model_validate(card.get("plugins", {}))
    strategy = load_strategy(card["strategy_text"], IndicatorCatalogue(lambda: plugins))
    trainings = len(list(leave_out_each(card["strategy_text"], strategy)))
    if not 0 < trainings <= MOST_TRAININGS:
        raise ConflictError(
            f"the strategy of {model} has {counted(trainings, 'source')} of features that can be left out; "
            f"an ablation takes 2 to {MOST_TRAININGS}",
            hint="shuffle them instead, which trains nothing: ktrdr models explain ID",
        )
    if not (folder / EVALUATED_ROWS).is_file():
        raise ConflictError(
            f"model {model} has no stored predictions: a version that did not store them has trained it",
            hint="train it again to compare",
        )
    return AblationJob(
        strategy=card["strategy_text"],
        strategy_name=card["strategy_name"],
        model_type=strategy.model.type,
        symbols=tuple(card["symbols"]),
        timeframes=tuple(card["timeframes"]),
        start=card["start"],
        end=card["end"],
        plugins=plugins,
        other_series=tuple(map(str, other_keys(strategy))),
        model=model,
        folder=folder.name,
        epochs=strategy.training.epochs,
        fold=card["fold"],
        folds=fold_count(strategy),
        trainings=trainings,
    )


@dataclass(frozen=True)
class AblationPlan:
    """A `Plan` whose parts are lean trainings, in the order of the indicators that they lack.

    operation_id: the operation of the whole
    job: its job
    """

    operation_id: str
    job: AblationJob

    @property
    def goes_on_without(self) -> bool:
        return True

    @property
    def taken_over(self) -> Mapping[int, str]:
        return self.job.taken_over

    def next(self, ended: Sequence[Part]) -> Start | Finish:
        if stopping := next((part for part in ended if stops_whole(part)), None):
            return Finish(self._error([stopping]))
        again = [next_attempt(part) for part in ended if is_tried_again(part)]
        if again or len(ended) < self.job.trainings:
            return Start([*again, *(part_request(self.training_of(index)) for index in range(self.job.trainings))])
        return Finish() if any(part.is_completed for part in ended) else Finish(self._error(ended))

    def records(self, ended: Sequence[Part]) -> Iterable[Sequence[float]]:
        return [_record(part) for part in ended if part.is_completed]

    def partial_results(self, ended: Sequence[Part]) -> Mapping[str, Any]:
        trained = tuple(trained_without(part, self.left_out[part.index]) for part in ended)
        return UnfinishedAblationResults(indicators=trained).model_dump(mode="json", exclude={"status"})

    def training_of(self, index: int) -> TrainingJob:
        """The training that lacks one indicator: a trial, because it is another try at the same rows."""
        left_out = self.left_out[index]
        shared = self.job.model_dump(include=set(StrategyOnBars.model_fields) | {"epochs", "fold", "folds"})
        return TrainingJob(
            **shared | {"strategy": left_out.strategy},
            trial=index,
            parameters={left_out.switch: False},
            part=index,
            bars_of=self.job.folder,
            resume_from=self.job.checkpoints.get(index),
        )

    @cached_property
    def left_out(self) -> Sequence[LeftOut]:
        """What each training lacks, by the index of the part."""
        return tuple(leave_out_each(self.job.strategy, load_strategy(self.job.strategy, catalogue_of(self.job))))

    def _error(self, failed: Sequence[Part]) -> Mapping[str, Any]:
        reasons = "; ".join(f"{self.left_out[part.index].name} ({part.operation_id}) {part.reason}" for part in failed)
        hint = f"go on with what is missing: ktrdr operations resume {self.operation_id}"
        return Outcome.failed(KtrdrError.code, f"trainings have no model, without {reasons}", hint).error


def trained_without(part: Part, left_out: LeftOut) -> TrainedWithout:
    own = TrainedWithout(name=left_out.name, indicator=left_out.indicator, operation_id=part.operation_id)
    if not part.is_completed:
        return own.model_copy(update={"reason": part.reason})
    results = TrainingResults.model_validate(part.results)
    return own.model_copy(update={"val_loss": results.final_metrics.best_val_loss, "lead": results.lead_over_hardest})


def _record(part: Part) -> Sequence[float]:
    final = TrainingResults.model_validate(part.results).final_metrics
    loss, accuracy = final.best_val_loss, final.best_val_accuracy
    return part.index, _or_nan(loss), _or_nan(accuracy), final.total_epochs


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
