"""Summary and plot of a training in folds."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np

from ktrdr.formatting import count, score
from ktrdr.payloads.training import FoldScores, Spread
from ktrdr.plot_style import BLUE, GREY, RULE, new_figure, png, style_axes

MEASURES = ("accuracy", "balanced_accuracy", "mcc", "log_loss", "mse", "ic", "rank_ic")


def summary(folds: Sequence[FoldScores], spread: Mapping[str, Spread], verdict: str, title: str) -> str:
    """Plain text, at most 100 columns."""
    measures = [name for name in MEASURES if name in spread]
    lines = [
        title,
        "",
        *textwrap.wrap(verdict, 100),
        "",
        f"{'fold':<6}{'from':<12}{'to':<12}{'samples':>8}{'epoch':>7}"
        + "".join(f"{_short(name):>10}" for name in measures)
        + f"{'baseline':>10}",
    ]
    lines += [
        f"{fold.fold:<6}{fold.first:%Y-%m-%d}  {fold.last:%Y-%m-%d}  {count(fold.samples):>8}{fold.best_epoch:>7}"
        + "".join(f"{score(getattr(fold, name)):>10}" for name in measures)
        + f"{score(fold.baseline_accuracy):>10}"
        for fold in folds
    ]
    lines += [
        f"{name:<45}" + "".join(f"{score(getattr(spread[measure], name)):>10}" for measure in measures)
        for name in Spread.model_fields
    ]
    lines += ["", "Operations of the folds", *(f"{fold.fold:<6}{fold.operation_id}" for fold in folds)]
    return "\n".join(lines) + "\n"


def _short(name: str) -> str:
    return {"balanced_accuracy": "balanced", "log_loss": "log loss", "rank_ic": "rank IC", "ic": "IC"}.get(name, name)


def plot(folds: Sequence[FoldScores], verdict: str) -> bytes:
    """PNG with the accuracy of each fold and of its strongest naive baseline."""
    from matplotlib.ticker import PercentFormatter

    figure = new_figure(5, width=10)
    axes = figure.subplots()
    figure.subplots_adjust(left=0.08, right=0.97, top=0.8, bottom=0.14)
    places = np.arange(len(folds))
    accuracy, baseline = [fold.accuracy for fold in folds], [fold.baseline_accuracy for fold in folds]
    axes.vlines(places, baseline, accuracy, color=RULE, linewidth=2, zorder=1)
    axes.scatter(
        places, baseline, color=GREY, s=260, marker="_", linewidth=2.5, zorder=3, label="strongest naive baseline"
    )
    axes.scatter(places, accuracy, color=BLUE, s=60, label="this model")
    axes.axhline(float(np.mean(accuracy)), color=BLUE, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    axes.set_xticks(places, [f"{fold.first:%Y-%m-%d}\n{fold.last:%Y-%m-%d}" for fold in folds], fontsize=8.5)
    axes.margins(y=0.18)
    axes.set_xlim(-0.5, len(folds) - 0.5)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    style_axes(axes)
    axes.legend(loc="best", frameon=False, fontsize=9)
    figure.text(0.08, 0.93, "Accuracy on each fold's validation samples", fontsize=13, fontweight="bold")
    figure.text(0.08, 0.84, "\n".join(textwrap.wrap(verdict, 110)), fontsize=9.5, color=GREY)
    return png(figure)
