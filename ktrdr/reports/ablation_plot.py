"""ablation.png: what a model loses when it is trained without each of its indicators."""

from __future__ import annotations

from ktrdr.formatting import count
from ktrdr.payloads.ablations import AblationResults
from ktrdr.plot_style import png
from ktrdr.reports.importance_plot import UNITS, Bar, draw_bars, new_bars
from ktrdr.reports.plot_labels import PlotTitle


def plot_ablation(results: AblationResults, strategy: str) -> bytes:
    """PNG: one bar for each indicator, with its interval of 95 % confidence."""
    bars = [Bar.of(each.name, each.indicator, each.lost) for each in results.indicators if each.lost]
    days = f"{results.first:%Y-%m-%d} to {results.last:%Y-%m-%d}"
    title = PlotTitle(strategy, (results.model, f"{count(results.samples)} validation samples, {days}"))
    figure, axes = new_bars(title, len(bars))
    draw_bars(axes, bars, f"Loss without the indicator, in {UNITS[results.measure]}; lines: 95% confidence")
    return png(figure)
