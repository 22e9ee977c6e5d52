"""importance.png: what shuffling the features of each indicator costs a model."""

from __future__ import annotations

from ktrdr.formatting import count
from ktrdr.payloads.explanations import ExplanationResults, FeatureGroup
from ktrdr.plot_style import BLUE, GREY, INK, literal, new_figure, png, style_axes
from ktrdr.reports.plot_labels import PlotTitle, draw_title
from ktrdr.terminal import escaped

MOST_BARS = 30
_UNITS = {"log_loss": "nats a sample", "squared_error": "training variances of squared error"}


def plot_importance(results: ExplanationResults, strategy: str) -> bytes:
    """PNG: one bar for each group, with its interval of 95 % confidence."""
    shown = results.groups[:MOST_BARS]
    height = 1.9 + 0.34 * len(shown)
    figure = new_figure(height)
    days = f"{results.first:%Y-%m-%d} to {results.last:%Y-%m-%d}"
    draw_title(figure, PlotTitle(strategy, (results.model, f"{count(results.samples)} validation samples, {days}")))
    axes = figure.add_axes((0.24, 0.55 / height, 0.72, 1 - 1.75 / height))
    places = range(len(shown))
    for place, group in zip(places, shown, strict=True):
        low, high = group.importance.interval or (group.importance.lead, group.importance.lead)
        colour = BLUE if low > 0 else GREY
        axes.barh(place, group.importance.lead, height=0.6, color=colour, alpha=0.55)
        axes.plot([low, high], [place, place], color=colour, linewidth=1.6)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(list(places), [_label(group) for group in shown])
    axes.invert_yaxis()
    axes.set_title(
        f"Loss by shuffling, in {_UNITS[results.measure]}, mean of {results.repeats} repeats; lines: 95% confidence",
        loc="left",
        fontsize=11,
        color=INK,
        pad=10,
    )
    style_axes(axes)
    axes.grid(visible=False, axis="y")
    return png(figure)


def _label(group: FeatureGroup) -> str:
    name = group.name if group.name == group.indicator else f"{group.name} ({group.indicator})"
    return literal(escaped(name)[:40])
