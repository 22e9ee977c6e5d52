"""equity.png: equity and drawdown of trading on the predictions, compared with holding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.formatting import count, gain, percentage
from ktrdr.plot_style import BLUE, GREY, INK, VERMILION, new_figure, png, style_axes
from ktrdr.reports.plot_labels import PlotTitle, draw_title, label_right, pad
from ktrdr.reports.report_data import TrainingReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ktrdr.payloads.backtest import BacktestResult, RandomEntries

Floats = NDArray[np.float64]

# Above this ratio of highest to lowest equity the scale is logarithmic.
MAX_LINEAR_RATIO = 6.0


def plot_equity(report: TrainingReport) -> bytes:
    return draw_equity(report.backtest, PlotTitle.of(report))


def draw_equity(backtest: BacktestResult, title: PlotTitle) -> bytes:
    """PNG."""
    from matplotlib.ticker import PercentFormatter

    figure = new_figure(6.2)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.25])
    figure.subplots_adjust(left=0.055, right=0.825, top=0.755, bottom=0.07, hspace=0.24)
    draw_title(figure, title)
    equity = backtest.equity
    instants = np.array([instant.replace(tzinfo=None) for instant in equity.timestamps], "datetime64[us]")
    model, held = np.array(equity.model), np.array(equity.buy_and_hold)
    _equity(top, backtest, instants, model, held)
    drawdown, held_drawdown = _drawdown(model), _drawdown(held)
    bottom.fill_between(instants, drawdown, 0, color=VERMILION, alpha=0.18, linewidth=0)
    bottom.plot(instants, drawdown, color=VERMILION, linewidth=1.2)
    bottom.plot(instants, held_drawdown, color=BLUE, linewidth=1.2)
    bottom.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    bottom.set_ylim(min(-0.01, 1.08 * float(min(drawdown.min(), held_drawdown.min()))), 0)
    bottom.set_title("Below the highest value so far", loc="left", fontsize=10, color=INK, y=1.0, pad=6)
    deepest = [
        (f"{percentage(backtest.model.max_drawdown)} at most", float(drawdown[-1]), VERMILION, "bold"),
        (f"{percentage(backtest.buy_and_hold.max_drawdown)} at most", float(held_drawdown[-1]), BLUE, "normal"),
    ]
    _style_axes(bottom, instants)
    label_right(bottom, deepest, gap=0.16)
    return png(figure)


def _equity(
    axes: Axes, backtest: BacktestResult, instants: NDArray[np.datetime64], model: Floats, held: Floats
) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.axhline(1.0, color=GREY, linewidth=1.0, zorder=1)
    axes.plot(instants, held, color=BLUE, linewidth=1.5)
    axes.plot(instants, model, color=VERMILION, linewidth=1.8)
    lowest, highest = (float(edge) for edge in (min(model.min(), held.min()), max(model.max(), held.max())))
    if 0 < MAX_LINEAR_RATIO * lowest < highest:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.set_ylim(lowest / 1.1, highest * 1.1)
    else:
        pad(axes, [lowest, highest, 1.0])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title(
        f"Capital, from 1, over the {backtest.part} part; a trade costs {backtest.costs_percent:g}% of its value\n"
        f"{_chance(backtest.random_entries)}",
        loc="left",
        fontsize=11,
        color=INK,
        linespacing=1.5,
        y=1.0,
        pad=10,
    )
    _style_axes(axes, instants)
    ends = [
        (f"model {gain(backtest.model.total_return)}", float(model[-1]), VERMILION, "bold"),
        (f"buy and hold {gain(backtest.buy_and_hold.total_return)}", float(held[-1]), BLUE, "normal"),
    ]
    label_right(axes, ends, gap=0.075)


def _chance(chance: RandomEntries) -> str:
    if chance.percentile is None:
        return "too few bars to compare with random entries"
    return f"better than {chance.percentile:.0f}% of {count(chance.draws)} random entries with the same turnover"


def _style_axes(axes: Axes, instants: NDArray[np.datetime64]) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    if len(instants) > 1:
        axes.set_xlim(instants[0], instants[-1])
    style_axes(axes)


def _drawdown(equity: Floats) -> Floats:
    """equity / running maximum - 1, where the maximum includes the capital at the start."""
    drawdown: Floats = equity / np.maximum(np.maximum.accumulate(equity), 1.0) - 1
    return drawdown
