"""The plan of a training in folds: one training per fold, all at once, then their summary."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ktrdr.errors import FINAL_ERRORS, KtrdrError
from ktrdr.executors.outcome import Outcome
from ktrdr.jobs.parts import is_tried_again, next_attempt, part_request, stops_whole
from ktrdr.operations.bridge import BridgeLayout, ProgressBridge
from ktrdr.operations.plan import Finish, Part, Start
from ktrdr.payloads.jobs import FoldsJob
from ktrdr.payloads.training import FinalMetrics, FinishedFold, UnfinishedFoldsResults

_COLUMNS = ("fold", "best_epoch", "val_loss", "val_accuracy", "total_epochs")


def create_folds_bridge(job: FoldsJob, path: Path) -> None:
    """Create the bridge of a training in folds, with one record per fold, in the order in which they end."""
    layout = BridgeLayout(
        phases=(f"{{items}} of {job.folds} folds trained",),
        total_steps=job.folds,
        columns=_COLUMNS,
        integer_columns=("fold", "best_epoch", "total_epochs"),
        planned_records=job.folds,
    )
    ProgressBridge.create(path, layout)


@dataclass(frozen=True, slots=True)
class FoldsPlan:
    """A `Plan` whose parts are folds; the index of a part is that of its fold, from 0.

    operation_id: the operation of the whole
    job: its job
    """

    operation_id: str
    job: FoldsJob

    @property
    def total(self) -> int:
        return self.job.folds

    @property
    def goes_on_without(self) -> bool:
        return False

    @property
    def taken_over(self) -> Mapping[int, str]:
        return self.job.completed

    def next(self, ended: Sequence[Part]) -> Start | Finish:
        again = [next_attempt(part) for part in ended if self._is_tried_again(part)]
        if again or len(ended) < self.total:
            return Start([*again, *(part_request(self.job.training_of(fold)) for fold in range(self.total))])
        if all(part.is_completed for part in ended):
            return Finish()
        return Finish(self._error(ended))

    def records(self, ended: Sequence[Part]) -> Iterable[Sequence[float]]:
        return [_record(part) for part in ended if part.is_completed]

    def partial_results(self, ended: Sequence[Part]) -> Mapping[str, Any]:
        folds = tuple(
            FinishedFold(fold=part.index + 1, operation_id=part.operation_id, **dict(_final_metrics(part)))
            for part in ended
            if part.is_completed
        )
        return UnfinishedFoldsResults(folds=folds).model_dump(mode="json", exclude={"status"})

    def _is_tried_again(self, part: Part) -> bool:
        """Only as a part of another whole: somebody who trains in folds resumes when the machine is well again."""
        return self.job.part is not None and is_tried_again(part)

    def _error(self, ended: Sequence[Part]) -> Mapping[str, Any]:
        missing = [part for part in ended if not part.is_completed]
        reasons = "; ".join(f"fold {part.index + 1} ({part.operation_id}) {part.reason}" for part in missing)
        detail = f"{len(missing)} of {self.total} folds have no model: {reasons}"
        if own := next((part for part in missing if part.error_code in FINAL_ERRORS or stops_whole(part)), None):
            return Outcome.failed(own.error_code, detail, own.error["hint"]).error
        hint = f"train what is missing with: ktrdr operations resume {self.operation_id}"
        return Outcome.failed(KtrdrError.code, detail, hint).error


def _record(part: Part) -> Sequence[float]:
    final = _final_metrics(part)
    return (
        part.index + 1,
        final.best_epoch or 0,
        _or_nan(final.best_val_loss),
        _or_nan(final.best_val_accuracy),
        final.total_epochs,
    )


def _final_metrics(part: Part) -> FinalMetrics:
    return FinalMetrics.model_validate(part.results["final_metrics"])


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
