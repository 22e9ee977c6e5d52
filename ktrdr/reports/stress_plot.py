"""stress.png: what a backtest's return depends on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ktrdr.formatting import count, percentage
from ktrdr.payloads.backtests import BacktestResults, GroupReturn, ReturnBands, Stress
from ktrdr.plot_style import BLUE, GREY, INK, VERMILION, literal, new_figure, png, style_axes
from ktrdr.reports.backtest_text import heading
from ktrdr.reports.plot_labels import PlotTitle, draw_title
from ktrdr.terminal import escaped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEIGHT = 7.4  # inches
_MOST_GROUPS = 14


def plot_stress(results: BacktestResults, strategy: str) -> bytes:
    """PNG: the return by costs, by delay and by year or symbol, and the bands of resampled equity.

    Raises ValueError where the results have no stress, as those of older versions.
    """
    if results.stress is None:
        raise ValueError("these results have no stress")
    figure = new_figure(_HEIGHT)
    draw_title(figure, PlotTitle(strategy, (heading(results), "what the return depends on")))
    grid = figure.add_gridspec(
        2, 2, left=0.07, right=0.965, top=1 - 1.25 / _HEIGHT, bottom=0.55 / _HEIGHT, hspace=0.42, wspace=0.17
    )
    costs, delays, bands, groups = (
        figure.add_subplot(cell) for cell in (grid[0, 0], grid[0, 1], grid[1, 0], grid[1, 1])
    )
    _costs(costs, results.stress, results.backtest.fee_bps + results.backtest.slippage_bps)
    _delays(delays, results.stress)
    _bands(bands, results.stress.bands)
    _groups(groups, results.stress)
    return png(figure)


def _costs(axes: Axes, stress: Stress, own_bps: float) -> None:
    bps = [point.cost_bps for point in stress.costs]
    returns = [point.total_return for point in stress.costs]
    axes.plot(bps, returns, color=VERMILION, linewidth=1.8, marker="o", markersize=4)
    axes.plot([own_bps], [returns[bps.index(own_bps)]], color=INK, marker="o", markersize=7, fillstyle="none")
    title = f"Return by costs of a trade, in bps of its value: {own_bps:g} here"
    if stress.break_even_bps is not None and stress.break_even_bps <= bps[-1]:
        axes.axvline(stress.break_even_bps, color=GREY, linewidth=1.0, linestyle="--")
        title += f", break-even {stress.break_even_bps:.1f}"
    _finish(axes, title)


def _delays(axes: Axes, stress: Stress) -> None:
    delays = [point.bars for point in stress.delays]
    axes.bar(delays, [point.total_return for point in stress.delays], width=0.6, color=VERMILION, alpha=0.55)
    _finish(axes, "Return where each position is taken so many bars later")


def _bands(axes: Axes, bands: ReturnBands | None) -> None:
    if bands is None or not bands.bars:
        axes.set_axis_off()
        axes.set_title("Too few bars to resample them", loc="left", fontsize=10, color=GREY)
        return
    gains = [[value - 1 for value in row] for row in bands.equity]
    middle, pairs = len(gains) // 2, len(gains) // 2
    for low in range(pairs):
        axes.fill_between(bands.bars, gains[low], gains[-1 - low], color=BLUE, alpha=0.16, linewidth=0)
    axes.plot(bands.bars, gains[middle], color=BLUE, linewidth=1.4)
    axes.set_xlim(bands.bars[0], bands.bars[-1])
    levels = ", ".join(f"{100 * level:g}" for level in bands.levels)
    _finish(
        axes,
        f"Return after so many bars, quantiles {levels}% of {count(bands.draws)} resamples\n"
        f"in blocks of {bands.block} bars; {percentage(bands.loss_probability)} of them lose",
    )


def _groups(axes: Axes, stress: Stress) -> None:
    name, groups = ("year", stress.by_year) if len(stress.by_year) > 1 else ("symbol", stress.by_symbol)
    shown = groups[-_MOST_GROUPS:]
    _bars(axes, shown, -0.2, [group.total_return for group in shown], VERMILION)
    _bars(axes, shown, 0.2, [group.held_return for group in shown], BLUE)
    axes.set_xticks(range(len(shown)), [literal(escaped(group.group)[:10]) for group in shown])
    _finish(axes, f"Return by {name}: model (orange) and buy and hold (blue)")


def _bars(axes: Axes, groups: Sequence[GroupReturn], shift: float, returns: Sequence[float], colour: str) -> None:
    axes.bar([place + shift for place in range(len(groups))], returns, width=0.38, color=colour, alpha=0.6)


def _finish(axes: Axes, title: str) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.axhline(0, color=INK, linewidth=0.8)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}%"))
    axes.set_title(title, loc="left", fontsize=10, color=INK, pad=8, linespacing=1.4)
    style_axes(axes)
