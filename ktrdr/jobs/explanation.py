"""The job of an explanation, run in a worker process: which indicators a trained model depends on."""

from __future__ import annotations

import logging

from ktrdr.executors.outcome import Outcome
from ktrdr.experiments.explain_model import run_explanation
from ktrdr.jobs.analysis_bridge import AnalysisProgressBridge
from ktrdr.jobs.entry import JobContext, JobStopped
from ktrdr.market.store import BarStore
from ktrdr.market.tables.store import TableStore
from ktrdr.payloads.jobs import ExplanationJob

logger = logging.getLogger(__name__)


def run(job: ExplanationJob, context: JobContext) -> Outcome:
    store = BarStore(context.home.bars)
    with AnalysisProgressBridge(context.folder / "bridge", writable=True) as bridge:
        results = run_explanation(
            context.home.models / job.folder,
            context.folder,
            job.repeats,
            store.read_stored,
            lambda step, part, parts: bridge.on_step(step, part, parts, part),
            context.stop,
            read_table=TableStore(context.home.tables).read,
        )
        if results is None:
            raise JobStopped
        bridge.on_step(4, items=len(results.groups))
    logger.info("Explained %s by %d groups of features", job.model, len(results.groups))
    folder = context.folder.relative_to(context.home.root)
    return Outcome("completed", results.under(folder).model_dump(mode="json"))
