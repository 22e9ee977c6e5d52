"""Text in the plots of a training: the title, and a label at the end of each line."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ktrdr.plot_style import GREY, INK, literal
from ktrdr.reports.report_data import (
    TrainingReport,
    bar_range,
    fold_in_short,
    model_in_short,
    sources,
    symbols_in_short,
)
from ktrdr.terminal import escaped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Text, the last value of its line, colour, and font weight.
EndLabel = tuple[str, float, str, str]


@dataclass(frozen=True, slots=True)
class PlotTitle:
    """A name, and the line of facts below it."""

    name: str
    facts: tuple[str, ...]

    @classmethod
    def of(cls, report: TrainingReport, *more: str, span: str | None = None) -> PlotTitle:
        """`span` says what is drawn, in place of the range of the training's bars; it may be empty."""
        facts = (
            symbols_in_short(report.request.symbols),
            f"{', '.join(report.strategy.timeframes)} from {sources(report, at_most=1)}",
            bar_range(report.dataset.coverage) if span is None else span,
            model_in_short(report.strategy),
            fold_in_short(report),
            *more,
        )
        return cls(report.strategy.name, facts)


def draw_title(figure: Figure, title: PlotTitle) -> None:
    """Draw name and facts at the same distance from the top edge of every figure."""
    line = " · ".join(fact for fact in title.facts if fact)
    inch = 1 / figure.get_figheight()
    name = textwrap.shorten(escaped(title.name), 90, placeholder="…")
    figure.text(0.055, 1 - 0.405 * inch, literal(name), fontsize=15, fontweight="bold", color=INK)
    figure.text(0.055, 1 - 0.675 * inch, literal(textwrap.shorten(line, 150, placeholder="…")), fontsize=10, color=GREY)


def pad(axes: Axes, values: Sequence[float]) -> None:
    low, high = min(values), max(values)
    room = 0.08 * (high - low) or 0.05 * abs(high) or 0.05
    axes.set_ylim(low - room, high + room)


def label_right(axes: Axes, labels: Sequence[EndLabel], gap: float = 0.068) -> None:
    """Label each line at its end. Labels that would overlap move apart, with a leader to their line."""
    from matplotlib.transforms import IdentityTransform

    to_axes = axes.transData + axes.transAxes.inverted() if axes.get_figure() else IdentityTransform()
    targets = [float(to_axes.transform((axes.get_xlim()[1], value))[1]) for _, value, _, _ in labels]
    for (label, _, colour, weight), line_at, label_at in zip(labels, targets, spread(targets, gap), strict=True):
        axes.plot(
            [1.004, 1.02], [line_at, label_at], transform=axes.transAxes, color=colour, linewidth=0.9, clip_on=False
        )
        axes.text(
            1.027, label_at, label, transform=axes.transAxes, va="center", fontsize=9.5, color=colour, fontweight=weight
        )


def spread(targets: Sequence[float], gap: float) -> list[float]:
    """Positions at least `gap` apart, in the order of `targets`; each group is centred on the mean of its targets."""
    order = sorted(range(len(targets)), key=lambda index: targets[index])
    groups: list[list[int]] = []
    for index in order:
        groups.append([index])
        while len(groups) > 1 and _lowest(groups[-1], targets, gap) < _highest(groups[-2], targets, gap) + gap:
            groups[-2:] = [groups[-2] + groups[-1]]
    placed = [0.0] * len(targets)
    for group in groups:
        for step, index in enumerate(group):
            placed[index] = _lowest(group, targets, gap) + step * gap
    return placed


def _lowest(group: Sequence[int], targets: Sequence[float], gap: float) -> float:
    centre = sum(targets[index] for index in group) / len(group)
    return centre - gap * (len(group) - 1) / 2


def _highest(group: Sequence[int], targets: Sequence[float], gap: float) -> float:
    return _lowest(group, targets, gap) + gap * (len(group) - 1)
