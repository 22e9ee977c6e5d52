"""equity.png: equity and drawdown of trading on the predictions, compared with holding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.formatting import count, gain, percentage
from ktrdr.payloads.backtests import BacktestResults
from ktrdr.plot_style import BLUE, GREY, INK, VERMILION, new_figure, png, style_axes
from ktrdr.reports.backtest_text import heading
from ktrdr.reports.plot_labels import PlotTitle, draw_title, label_right, pad
from ktrdr.reports.report_data import TrainingReport, sealed_in_short, symbols_in_short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ktrdr.payloads.backtest import BacktestResult, RandomEntries

Floats = NDArray[np.float64]

# Above this ratio of highest to lowest equity the scale is logarithmic.
MAX_LINEAR_RATIO = 6.0
# Ticks of a logarithmic scale, in each power of ten, while the highest equity is at most so many times the lowest.
LOG_TICKS = {30.0: (1, 1.5, 2, 3, 5, 7), 1000.0: (1, 2, 5), 1e12: (1,)}

_HEIGHT = 6.2  # inches
_TOP, _BOTTOM = 1.52 / _HEIGHT, 0.43 / _HEIGHT


def plot_equity(report: TrainingReport) -> bytes:
    return draw_equity(report.backtest, PlotTitle.of(report, *sealed_in_short(report.results), span=""))


def plot_test_equity(backtest: BacktestResult, strategy: str, symbols: Sequence[str]) -> bytes:
    return draw_equity(backtest, PlotTitle(strategy, (symbols_in_short(symbols), "the opened test part")))


def plot_backtest(results: BacktestResults, strategy: str) -> bytes:
    return draw_equity(results.backtest, PlotTitle(strategy, (heading(results),)))


def draw_equity(backtest: BacktestResult, title: PlotTitle) -> bytes:
    """PNG: equity above, drawdown below."""
    figure = new_figure(_HEIGHT)
    draw_title(figure, title)
    rows = figure.add_gridspec(
        2, 1, left=0.055, right=0.825, top=1 - _TOP, bottom=_BOTTOM, height_ratios=[3, 1.25], hspace=0.24
    )
    top = figure.add_subplot(rows[0])
    _part(top, figure.add_subplot(rows[1], sharex=top), backtest)
    top.tick_params(labelbottom=False)
    return png(figure)


def _part(top: Axes, bottom: Axes, backtest: BacktestResult) -> None:
    equity = backtest.equity
    instants = np.array([instant.replace(tzinfo=None) for instant in equity.timestamps], "datetime64[us]")
    model, held = np.array(equity.model), np.array(equity.buy_and_hold)
    _equity(top, backtest, instants, model, held)
    _drawdowns(bottom, backtest, instants, _drawdown(model), _drawdown(held))


def _drawdowns(
    axes: Axes, backtest: BacktestResult, instants: NDArray[np.datetime64], model: Floats, held: Floats
) -> None:
    from matplotlib.ticker import PercentFormatter

    axes.fill_between(instants, model, 0, color=VERMILION, alpha=0.18, linewidth=0)
    axes.plot(instants, model, color=VERMILION, linewidth=1.2)
    axes.plot(instants, held, color=BLUE, linewidth=1.2)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_ylim(min(-0.01, 1.08 * float(min(model.min(), held.min()))), 0)
    axes.set_title("Below the highest value so far", loc="left", fontsize=10, color=INK, y=1.0, pad=6)
    deepest = [
        (f"{percentage(backtest.model.max_drawdown)} at most", float(model[-1]), VERMILION, "bold"),
        (f"{percentage(backtest.buy_and_hold.max_drawdown)} at most", float(held[-1]), BLUE, "normal"),
    ]
    _style_axes(axes, instants)
    label_right(axes, deepest, gap=0.16)


def _equity(
    axes: Axes, backtest: BacktestResult, instants: NDArray[np.datetime64], model: Floats, held: Floats
) -> None:
    axes.axhline(1.0, color=GREY, linewidth=1.0, zorder=1)
    axes.plot(instants, held, color=BLUE, linewidth=1.5)
    axes.plot(instants, model, color=VERMILION, linewidth=1.8)
    is_log = scale_equity(axes, float(min(model.min(), held.min())), float(max(model.max(), held.max())))
    first, last = (str(instant.astype("datetime64[D]")) for instant in (instants[0], instants[-1]))
    axes.set_title(
        f"Capital, from 1{', logarithmic' if is_log else ''}, over {backtest.where}, {first} to {last}; "
        f"a trade costs {backtest.costs_percent:g}% of its value\n"
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


def scale_equity(axes: Axes, lowest: float, highest: float) -> bool:
    """Scale the axis of equity; whether it is logarithmic."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    is_log = 0 < MAX_LINEAR_RATIO * lowest < highest
    if is_log:
        axes.set_yscale("log")
        axes.set_ylim(lowest / 1.1, highest * 1.1)
        ticks = next(ticks for ratio, ticks in LOG_TICKS.items() if highest <= ratio * lowest or len(ticks) == 1)
        axes.yaxis.set_major_locator(LogLocator(base=10, subs=ticks, numticks=12))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        pad(axes, [lowest, highest, 1.0])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    return is_log


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
