"""Plots of a training in folds: each fold beside its baseline, and the equity of all in order of time."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from ktrdr.payloads.training import FoldsResults
from ktrdr.plot_style import BLUE, GREY, RULE, new_figure, png, style_axes
from ktrdr.reports.equity_plot import draw_equity
from ktrdr.reports.plot_labels import PlotTitle
from ktrdr.reports.report_data import sealed_in_short, symbols_in_short

_LONGEST_CAPTION = 3


def plot_folds(results: FoldsResults) -> bytes:
    """PNG with each fold's accuracy, or squared error, and that of its hardest naive baseline."""
    from matplotlib.ticker import PercentFormatter

    folds = results.folds
    errors = [fold.baseline_mse for fold in folds if fold.baseline_mse is not None]
    is_regression = len(errors) == len(folds)
    model = [(fold.mse or 0.0) if is_regression else fold.accuracy for fold in folds]
    baseline = errors if is_regression else [fold.baseline_accuracy for fold in folds]
    figure = new_figure(5, width=10)
    axes = figure.subplots()
    figure.subplots_adjust(left=0.08, right=0.97, top=0.76, bottom=0.14)
    places = np.arange(len(folds))
    axes.vlines(places, baseline, model, color=RULE, linewidth=2, zorder=1)
    axes.scatter(
        places, baseline, color=GREY, s=260, marker="_", linewidth=2.5, zorder=3, label="hardest naive baseline"
    )
    axes.scatter(places, model, color=BLUE, s=60, label="this model")
    mean = float(np.mean(model))
    axes.axhline(mean, color=BLUE, linewidth=1, linestyle=(0, (4, 3)), zorder=0, label="its mean over the folds")
    axes.set_xticks(places, [f"{fold.first:%Y-%m-%d}\n{fold.last:%Y-%m-%d}" for fold in folds], fontsize=8.5)
    axes.margins(y=0.18)
    axes.set_xlim(-0.5, len(folds) - 0.5)
    if not is_regression:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    style_axes(axes)
    axes.legend(loc="best", frameon=False, fontsize=9)
    measure = "Squared error (lower is better)" if is_regression else "Accuracy"
    figure.text(0.08, 0.93, f"{measure} on each fold's validation samples", fontsize=13, fontweight="bold")
    figure.text(0.08, 0.915, _caption(results.verdict), fontsize=9.5, color=GREY, va="top")
    return png(figure)


def _caption(verdict: str) -> str:
    return "\n".join(textwrap.wrap(verdict, 118, max_lines=_LONGEST_CAPTION, placeholder=" …"))


def plot_joined_equity(results: FoldsResults, name: str, symbols: Sequence[str]) -> bytes:
    """PNG with the equity of all folds' models, one after another."""
    assert results.backtest is not None
    facts = (symbols_in_short(symbols), f"{len(results.folds)} folds in order of time", *sealed_in_short(results))
    return draw_equity(results.backtest, PlotTitle(name, facts))
