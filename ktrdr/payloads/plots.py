"""The plots of a training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ktrdr.payloads.payload import Payload

PlotName = Literal["metrics_plot", "equity_plot"]

PLOT_FILE = "plot.png"
"""What the job of a plot writes to its folder."""


class PlotJob(Payload):
    """A plot to draw of a model that was saved without it."""

    model: str = Field(description="The operation that trained it.")
    plot: PlotName = Field(description="Which plot, by its name among the artifacts.")
