"""The bridge of a data load: the current step, the rows so far, and one record per page."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from pathlib import Path

from ktrdr.operations.bridge import BridgeLayout, ProgressBridge

PAGE_COLUMNS = ("page", "rows", "first", "last")

_PARTS = 10_000
_FETCHED = 0.9


class LoadStep(IntEnum):
    FETCHING = 1
    STORING = 2
    LOADED = 3


class DataProgressBridge(ProgressBridge):
    """Its steps are pages. Their number is unknown beforehand, so `part` holds the progress of the whole load."""

    _pages = 0
    _rows = 0
    _share = 0.0

    @staticmethod
    def create_for(path: Path, series: str, source: str) -> None:
        series, source = (text.replace("{", "{{").replace("}", "}}") for text in (series, source))
        phases = (
            f"Waiting to load {series}",
            f"Loading {series} from {source}: {{items:,}} rows, page {{step}}",
            f"Storing {{items:,}} rows of {series}",
            f"Loaded {{items:,}} rows of {series}",
        )
        layout = BridgeLayout(
            phases=phases,
            total_steps=1,
            columns=PAGE_COLUMNS,
            integer_columns=PAGE_COLUMNS,
            step_field="pages",
            planned_records=64,
        )
        ProgressBridge.create(path, layout)

    def on_begin(self) -> None:
        self._show(LoadStep.FETCHING, 0.0)

    def on_page(
        self, rows: int, first: datetime | None, last: datetime | None, *, rows_so_far: int, share: float
    ) -> None:
        """Record a page of bars from `first` to `last`, as seconds since the epoch; zero for an empty page."""
        self._pages += 1
        self._rows, self._share = rows_so_far, share
        self._append_metric(self._pages, rows, _epoch(first), _epoch(last))
        self._show(LoadStep.FETCHING, _FETCHED * share)

    def on_storing(self, rows: int) -> None:
        self._rows = rows
        self._show(LoadStep.STORING, _FETCHED * self._share)

    def on_loaded(self, rows: int) -> None:
        self._rows = rows
        self._show(LoadStep.LOADED, 1.0)

    def _show(self, step: LoadStep, share: float) -> None:
        page = max(self._pages, 1)
        self._update_state(int(step), page, int(_PARTS * (share - page + 1)), _PARTS, self._rows)


def _epoch(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0
