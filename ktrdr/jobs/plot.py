"""Draws one plot of a saved model: a short job in a worker, which is not an operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ktrdr.executors.outcome import Outcome
from ktrdr.experiments.draw_plot import draw_plot
from ktrdr.home import Home
from ktrdr.market.store import BarStore
from ktrdr.market.tables.store import TableStore
from ktrdr.payloads.plots import PLOT_FILE, PlotJob
from ktrdr.training.files import write_file


def run(operation_id: str, payload: Mapping[str, Any], folder: Path, stop: Callable[[], bool]) -> Outcome:
    """Draw a PlotJob, the `payload`, into `folder`, which is two levels below the home."""
    job, home = PlotJob.model_validate(payload), Home(folder.parents[1])
    store = BarStore(home.bars)
    write_file(
        folder / PLOT_FILE,
        draw_plot(home.models / job.model, job.plot, store.read_stored, TableStore(home.tables).read),
    )
    return Outcome("completed")
