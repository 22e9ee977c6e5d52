"""The job of an unsealing, run in a worker process: it records the opening of a test part, and evaluates the model."""

from __future__ import annotations

import logging
from contextlib import closing

from ktrdr.executors.outcome import Outcome
from ktrdr.experiments.unseal import run_unsealing
from ktrdr.jobs.analysis_bridge import AnalysisProgressBridge
from ktrdr.jobs.entry import JobContext, JobStopped
from ktrdr.ledger.store import Ledger
from ktrdr.market.store import BarStore
from ktrdr.market.tables.store import TableStore
from ktrdr.payloads.jobs import UnsealingJob
from ktrdr.saved_models.unsealed import unsealed_folder

logger = logging.getLogger(__name__)


def run(job: UnsealingJob, context: JobContext) -> Outcome:
    folder, store = context.home.models / job.folder, BarStore(context.home.bars)
    with (
        AnalysisProgressBridge(context.folder / "bridge", writable=True) as bridge,
        closing(Ledger(context.home.ledger)) as ledger,
    ):
        results = run_unsealing(
            folder,
            job.by,
            store.read_stored,
            ledger,
            lambda step, items: bridge.on_step(step, items=items),
            context.stop,
            read_table=TableStore(context.home.tables).read,
        )
        if results is None:
            raise JobStopped
        bridge.on_step(4, items=results.evaluation.samples)
    logger.info("Opened the test part of %s: opening %d, by %s", job.model, results.opening.number, results.opening.by)
    place = unsealed_folder(folder).relative_to(context.home.root)
    return Outcome("completed", results.under(place).model_dump(mode="json"))
