"""The job of a training, run in a worker process: it reads strategy and bars, and writes bridge and outcome."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ktrdr.cache import FolderCache
from ktrdr.executors.outcome import Outcome
from ktrdr.experiments.fold_data import FoldCache
from ktrdr.experiments.train import ReadBars, run_training
from ktrdr.home import Home
from ktrdr.jobs.checkpoints import with_checkpoints
from ktrdr.jobs.entry import JobContext
from ktrdr.jobs.strategies import strategy_of
from ktrdr.jobs.training_bridge import TrainingProgressBridge
from ktrdr.ledger.store import Ledger
from ktrdr.market.series_file import StoredBars
from ktrdr.market.store import BarStore
from ktrdr.market.tables.store import TableStore
from ktrdr.payloads.jobs import TrainingJob
from ktrdr.payloads.looks import Door
from ktrdr.payloads.training import TrainingResults
from ktrdr.saved_models.reproduce import bars_of
from ktrdr.settings import read_settings
from ktrdr.training.fingerprint import CHECKPOINTS
from ktrdr.training.request import TrainingRequest


def run(job: TrainingJob, context: JobContext) -> Outcome:
    models = context.home.models
    request = TrainingRequest(
        operation_id=context.operation_id,
        strategy=strategy_of(job, job.parsed),
        strategy_name=job.strategy_name,
        strategy_text=job.strategy,
        symbols=job.symbols,
        start=job.start,
        end=job.end,
        output=models / context.operation_id,
        fold=job.fold,
        until=job.until,
        reproduces=models / job.reproduces if job.reproduces else None,
        is_lean=job.trial is not None,
    )
    original = job.reproduces or job.bars_of
    resumed = (with_checkpoints(context.home, job.resume_from) or job.resume_from) if job.resume_from else None
    resume_from = models / resumed if resumed else None
    with TrainingProgressBridge(context.folder / "bridge", writable=True) as bridge:
        results = run_training(
            request,
            _reader(request, BarStore(context.home.bars), models / original if original else None),
            bridge,
            context.stop,
            resume_from,
            looks=_ledger(context.home),
            folds=_fold_cache(context.home) if request.is_lean else None,
            read_table=TableStore(context.home.tables).read,
        )
    folder = request.output.relative_to(context.home.root)
    may_go_on = job.last_epoch < (job.epochs or 1)
    return _outcome(results.under(folder), None if may_go_on else folder / CHECKPOINTS)


def _reader(request: TrainingRequest, store: BarStore, original: Path | None) -> ReadBars:
    """Reads the range of the request, or that of the `original` training without bars that were stored later."""
    if original is None:
        return store.read_ahead(request.symbols, request.strategy.timeframes, request.start, request.end)

    def read(symbol: str, timeframe: str) -> StoredBars:
        start, end = bars_of(original, symbol, timeframe) or (request.start, request.end)
        return store.read_stored(symbol, timeframe, start, end)

    return read


# The last one of each stays for the next trial that this process runs.


@lru_cache(maxsize=1)
def _ledger(home: Home) -> Ledger:
    return Ledger(home.ledger, Door.PYTHON if home.source else Door.SERVER)


@lru_cache(maxsize=1)
def _fold_cache(home: Home) -> FoldCache:
    return FoldCache(FolderCache(home.datasets, read_settings().ktrdr_cache_limit))


def _outcome(results: TrainingResults, needless: Path | None) -> Outcome:
    final, document = results.final_metrics, results.model_dump(mode="json")
    metadata = {"final_epoch": final.total_epochs, "best_val_loss": final.best_val_loss}
    if results.status == "cancelled":
        return Outcome("cancelled", document, metadata)
    # A completed training is never resumed; until it is recorded as completed, a kill may still require checkpoints.
    return Outcome("completed", document, metadata, leftovers=(needless.as_posix(),) if needless else ())
