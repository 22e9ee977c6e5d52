"""A training in folds as people read it: the table of its folds, and their picture."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ktrdr.plot_style import BLUE, GREY, RULE, new_figure, png, style_axes

Results = dict[str, Any]

MEASURES = ("accuracy", "balanced_accuracy", "mcc", "log_loss", "mse", "ic", "rank_ic")


def summary(
    told: Sequence[Results], spread: Mapping[str, Mapping[str, float]], sentence: str, about: Mapping[str, Any]
) -> str:
    """Plain text, at most 100 columns."""
    measures = [name for name in MEASURES if name in spread]
    lines = [
        f"{about['strategy_name']} on {', '.join(about['symbols'])}, {', '.join(about['timeframes'])}, in folds",
        "",
        *textwrap.wrap(sentence, 100),
        "",
        f"{'fold':<6}{'from':<12}{'to':<12}{'samples':>8}{'epoch':>7}"
        + "".join(f"{_short(name):>10}" for name in measures)
        + f"{'baseline':>10}",
    ]
    lines += [
        f"{fold['fold']:<6}{fold['from'][:10]:<12}{fold['to'][:10]:<12}"
        f"{fold['validation_samples']:>8,}{fold['best_epoch']:>7}"
        + "".join(f"{fold[name]:>10.4f}" for name in measures)
        + f"{fold['baseline_accuracy']:>10.4f}"
        for fold in told
    ]
    lines += [
        f"{name:<45}" + "".join(f"{spread[measure][name]:>10.4f}" for measure in measures)
        for name in ("mean", "std", "min", "max")
    ]
    lines += ["", "Operations of the folds", *(f"{fold['fold']:<6}{fold['operation_id']}" for fold in told)]
    return "\n".join(lines) + "\n"


def _short(name: str) -> str:
    return {"balanced_accuracy": "balanced", "log_loss": "log loss", "rank_ic": "rank IC", "ic": "IC"}.get(name, name)


def plot(told: Sequence[Results], sentence: str) -> bytes:
    """PNG: the accuracy of each fold beside its strongest naive baseline."""
    from matplotlib.ticker import PercentFormatter

    figure = new_figure(5, width=10)
    axes = figure.subplots()
    figure.subplots_adjust(left=0.08, right=0.97, top=0.8, bottom=0.14)
    places = np.arange(len(told))
    accuracy, baseline = ([fold[name] for fold in told] for name in ("accuracy", "baseline_accuracy"))
    axes.vlines(places, baseline, accuracy, color=RULE, linewidth=2, zorder=1)
    axes.scatter(
        places, baseline, color=GREY, s=260, marker="_", linewidth=2.5, zorder=3, label="strongest naive baseline"
    )
    axes.scatter(places, accuracy, color=BLUE, s=60, label="this model")
    axes.axhline(float(np.mean(accuracy)), color=BLUE, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    axes.set_xticks(places, [f"{fold['from'][:10]}\n{fold['to'][:10]}" for fold in told], fontsize=8.5)
    axes.margins(y=0.18)
    axes.set_xlim(-0.5, len(told) - 0.5)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    style_axes(axes)
    axes.legend(loc="best", frameon=False, fontsize=9)
    figure.text(0.08, 0.93, "Accuracy on each fold's validation samples", fontsize=13, fontweight="bold")
    figure.text(0.08, 0.84, "\n".join(textwrap.wrap(sentence, 110)), fontsize=9.5, color=GREY)
    return png(figure)
