"""The bridge of a data load: which step it is at, and how many rows there are so far."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path

from ktrdr.operations.bridge import BridgeLayout, ProgressBridge


class LoadStep(IntEnum):
    FETCHING = 1
    STORING = 2
    LOADED = 3


class DataProgressBridge(ProgressBridge):
    @staticmethod
    def create_for(path: Path, series: str, source: str) -> None:
        series, source = (text.replace("{", "{{").replace("}", "}}") for text in (series, source))
        phases = (
            f"Waiting to load {series}",
            f"Loading {series} from {source}: {{items}} rows",
            f"Storing {{items}} rows of {series}",
            f"Loaded {{items}} rows of {series}",
        )
        ProgressBridge.create(path, BridgeLayout(phases=phases, total_steps=len(LoadStep)))

    def on_step(self, step: LoadStep, rows: int) -> None:
        self._update_state(int(step), int(step), 0, 1, rows)
