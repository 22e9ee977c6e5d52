"""Checks of stored series, and the verdicts that are kept beside them in `.<timeframe>.quality.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from ktrdr.errors import InputError, StorageError
from ktrdr.files import write_atomically
from ktrdr.market.bars import folder_name
from ktrdr.market.quality.check import check
from ktrdr.market.quality.early import ShorterBars, early_faults
from ktrdr.market.series_file import SeriesInfo, StoredBars, storage_errors
from ktrdr.market.store import BarStore
from ktrdr.payloads.data import QualityFault, QualityReport, QualitySummary
from ktrdr.timeframe import Timeframe


def check_stored(store: BarStore, symbol: str, timeframe: str) -> QualityReport:
    """The report on all bars of a series, whose verdict is stored until the bars change.

    Raises what `inspect_stored` raises.
    """
    stored = store.read_stored(symbol, timeframe)
    report = _inspect(store, stored, symbol, timeframe, None)
    path = _path(store, symbol, timeframe)
    content = {"version": stored.version, "verdict": report.summary.model_dump()}
    with storage_errors(path):
        write_atomically(path, json.dumps(content).encode())
    return report


def inspect_stored(store: BarStore, symbol: str, timeframe: str, calendar: str | None = None) -> QualityReport:
    """The report on all bars of a series, by `calendar` or else the symbol's own or a guess; nothing is stored.

    Raises what `BarStore.read_stored` raises, and InputError when there is no such calendar.
    """
    return _inspect(store, store.read_stored(symbol, timeframe), symbol, timeframe, calendar)


def _inspect(store: BarStore, stored: StoredBars, symbol: str, timeframe: str, calendar: str | None) -> QualityReport:
    shorter = _shorter_bars(store, stored.frame, symbol, Timeframe.parse(timeframe))
    return check(stored.frame, symbol, timeframe, calendar, shorter, stored.calendar)


def _shorter_bars(store: BarStore, frame: pl.DataFrame, symbol: str, timeframe: Timeframe) -> ShorterBars | None:
    """Stored hours, or shorter bars, of the same market, for days to be held against."""
    if not timeframe.is_by_date:
        return None
    shorter = [each for each in reversed(Timeframe) if each.length <= Timeframe.HOUR_1.length]
    try:
        stored = next((each for each in shorter if store.find(symbol, each) is not None), None)
        if stored is None:
            return None
        return ShorterBars(store.read_stored(symbol, stored, frame["timestamp"][0]).frame, stored)
    except (InputError, StorageError):
        return None


def early_faults_of(store: BarStore, series: SeriesInfo) -> tuple[QualityFault, ...]:
    """Whether days or weeks close later than they claim, by the stored hours. Raises StorageError."""
    if not series.timeframe.is_by_date:
        return ()
    frame = store.read_stored(series.symbol, series.timeframe).frame
    shorter = _shorter_bars(store, frame, series.symbol, series.timeframe)
    return tuple(early_faults(frame, series.timeframe, shorter)) if shorter else ()


def verdict_of(store: BarStore, series: SeriesInfo) -> QualitySummary | None:
    """What was found when this version of the series was checked."""
    saved = _read(_path(store, series.symbol, series.timeframe))
    try:
        return QualitySummary.model_validate(saved["verdict"]) if saved.get("version") == series.version else None
    except (KeyError, ValueError):
        return None


def _path(store: BarStore, symbol: str, timeframe: str) -> Path:
    return store.root / folder_name(symbol) / f".{timeframe.lower()}.quality.json"


def _read(path: Path) -> dict[str, Any]:
    """Empty where there is nothing, or nothing that can be read: the next check writes it anew."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
