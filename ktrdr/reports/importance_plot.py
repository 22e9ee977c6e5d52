"""importance.png: what shuffling the features of each indicator costs a model, and of trees what they split on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from ktrdr.formatting import count
from ktrdr.payloads.evaluation import Lead
from ktrdr.payloads.explanations import ExplanationResults
from ktrdr.plot_style import BLUE, GREY, INK, literal, new_figure, png, style_axes
from ktrdr.reports.plot_labels import PlotTitle, draw_title
from ktrdr.terminal import escaped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_BARS = 30
_LABEL_WIDTH = 34
UNITS = {"log_loss": "nats a sample", "squared_error": "training variances of squared error"}


@dataclass(frozen=True, slots=True)
class Bar:
    """The bar of one indicator: its label, length, and interval of 95 % confidence."""

    label: str
    length: float
    interval: tuple[float, float]

    @classmethod
    def of(cls, name: str, indicator: str, loss: Lead) -> Self:
        both = f"{name} ({indicator})"
        title = name if name == indicator or len(both) > _LABEL_WIDTH else both
        return cls(literal(escaped(title)[:_LABEL_WIDTH]), loss.lead, loss.interval or (loss.lead, loss.lead))


def plot_importance(results: ExplanationResults, strategy: str) -> bytes:
    """PNG: one bar for each group, with its interval of 95 % confidence; of trees one for its share of the gain too."""
    shown = results.groups[:MOST_BARS]
    days = f"{results.first:%Y-%m-%d} to {results.last:%Y-%m-%d}"
    title = PlotTitle(strategy, (results.model, f"{count(results.samples)} validation samples, {days}"))
    gains = [group.gain for group in shown if group.gain is not None]
    figure, axes = new_bars(title, len(shown), width=0.49 if gains else 0.72)
    bars = [Bar.of(group.name, group.indicator, group.importance) for group in shown]
    repeats = "" if gains else f", mean of {results.repeats} repeats"
    draw_bars(axes, bars, f"Loss by shuffling, in {UNITS[results.measure]}{repeats}; lines: 95% confidence")
    if gains:
        _draw_gains(figure, axes, gains)
    return png(figure)


def new_bars(title: PlotTitle, bars: int, width: float = 0.72) -> tuple[Figure, Axes]:
    """A figure with a title, and axes with room for so many horizontal bars."""
    height = 1.9 + 0.34 * min(bars, MOST_BARS)
    figure = new_figure(height)
    draw_title(figure, title)
    return figure, figure.add_axes((0.24, 0.55 / height, width, 1 - 1.75 / height))


def draw_bars(axes: Axes, bars: Sequence[Bar], heading: str) -> None:
    """Draw the first bars, those whose interval lies above zero in colour."""
    shown = bars[:MOST_BARS]
    for place, bar in enumerate(shown):
        colour = BLUE if bar.interval[0] > 0 else GREY
        axes.barh(place, bar.length, height=0.6, color=colour, alpha=0.55)
        axes.plot(bar.interval, [place, place], color=colour, linewidth=1.6)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(range(len(shown)), [bar.label for bar in shown])
    axes.invert_yaxis()
    _style(axes, heading)


def _draw_gains(figure: Figure, beside: Axes, gains: Sequence[float]) -> None:
    place = beside.get_position()
    axes = figure.add_axes((0.78, place.y0, 0.18, place.height))
    axes.barh(range(len(gains)), [100 * gain for gain in gains], height=0.6, color=GREY, alpha=0.55)
    axes.set_ylim(*beside.get_ylim())
    axes.set_yticks([])
    _style(axes, "Share of gain, %")


def _style(axes: Axes, heading: str) -> None:
    axes.set_title(heading, loc="left", fontsize=11, color=INK, pad=10)
    style_axes(axes)
    axes.grid(visible=False, axis="y")
