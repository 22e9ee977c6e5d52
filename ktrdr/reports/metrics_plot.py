"""metrics.png: loss and accuracy by epoch, the best epoch marked and the baselines drawn in."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ktrdr.formatting import count, percentage, score
from ktrdr.payloads.evaluation import ClassScores, NumberScores, Regression
from ktrdr.plot_style import BLUE, GREEN, GREY, INK, PURPLE, VERMILION, new_figure, png, style_axes
from ktrdr.reports.plot_labels import PlotTitle, draw_title, label_right, pad
from ktrdr.reports.report_data import TrainingReport, sealed_in_short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DOTTED: Any = (0, (1, 1.6))
DASHED: Any = (0, (5, 2.5))
DASH_DOTTED: Any = (0, (5, 2, 1, 2))
LONG_DASHED: Any = (0, (9, 2.5))

Baselines = dict[str, tuple[float, str, Any]]


def plot_metrics(report: TrainingReport) -> bytes:
    from matplotlib.ticker import PercentFormatter

    figure = new_figure(5.4)
    losses, accuracies = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.055, right=0.865, top=0.715, bottom=0.11, wspace=0.6)
    dataset = report.dataset
    samples = (
        f"{count(len(dataset.train.labels))} training and {count(len(dataset.validation.labels))} validation samples"
    )
    draw_title(figure, PlotTitle.of(report, samples, *sealed_in_short(report.results)))
    history, best = report.history, report.best
    _panel(
        losses,
        report,
        title="Squared error (training variances)" if dataset.is_regression else "Loss (cross-entropy, nats)",
        train=[metrics.train_loss for metrics in history],
        validation=[metrics.val_loss for metrics in history],
        baselines=_loss_baselines(report),
        best=best.val_loss,
        text=score,
    )
    accuracies.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    _panel(
        accuracies,
        report,
        title="Right signs" if dataset.is_regression else "Accuracy",
        train=[metrics.train_accuracy for metrics in history],
        validation=[metrics.val_accuracy for metrics in history],
        baselines=_accuracy_baselines(report),
        best=best.val_accuracy,
        text=percentage,
    )
    return png(figure)


def _loss_baselines(report: TrainingReport) -> Baselines:
    """Losses of the baselines. In a regression the training part's own variance is 1 by definition."""
    evaluation = report.evaluation
    if isinstance(evaluation, Regression):
        return {
            "variance": (1.0, INK, DOTTED),
            "mean": (evaluation.baselines["mean"].mse, GREY, DASHED),
            "ridge": (evaluation.baselines["ridge_regression"].mse, PURPLE, LONG_DASHED),
        }
    chance = math.log(len(evaluation.class_names))
    # A class-weighted loss has its own scale, on which only the loss of uniform guessing, ln(classes), is known.
    if report.strategy.training.class_weights == "balanced":
        return {"chance": (chance, GREY, DOTTED)}
    prior, logistic = (evaluation.baselines[name].log_loss for name in ("majority", "logistic_regression"))
    assert prior is not None
    assert logistic is not None
    return {"class shares": (prior, GREY, DASHED), "logistic": (logistic, PURPLE, LONG_DASHED)}


def _accuracy_baselines(report: TrainingReport) -> Baselines:
    looks = (
        ("majority", GREY, DASHED),
        ("mean", GREY, DASHED),
        ("persistence", GREEN, DASH_DOTTED),
        ("logistic_regression", PURPLE, LONG_DASHED),
        ("ridge_regression", PURPLE, LONG_DASHED),
    )
    baselines: Mapping[str, ClassScores | NumberScores] = report.evaluation.baselines
    return {
        name.removesuffix("_regression"): (baselines[name].accuracy, colour, dashes)
        for name, colour, dashes in looks
        if name in baselines
    }


def _panel(
    axes: Axes,
    report: TrainingReport,
    *,
    title: str,
    train: Sequence[float],
    validation: Sequence[float],
    baselines: Baselines,
    best: float,
    text: Callable[[float], str],
) -> None:
    from matplotlib.ticker import MaxNLocator

    epochs = range(1, len(train) + 1)
    style: dict[str, Any] = {"marker": "o", "markersize": 4.5} if len(train) <= 30 else {}
    axes.plot(epochs, train, color=BLUE, linewidth=1.8, solid_capstyle="round", **style)
    axes.plot(epochs, validation, color=VERMILION, linewidth=1.8, solid_capstyle="round", **style)
    for value, colour, dashes in baselines.values():
        axes.axhline(value, color=colour, linewidth=1.3, linestyle=dashes, zorder=1)
    axes.axvline(report.best_epoch, color=INK, linewidth=0.9, alpha=0.55, zorder=1)
    ring: dict[str, Any] = {"marker": "o", "markersize": 9, "markerfacecolor": "white", "markeredgewidth": 2}
    axes.plot([report.best_epoch], [best], color=VERMILION, **ring)

    margin = 0.5 if len(train) <= 30 else 0.9
    left, right = 1 - margin, len(train) + margin
    axes.set_xlim(left, right)
    pad(axes, [*train, *validation, *(value for value, _, _ in baselines.values())])
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
    axes.set_xlabel("Epoch", color=GREY)
    # A fixed position saves matplotlib the search for a free one.
    axes.set_title(title, loc="left", fontsize=11, color=INK, y=1.0, pad=26)
    style_axes(axes)

    place = (report.best_epoch - left) / (right - left)
    axes.text(
        min(max(place, 0.0), 1.0),
        1.025,
        f"best epoch {report.best_epoch}: validation {text(best)}",
        transform=axes.transAxes,
        ha="left" if place < 0.3 else "right" if place > 0.7 else "center",
        fontsize=9.5,
        color=INK,
    )
    labels = [("train", train[-1], BLUE, "bold"), ("validation", validation[-1], VERMILION, "bold")]
    labels += [(name, value, colour, "normal") for name, (value, colour, _) in baselines.items()]
    label_right(axes, [(f"{name} {text(value)}", value, colour, weight) for name, value, colour, weight in labels])
