"""What people look at after a training: a plot of the metrics and a page of plain text."""

from __future__ import annotations

import io
import math
import shlex
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from ktrdr.training import artifacts
from ktrdr.training.evaluate import Evaluation, standard_error
from ktrdr.training.loop import Ending, EpochMetrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ktrdr.features.matrix import Dataset, SymbolCoverage
    from ktrdr.training.fingerprint import Fingerprint
    from ktrdr.training.run import TrainingRequest

WIDTH = 100

# Okabe and Ito's palette, which colour-blind readers can tell apart too.
BLUE, VERMILION, GREEN, GREY, INK = "#0072B2", "#D55E00", "#009E73", "#6B6B6B", "#1A1A1A"


@dataclass(frozen=True, slots=True)
class Account:
    """A training that ended, as both reports tell it."""

    request: TrainingRequest
    dataset: Dataset
    fingerprint: Fingerprint
    providers: Mapping[str, str]
    model: nn.Module
    history: tuple[EpochMetrics, ...]
    best_epoch: int
    evaluation: Evaluation
    ending: Ending

    @property
    def best(self) -> EpochMetrics:
        return self.history[self.best_epoch - 1]


# ---------------------------------------------------------------------------------------------- plot


def plot(account: Account) -> bytes:
    """PNG: losses on the left, accuracies on the right, the best epoch marked and the baselines drawn in."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=(12, 5.4), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    losses, accuracies = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.055, right=0.88, top=0.715, bottom=0.11, wspace=0.58)
    _headline(figure, account)

    history, best = account.history, account.best
    chance = math.log(len(account.evaluation["class_names"]))
    _panel(
        losses,
        account,
        title="Loss (cross-entropy, nats)",
        train=[metrics.train_loss for metrics in history],
        validation=[metrics.val_loss for metrics in history],
        baselines={"chance": (chance, GREY, (0, (1, 1.6)))},
        best=best.val_loss,
        text=lambda value: f"{value:.4f}",
    )
    majority, persistence = (account.evaluation["baselines"][name]["accuracy"] for name in ("majority", "persistence"))
    accuracies.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    _panel(
        accuracies,
        account,
        title="Accuracy",
        train=[metrics.train_accuracy for metrics in history],
        validation=[metrics.val_accuracy for metrics in history],
        baselines={"majority": (majority, GREY, (0, (5, 2.5))), "persistence": (persistence, GREEN, (0, (5, 2, 1, 2)))},
        best=best.val_accuracy,
        text=lambda value: f"{value:.1%}",
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", pil_kwargs={"compress_level": 4})
    return buffer.getvalue()


def _headline(figure: Figure, account: Account) -> None:
    spec = account.request.strategy.model
    line = " · ".join(
        [
            _symbols(account.request.symbols),
            f"{account.request.timeframe} from {_sources(account, at_most=1)}",
            _range(account.dataset.coverage),
            f"{spec.type.upper()} {spec.layers}×{spec.hidden_size}",
            f"{len(account.dataset.train.labels):,} training and "
            f"{len(account.dataset.validation.labels):,} validation samples",
        ]
    )
    title = textwrap.shorten(account.request.strategy.name, 90, placeholder="…")
    figure.text(0.055, 0.925, _literal(title), fontsize=15, fontweight="bold", color=INK)
    figure.text(0.055, 0.875, _literal(line), fontsize=10, color=GREY)


def _panel(
    axes: Axes,
    account: Account,
    *,
    title: str,
    train: Sequence[float],
    validation: Sequence[float],
    baselines: Mapping[str, tuple[float, str, Any]],
    best: float,
    text: Any,
) -> None:
    from matplotlib.ticker import MaxNLocator

    epochs = range(1, len(train) + 1)
    style: dict[str, Any] = {"marker": "o", "markersize": 4.5} if len(train) <= 30 else {}
    axes.plot(epochs, train, color=BLUE, linewidth=1.8, solid_capstyle="round", **style)
    axes.plot(epochs, validation, color=VERMILION, linewidth=1.8, solid_capstyle="round", **style)
    for value, colour, dashes in baselines.values():
        axes.axhline(value, color=colour, linewidth=1.3, linestyle=dashes, zorder=1)
    axes.axvline(account.best_epoch, color=INK, linewidth=0.9, alpha=0.55, zorder=1)
    ring: dict[str, Any] = {"marker": "o", "markersize": 9, "markerfacecolor": "white", "markeredgewidth": 2}
    axes.plot([account.best_epoch], [best], color=VERMILION, **ring)

    margin = 0.5 if len(train) <= 30 else 0.9
    left, right = 1 - margin, len(train) + margin
    axes.set_xlim(left, right)
    _pad(axes, [*train, *validation, *(value for value, _, _ in baselines.values())])
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
    axes.set_xlabel("Epoch", color=GREY)
    axes.set_title(title, loc="left", fontsize=11, color=INK, pad=26)
    axes.grid(axis="y", color="#E6E6E6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=GREY, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color("#BBBBBB")

    place = (account.best_epoch - left) / (right - left)
    axes.text(
        min(max(place, 0.0), 1.0),
        1.025,
        f"best epoch {account.best_epoch}: validation {text(best)}",
        transform=axes.transAxes,
        ha="left" if place < 0.3 else "right" if place > 0.7 else "center",
        fontsize=9.5,
        color=INK,
    )
    labels = [("train", train[-1], BLUE, "bold"), ("validation", validation[-1], VERMILION, "bold")]
    labels += [(name, value, colour, "normal") for name, (value, colour, _) in baselines.items()]
    _label_right(axes, [(f"{name} {text(value)}", value, colour, weight) for name, value, colour, weight in labels])


def _pad(axes: Axes, values: Sequence[float]) -> None:
    low, high = min(values), max(values)
    room = 0.08 * (high - low) or 0.05 * abs(high) or 0.05
    axes.set_ylim(low - room, high + room)


def _label_right(axes: Axes, labels: Sequence[tuple[str, float, str, str]]) -> None:
    """Name each line beside its end; names that would overlap move apart and keep a leader to their line."""
    low, high = axes.get_ylim()
    wanted = [(value - low) / (high - low) for _, value, _, _ in labels]
    for (label, _, colour, weight), line_at, label_at in zip(labels, wanted, spread(wanted, 0.068), strict=True):
        axes.plot(
            [1.004, 1.02], [line_at, label_at], transform=axes.transAxes, color=colour, linewidth=0.9, clip_on=False
        )
        axes.text(
            1.027, label_at, label, transform=axes.transAxes, va="center", fontsize=9.5, color=colour, fontweight=weight
        )


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Positions at least `gap` apart, in the order of `wanted`, each group centred on where its members want to be."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    groups: list[list[int]] = []
    for index in order:
        groups.append([index])
        while len(groups) > 1 and _lowest(groups[-1], wanted, gap) < _highest(groups[-2], wanted, gap) + gap:
            groups[-2:] = [groups[-2] + groups[-1]]
    placed = [0.0] * len(wanted)
    for group in groups:
        for step, index in enumerate(group):
            placed[index] = _lowest(group, wanted, gap) + step * gap
    return placed


def _lowest(group: Sequence[int], wanted: Sequence[float], gap: float) -> float:
    centre = sum(wanted[index] for index in group) / len(group)
    return centre - gap * (len(group) - 1) / 2


def _highest(group: Sequence[int], wanted: Sequence[float], gap: float) -> float:
    return _lowest(group, wanted, gap) + gap * (len(group) - 1)


def _literal(text: str) -> str:
    # matplotlib reads what stands between two dollar signs as mathematics.
    return text.replace("$", r"\$")


# ------------------------------------------------------------------------------------------- summary


def summary(account: Account, phases_seconds: Mapping[str, float]) -> str:
    """The training on one page of plain text, at most 100 columns wide."""
    sections = [
        ("", _what(account)),
        ("Result", _result(account)),
        ("Rows", _rows(account)),
        ("Classes", _classes(account.dataset)),
        (f"Features ({len(account.dataset.feature_names)})", _features(account)),
        ("Layers", _layers(account.model)),
        ("Wall time", _wall_time(account, phases_seconds)),
        ("Reproduce", _reproduce(account)),
    ]
    lines: list[str] = []
    for title, body in sections:
        if title:
            lines += ["", title, "-" * len(title)]
        lines += body
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _what(account: Account) -> Iterator[str]:
    strategy, request = account.request.strategy, account.request
    yield from _wrap(strategy.name)
    yield "=" * min(WIDTH, len(strategy.name))
    if strategy.description:
        yield from _wrap(strategy.description)
    yield ""
    ended = {
        Ending.ALL_EPOCHS: f"all {len(account.history)} epochs",
        Ending.EARLY_STOPPING: f"{len(account.history)} of {strategy.training.epochs} epochs, stopped early",
        Ending.CANCELLED: f"{len(account.history)} of {strategy.training.epochs} epochs, then cancelled",
    }[account.ending]
    yield from _pairs(
        {
            "Operation": request.operation_id,
            "Symbols": ", ".join(request.symbols),
            "Timeframe": request.timeframe,
            "Bars from": _sources(account),
            "Range": _range(account.dataset.coverage),
            "Trained": ended,
        }
    )


def _result(account: Account) -> Iterator[str]:
    evaluation, best = account.evaluation, account.best
    baselines = evaluation["baselines"]
    yield f"Best epoch {best.epoch}: validation loss {best.val_loss:.4f}, training loss {best.train_loss:.4f}"
    yield f"Chance is a loss of ln({len(evaluation['class_names'])}) = {math.log(len(evaluation['class_names'])):.4f}"
    yield ""
    yield from _table(
        ["on the validation rows", "accuracy", "balanced accuracy"],
        [
            ["this model", f"{evaluation['accuracy']:.1%}", f"{evaluation['balanced_accuracy']:.1%}"],
            *(
                [f"{name} baseline", f"{scores['accuracy']:.1%}", f"{scores['balanced_accuracy']:.1%}"]
                for name, scores in baselines.items()
            ),
        ],
    )
    yield ""
    yield from _wrap(verdict(evaluation))
    yield ""
    names = evaluation["class_names"]
    yield from _table(
        ["true class", *(f"taken for {name}" for name in names), "F1"],
        [
            [name, *(f"{count:,}" for count in row), f"{evaluation['f1'][name]:.3f}"]
            for name, row in zip(names, evaluation["confusion"], strict=True)
        ],
    )


def verdict(evaluation: Evaluation) -> str:
    """Whether the model beats its baselines on these rows, and how much these rows can tell."""
    accuracy, samples = evaluation["accuracy"], evaluation["validation_samples"]
    name, rival = max(
        ((name, scores["accuracy"]) for name, scores in evaluation["baselines"].items()), key=lambda pair: pair[1]
    )
    error = standard_error(accuracy, samples)
    lead = accuracy - rival
    if lead <= 0:
        sentence = f"On these rows the model does not beat its baselines: {accuracy:.1%} against {rival:.1%} ({name})."
    elif lead < 2 * error:
        sentence = (
            f"On these rows the model is ahead of its baselines, {accuracy:.1%} against {rival:.1%} ({name}), "
            "but by less than two standard errors: that can be chance."
        )
    else:
        sentence = f"On these rows the model beats its baselines: {accuracy:.1%} against {rival:.1%} ({name})."
    return (
        f"{sentence} {samples:,} validation samples give the accuracy a standard error of {100 * error:.1f} "
        "percentage points, more where neighbouring samples resemble each other; and the best epoch was chosen "
        "on these same rows, which flatters it."
    )


def _rows(account: Account) -> Iterator[str]:
    dataset = account.dataset
    yield from _table(
        ["symbol", "bars", "warm-up", "train", "purged", "validation", "unlabelled"],
        [
            [
                coverage.symbol,
                f"{coverage.bars:,}",
                f"{coverage.warmup_rows:,}",
                f"{coverage.train_samples:,}",
                f"{coverage.purged_samples:,}",
                f"{coverage.validation_samples:,}",
                f"{coverage.unlabelled_rows:,}",
            ]
            for coverage in dataset.coverage
        ],
    )
    yield ""
    yield from _table(
        ["symbol", "bars from", "first bar", "border", "last bar"],
        [
            [
                coverage.symbol,
                account.providers[coverage.symbol],
                _day(coverage.first),
                _day(coverage.border),
                _day(coverage.last),
            ]
            for coverage in dataset.coverage
        ],
        left=2,
    )
    yield ""
    yield from _wrap(
        f"A sample is a window of {dataset.sequence_length} bars. The border is the first bar to validate on; samples "
        "whose label's bar has not closed by then are purged. Scaling uses the training part alone."
    )


def _classes(dataset: Dataset) -> Iterator[str]:
    classes = len(dataset.class_names)
    parts = [np.bincount(part.labels, minlength=classes) for part in (dataset.train, dataset.validation)]
    yield from _table(
        ["class", "train", "share", "validation", "share"],
        [
            [
                name,
                *(cell for counts in parts for cell in (f"{counts[index]:,}", f"{counts[index] / sum(counts):.1%}")),
            ]
            for index, name in enumerate(dataset.class_names)
        ],
    )


def _features(account: Account) -> Iterator[str]:
    yield from _wrap(", ".join(account.dataset.feature_names))
    yield f"Scaling: {account.request.strategy.features.scaling}"


def _layers(model: nn.Module) -> Iterator[str]:
    rows, total = [], 0
    for name, module in model.named_modules():
        count = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        if count:
            rows.append([name, type(module).__name__, textwrap.shorten(module.extra_repr(), 56), f"{count:,}"])
            total += count
    rows.append(["total", "", "", f"{total:,}"])
    yield from _table(["layer", "kind", "shape", "parameters"], rows, left=3)


def _wall_time(account: Account, phases_seconds: Mapping[str, float]) -> Iterator[str]:
    seconds_of = {**phases_seconds, "total": sum(phases_seconds.values())}
    yield from _table(["phase", "seconds"], [[name, f"{seconds:.3f}"] for name, seconds in seconds_of.items()])
    durations = [metrics.duration for metrics in account.history]
    yield f"{np.median(durations):.3f} s an epoch, in the median"


def _reproduce(account: Account) -> Iterator[str]:
    training, request = account.request.strategy.training, account.request
    command = [
        "ktrdr models train",
        f"--strategy {shlex.quote(str(request.output / artifacts.STRATEGY))}",
        f"--symbols {shlex.quote(','.join(request.symbols))}",
        f"--timeframes {request.timeframe}",
    ]
    command += [f"--start-date {request.start.isoformat()}"] if request.start else []
    command += [f"--end-date {request.end.isoformat()}"] if request.end else []
    yield from " \\\n    ".join(command).splitlines()
    yield ""
    yield from _wrap("The same bars, seed, threads and versions on the same kind of machine give the same bits.")
    yield from _pairs({"seed": str(training.seed), "threads": str(training.threads)} | artifacts.libraries())
    yield ""
    yield from _table(["bars of", "SHA-256"], list(account.fingerprint.data.items()), left=2)


def _wrap(text: str) -> list[str]:
    return [line for paragraph in text.splitlines() for line in textwrap.wrap(paragraph, WIDTH)]


def _pairs(pairs: Mapping[str, str]) -> Iterator[str]:
    width = max(map(len, pairs)) + 2
    for name, value in pairs.items():
        indent = " " * width
        yield from textwrap.wrap(value, WIDTH, initial_indent=f"{name:<{width}}", subsequent_indent=indent) or [name]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> Iterator[str]:
    """Columns as wide as they need; the first `left` of them flush left, the others flush right."""
    cells = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(
            f"{cell:<{width}}" if place < left else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )


def _symbols(symbols: Sequence[str]) -> str:
    return ", ".join(symbols) if len(symbols) <= 6 else f"{', '.join(symbols[:5])} and {len(symbols) - 5} more"


def _sources(account: Account, at_most: int = 100) -> str:
    names = list(dict.fromkeys(account.providers.values()))
    return ", ".join(names) if len(names) <= at_most else f"{len(names)} providers"


def _range(coverage: Sequence[SymbolCoverage]) -> str:
    return f"{_day(min(part.first for part in coverage))} to {_day(max(part.last for part in coverage))}"


def _day(instant: datetime) -> str:
    return instant.date().isoformat()
