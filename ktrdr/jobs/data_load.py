"""The job of a data load, run in a worker process: fetch missing bars, check them, merge them into the store."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ktrdr.errors import KtrdrError
from ktrdr.executors.outcome import INPUT, Outcome
from ktrdr.jobs.data_load_bridge import DataProgressBridge
from ktrdr.jobs.entry import JobContext
from ktrdr.market.calendars import named_calendar
from ktrdr.market.loading import Loaded, Stopped, Wanted, load
from ktrdr.market.provider import Page, Provider, notes
from ktrdr.market.providers import Sources, provider_for
from ktrdr.market.providers.csv import FileProvider
from ktrdr.market.quality.stored import check_stored
from ktrdr.market.ranges import BEGINNING
from ktrdr.market.store import BarStore
from ktrdr.payloads.data import DataLoadResults, QualityReport
from ktrdr.payloads.jobs import DataLoadJob
from ktrdr.settings import read_settings
from ktrdr.timeframe import Timeframe

logger = logging.getLogger(__name__)

_POLL_S = 0.1


def run(job: DataLoadJob, context: JobContext) -> Outcome:
    store = BarStore(context.home.bars)
    wanted = Wanted(
        job.symbol, job.timeframe, job.start, job.end, replaces=job.replace, clips=job.clip, calendar=job.calendar
    )
    with DataProgressBridge(context.folder / "bridge", writable=True) as bridge:
        bridge.on_begin()
        provider = _provider(job, context.folder, store)
        loaded = load(store, provider, wanted, _Watcher(bridge, context.stop))
        bridge.on_loaded(loaded.rows_fetched)
    logger.info("Loaded %d rows of %s %s from %s", loaded.rows_fetched, job.symbol, job.timeframe, loaded.provider)
    return _outcome(context.operation_id, loaded, store, wanted)


def _provider(job: DataLoadJob, folder: Path, store: BarStore) -> Provider:
    if job.filename:
        calendar = named_calendar(job.calendar, store.calendar(job.symbol))
        max_rows = read_settings().ktrdr_import_max_rows
        return FileProvider(upload_in(folder, job.filename), job.filename, job.reading, calendar, max_rows)
    stored = None if job.replace else store.find(job.symbol, job.timeframe)
    return provider_for(job.provider, stored, Sources.of(read_settings()))


@dataclass(frozen=True, slots=True)
class _Watcher:
    bridge: DataProgressBridge
    stop: Callable[[], bool]

    def on_page(self, page: Page, rows: int, share: float) -> None:
        stamps = page.frame["timestamp"]
        ends = (stamps[0], stamps[-1]) if len(stamps) else (None, None)
        self.bridge.on_page(len(stamps), *ends, rows_so_far=rows, share=share)

    def on_storing(self, rows: int) -> None:
        self.bridge.on_storing(rows)

    def stop_requested(self) -> bool:
        return self.stop()

    def wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self.stop():
                raise Stopped
            time.sleep(min(_POLL_S, left))


def _outcome(operation_id: str, loaded: Loaded, store: BarStore, wanted: Wanted) -> Outcome:
    results = _results(loaded, store, wanted).model_dump(mode="json")
    metadata = {"provider": loaded.provider}
    if loaded.was_stopped:
        return Outcome("cancelled", results, metadata)
    if loaded.failure is None:
        return Outcome("completed", results, metadata)
    stored = f"; {loaded.rows_new:,} new rows that came before are stored" if loaded.rows_new else ""
    hint = f"{loaded.failure.hint}; ask for the rest with: ktrdr operations resume {operation_id}".lstrip("; ")
    return Outcome.failed(loaded.failure.code, f"{loaded.failure.detail}{stored}", hint, results)


def _results(loaded: Loaded, store: BarStore, wanted: Wanted) -> DataLoadResults:
    stored = store.find(wanted.symbol, wanted.timeframe)
    quality, why_not = _check(store, wanted.symbol, wanted.timeframe) if stored else (None, "")
    _check_days_again(store, wanted)
    return DataLoadResults(
        status="cancelled" if loaded.was_stopped else "failed" if loaded.failure else "success",
        symbol=wanted.symbol,
        timeframe=wanted.timeframe,
        provider=loaded.provider,
        note=notes((loaded.note, why_not)),
        pages=loaded.pages,
        asked=tuple((None if since == BEGINNING else since, until) for since, until in loaded.asked),
        rows_fetched=loaded.rows_fetched,
        rows_new=loaded.rows_new,
        rows_changed=loaded.rows_changed,
        largest_change=loaded.largest_change,
        rows_total=stored.rows if stored else 0,
        first=stored and stored.first,
        last=stored and stored.last,
        quality=quality,
    )


def _check(store: BarStore, symbol: str, timeframe: Timeframe) -> tuple[QualityReport | None, str]:
    """The report on the whole series; None where it cannot be checked, and why not."""
    try:
        return check_stored(store, symbol, timeframe), ""
    except KtrdrError as error:
        logger.warning("%s %s is not checked: %s", symbol, timeframe, error.detail)
        return None, f"not checked: {error.detail}"


def _check_days_again(store: BarStore, wanted: Wanted) -> None:
    """Check days and weeks, which are held against shorter bars, after these have changed."""
    if not wanted.timeframe.is_by_date:
        for days in filter(lambda stored: stored.is_by_date, store.timeframes(wanted.symbol)):
            _check(store, wanted.symbol, days)


def upload_in(folder: Path, filename: str) -> Path:
    """The path of an operation's uploaded file: a fixed name with the suffix of the user's file."""
    return folder / INPUT / f"upload{Path(filename).suffix.lower()}"
