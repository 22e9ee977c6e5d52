"""The final job of an ablation, run in a worker: it compares the trainings without an indicator with the model."""

from __future__ import annotations

import json
import logging

from ktrdr.executors.outcome import PARTS, Outcome
from ktrdr.experiments.ablation import ReducedModel, compare_reduced
from ktrdr.jobs.ablation_plan import AblationPlan, trained_without
from ktrdr.jobs.checkpoints import checkpoint_folders
from ktrdr.jobs.entry import JobContext
from ktrdr.jobs.parts import read_part
from ktrdr.payloads.jobs import AblationJob

logger = logging.getLogger(__name__)


def run(job: AblationJob, context: JobContext) -> Outcome:
    members: list[str] = json.loads((context.folder / PARTS).read_bytes())
    parts = [read_part(context.folder.parent / member) for member in members]
    left_out = AblationPlan(context.operation_id, job).left_out
    models = context.home.models
    trained = [trained_without(part, left_out[part.index]) for part in parts]
    reduced = [ReducedModel(each, models / each.operation_id) for each in trained if not each.reason]
    failed = [each for each in trained if each.reason]
    results = compare_reduced(job.model, models / job.folder, reduced, failed, context.folder)
    logger.info("Compared %s with %d trainings that lack an indicator", job.model, len(reduced))
    folder = context.folder.relative_to(context.home.root)
    leftovers = tuple(checkpoint_folders(context.home, members))
    return Outcome("completed", results.under(folder).model_dump(mode="json"), leftovers=leftovers)
