"""summary.txt: the training on one page of plain text, the verdict first, at most 100 columns wide."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.formatting import NOTHING, count, counted, percentage, score
from ktrdr.payloads.training import Ending
from ktrdr.reports.evaluation_text import backtest_lines, evaluation_lines
from ktrdr.reports.report_data import TrainingReport, bar_range, calendars, day, model_in_short, sources, symbol_sources
from ktrdr.reports.text import WIDTH, pairs, sections, sentence, table, wrap
from ktrdr.saved_models.provenance import libraries
from ktrdr.training.files import STRATEGY

if TYPE_CHECKING:
    from ktrdr.features.dataset import Dataset, Part

MAX_SYMBOL_LENGTH = 24


def summary(report: TrainingReport, phases_seconds: Mapping[str, float]) -> str:
    results = report.results
    return sections(
        {
            "": _what(report),
            "Verdict": _verdicts(report),
            "Validation rows": _validation(report),
            "Backtest on the validation rows": backtest_lines(results.backtest),
            "Rows": _rows(report),
            "Targets" if report.dataset.is_regression else "Classes": _labels(report.dataset),
            f"Features ({len(report.dataset.feature_names)})": _features(report),
            "Model": _model(report),
            "Wall time": _wall_time(report, phases_seconds),
            "Reproduce": _reproduce(report),
        }
    )


def _what(report: TrainingReport) -> Iterator[str]:
    strategy, request = report.strategy, report.request
    yield from wrap(strategy.name)
    yield "=" * min(WIDTH, len(strategy.name))
    if strategy.description:
        yield from wrap(strategy.description)
    yield ""
    ended = {
        Ending.ALL_EPOCHS: f"all {len(report.history)} epochs",
        Ending.EARLY_STOPPING: f"{len(report.history)} of {strategy.training.epochs} epochs, stopped early",
        Ending.EPOCH_LIMIT: f"{len(report.history)} of {strategy.training.epochs} epochs, as its search wanted",
        Ending.CANCELLED: f"{len(report.history)} of {strategy.training.epochs} epochs, then cancelled",
    }[report.results.ending]
    yield from pairs(
        {
            "Operation": request.operation_id,
            "Symbols": ", ".join(request.symbols),
            "Timeframes": ", ".join(strategy.timeframes),
            "Bars from": sources(report),
            **({"Reads also": ", ".join(report.fingerprint.others)} if report.fingerprint.others else {}),
            "Range": bar_range(report.dataset.coverage),
            "Calendar": calendars(report.dataset.coverage),
            "Trained": ended,
        }
    )


def _verdicts(report: TrainingReport) -> Iterator[str]:
    results = report.results
    verdicts = {"Validation": results.evaluation, "Backtest": results.backtest, "Leaks": results.leak_gate}
    warnings = results.preflight.warnings if results.preflight else ()
    yield from pairs(
        {name: part.verdict for name, part in verdicts.items() if part}
        | ({"Test": results.sealed.sentence(report.request.operation_id)} if results.sealed else {})
        | ({"Preflight": " ".join(map(sentence, warnings))} if warnings else {})
    )


def _validation(report: TrainingReport) -> Iterator[str]:
    best = report.best
    losses = f"validation loss {score(best.val_loss)}, training loss {score(best.train_loss)}"
    yield f"Best epoch {best.epoch} of {len(report.history)}: {losses}"
    yield from evaluation_lines(report.evaluation)


# What went in.


def _rows(report: TrainingReport) -> Iterator[str]:
    dataset = report.dataset
    tested = ["test"] if dataset.test is not None else []
    yield from table(
        ["symbol", "bars", "warm-up", "train", "purged", "validation", *tested, "unlabelled"],
        [
            [
                _short(coverage.symbol),
                count(coverage.bars),
                count(coverage.warmup_rows),
                count(coverage.train_samples),
                count(coverage.purged_samples),
                count(coverage.validation_samples),
                *(count(coverage.test_samples) for _ in tested),
                count(coverage.unlabelled_rows),
            ]
            for coverage in dataset.coverage
        ],
    )
    yield ""
    yield from table(
        ["symbol", "first bar", "border", "last bar", "bars from"],
        [
            [
                _short(coverage.symbol),
                day(coverage.first),
                day(coverage.border) if coverage.border else NOTHING,
                day(coverage.last),
                textwrap.shorten(symbol_sources(report.providers, coverage.symbol), 32, placeholder="…"),
            ]
            for coverage in dataset.coverage
        ],
        left=5,
    )
    yield ""
    yield from wrap(
        f"A sample is a window of {counted(dataset.sequence_length, 'bar')}. The border is the first bar to validate "
        "on. Samples whose label's bar has not closed at a border, or lies in the embargo before it, are purged. "
        "Scaling and thresholds come from the training part alone."
    )


def _short(symbol: str) -> str:
    return symbol if len(symbol) <= MAX_SYMBOL_LENGTH else f"{symbol[: MAX_SYMBOL_LENGTH - 1]}…"


def _parts(dataset: Dataset) -> dict[str, Part]:
    parts = {"train": dataset.train, "validation": dataset.validation}
    return parts if dataset.test is None else {**parts, "test": dataset.test}


def _labels(dataset: Dataset) -> Iterator[str]:
    parts = _parts(dataset)
    if dataset.is_regression:
        yield from table(
            ["log returns", "mean", "deviation", "lowest", "highest"],
            [[name, *(f"{value:+.4%}" for value in _moments(part.measures))] for name, part in parts.items()],
        )
        return
    classes = len(dataset.class_names)
    counts = [np.bincount(part.labels, minlength=classes) for part in parts.values()]
    yield from table(
        ["class", *(head for name in parts for head in (name, "share"))],
        [
            [
                name,
                *(
                    cell
                    for part in counts
                    for cell in (count(part[index]), percentage(part[index] / max(part.sum(), 1)))
                ),
            ]
            for index, name in enumerate(dataset.class_names)
        ],
    )


def _moments(measures: NDArray[np.float64]) -> tuple[float, float, float, float]:
    return measures.mean(), measures.std(), measures.min(), measures.max()


def _features(report: TrainingReport) -> Iterator[str]:
    yield from wrap(", ".join(report.dataset.feature_names))
    yield f"Scaling: {report.strategy.features.scaling}"


def _model(report: TrainingReport) -> Iterator[str]:
    """The layers of a network, or the settings of another model."""
    yield model_in_short(report.strategy)
    if not report.layers:
        yield from pairs({name: str(value) for name, value in report.strategy.model.model_dump().items()})
        return
    total = sum(layer.parameters for layer in report.layers)
    rows = [
        [
            _tail(layer.name, 30),
            layer.kind,
            textwrap.shorten(layer.shape, 40, placeholder=" …"),
            count(layer.parameters),
        ]
        for layer in report.layers
    ]
    yield from table(
        ["layer", "kind", "shape", "parameters"],
        [*rows, ["total", "", "", count(total)]],
        left=3,
    )


def _tail(name: str, width: int) -> str:
    return name if len(name) <= width else f"…{name[1 - width :]}"


def _wall_time(report: TrainingReport, phases_seconds: Mapping[str, float]) -> Iterator[str]:
    seconds_of = {**phases_seconds, "total": sum(phases_seconds.values())}
    yield from table(["phase", "seconds"], [[name, f"{seconds:.3f}"] for name, seconds in seconds_of.items()])
    durations = [metrics.duration for metrics in report.history]
    yield f"The median epoch took {np.median(durations):.3f} s."


def _reproduce(report: TrainingReport) -> Iterator[str]:
    training, request = report.strategy.training, report.request
    command = [
        "ktrdr models train",
        f"--strategy {STRATEGY}",
        f"--symbols {shlex.quote(','.join(request.symbols))}",
        f"--timeframes {','.join(report.strategy.timeframes)}",
    ]
    command += [f"--start-date {request.start.isoformat()}"] if request.start else []
    command += [f"--end-date {request.end.isoformat()}"] if request.end else []
    yield from " \\\n    ".join(command).splitlines()
    yield ""
    yield f"{STRATEGY} is in the folder of this file."
    yield from wrap("The same bars, seed, threads and versions on the same kind of machine give the same bits.")
    yield from pairs({"seed": str(training.seed), "threads": str(training.threads), **libraries()})
    yield ""
    yield from table(["bars of", "SHA-256"], list(_hashes(report)), left=2)


def _hashes(report: TrainingReport) -> Iterator[list[str]]:
    for symbol, hashes in report.fingerprint.data.items():
        for timeframe, digest in hashes.items():
            yield [f"{_short(symbol)} {timeframe}", digest]
