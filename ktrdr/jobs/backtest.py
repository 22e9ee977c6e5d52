"""The job of a backtest, run in a worker process: a trained model on bars of somebody's choice."""

from __future__ import annotations

import logging
from contextlib import closing

from ktrdr.executors.outcome import Outcome
from ktrdr.experiments.backtest_model import BacktestRequest, run_backtest
from ktrdr.jobs.analysis_bridge import AnalysisProgressBridge
from ktrdr.jobs.entry import JobContext, JobStopped
from ktrdr.ledger.store import Ledger
from ktrdr.market.store import BarStore
from ktrdr.market.tables.store import TableStore
from ktrdr.payloads.jobs import BacktestJob

logger = logging.getLogger(__name__)

FILES = "backtest"


def run(job: BacktestJob, context: JobContext) -> Outcome:
    models, store, output = context.home.models, BarStore(context.home.bars), context.folder / FILES
    request = BacktestRequest(
        operation_id=context.operation_id,
        model=job.model,
        folders=tuple(models / name for name in job.folders or (job.folder,)),
        symbols=job.symbols,
        start=job.start,
        end=job.end,
        output=output,
        allows_overlap=job.allows_overlap,
        settings=job.settings,
    )
    with (
        AnalysisProgressBridge(context.folder / "bridge", writable=True) as bridge,
        closing(Ledger(context.home.ledger)) as ledger,
    ):
        results = run_backtest(
            request,
            store.read_stored,
            ledger,
            lambda step, items: bridge.on_step(step, items=items),
            context.stop,
            read_table=TableStore(context.home.tables).read,
        )
        if results is None:
            raise JobStopped
        bridge.on_step(4, items=results.samples)
    logger.info("Backtest of %s: %d bars, %d trades", job.model, results.samples, results.trades)
    return Outcome("completed", results.under(output.relative_to(context.home.root)).model_dump(mode="json"))
