"""The job of a data load, run in a worker process: fetch, check, merge into the store."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path
from typing import Any

from ktrdr.api.services.data_progress_bridge import DataProgressBridge, LoadStep
from ktrdr.market.providers import create_provider
from ktrdr.market.providers.csv import FileProvider
from ktrdr.market.store import BarStore

logger = logging.getLogger(__name__)


def warm_up() -> None:
    """Importing this module has done it: Polars is in memory."""


def run(operation_id: str, payload: dict[str, Any], folder: Path, stop: object) -> dict[str, Any]:
    symbol, timeframe = payload["symbol"], payload["timeframe"]
    upload = Path(payload["file"]) if "file" in payload else None
    with DataProgressBridge(folder / "bridge", writable=True) as bridge:
        bridge.on_rows(0)
        try:
            provider = FileProvider(upload, payload["filename"]) if upload else create_provider(payload["provider"])
            fetched = provider.fetch(symbol, timeframe, _day(payload, "start"), _day(payload, "end"), bridge.on_rows)
        finally:
            if upload:
                upload.unlink(missing_ok=True)
        bridge.on_step(LoadStep.STORING, fetched.frame.height)
        report = BarStore(Path(payload["bars"])).merge(symbol, timeframe, fetched.frame, fetched.provider)
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


def _day(payload: dict[str, Any], key: str) -> date | None:
    return date.fromisoformat(payload[key]) if payload.get(key) else None
