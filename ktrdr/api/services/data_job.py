"""The job of a data load, run in a worker process: fetch, check, merge into the store."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from ktrdr.api.services.data_progress_bridge import DataProgressBridge, LoadStep
from ktrdr.executors.dispatcher import INPUT
from ktrdr.market.providers import provider_for
from ktrdr.market.providers.csv import FileProvider
from ktrdr.market.store import BarStore

logger = logging.getLogger(__name__)


def warm_up() -> None:
    """Importing this module has done it: Polars is in memory."""


class _Stopped(Exception):
    """The load was cancelled; nothing has been stored."""


def run(operation_id: str, payload: dict[str, Any], folder: Path, stop: Callable[[], bool]) -> dict[str, Any]:
    try:
        return _load(payload, folder, stop)
    except _Stopped:
        return {"status": "cancelled", "results": {"rows_new": 0, "rows_changed": 0}}


def _load(payload: dict[str, Any], folder: Path, stop: Callable[[], bool]) -> dict[str, Any]:
    symbol, timeframe, filename = payload["symbol"], payload["timeframe"], payload.get("filename")
    store, replace = BarStore(Path(payload["bars"])), payload.get("replace", False)
    with DataProgressBridge(folder / "bridge", writable=True) as bridge:

        def on_rows(rows: int) -> None:
            bridge.on_step(LoadStep.FETCHING, rows)
            if stop():
                raise _Stopped

        on_rows(0)
        provider = (
            FileProvider(upload_in(folder, filename), filename)
            if filename
            else provider_for(payload["provider"], None if replace else store.find(symbol, timeframe))
        )
        fetched = provider.fetch(symbol, timeframe, _day(payload, "start"), _day(payload, "end"), on_rows)
        on_rows(fetched.frame.height)
        bridge.on_step(LoadStep.STORING, fetched.frame.height)
        report = store.merge(symbol, timeframe, fetched.frame, fetched.provider, replace=replace)
        bridge.on_step(LoadStep.LOADED, fetched.frame.height)
    logger.info("Loaded %d rows of %s %s from %s", fetched.frame.height, symbol, timeframe, fetched.provider)
    results = {
        "symbol": symbol,
        "timeframe": timeframe,
        "provider": fetched.provider,
        "note": fetched.note,
        "rows_fetched": fetched.frame.height,
        "rows_new": report.rows_new,
        "rows_changed": report.rows_changed,
        "rows_total": report.rows_total,
        "first": report.first.isoformat(),
        "last": report.last.isoformat(),
    }
    return {"status": "completed", "results": results, "metadata": {"provider": fetched.provider}}


def upload_in(folder: Path, filename: str) -> Path:
    """Where an operation's uploaded file lies, under a name of ours and with the user's suffix."""
    return folder / INPUT / f"upload{Path(filename).suffix.lower()}"


def _day(payload: dict[str, Any], key: str) -> date | None:
    return date.fromisoformat(payload[key]) if payload.get(key) else None
