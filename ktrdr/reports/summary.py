"""summary.txt: the training on one page of plain text, the verdict first, at most 100 columns wide."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.formatting import (
    NOTHING,
    correlation,
    count,
    counted,
    gain,
    percentage,
    points,
    score,
    signed_points,
    signed_score,
    with_error,
)
from ktrdr.payloads.evaluation import Classification, Regression
from ktrdr.payloads.training import Ending
from ktrdr.reports.breakdown_rows import breakdown_rows
from ktrdr.reports.report_data import TrainingReport, bar_range, day, model_in_short, sources, symbol_sources
from ktrdr.saved_models.provenance import libraries
from ktrdr.training.files import STRATEGY

if TYPE_CHECKING:
    from ktrdr.features.dataset import Dataset, Part
    from ktrdr.payloads.backtest import BacktestResult, Performance
    from ktrdr.payloads.evaluation import Calibration, ClassScores, Evaluation, Lead, NumberScores

WIDTH = 100
MAX_SYMBOL_LENGTH = 24


def summary(report: TrainingReport, phases_seconds: Mapping[str, float]) -> str:
    results = report.results
    sections = [
        ("", _what(report)),
        ("Verdict", _verdicts(report)),
        ("Validation rows", _validation(report)),
        ("Test rows", _evaluation(results.test_evaluation)),
        ("Backtest on the validation rows", _backtest(results.backtest)),
        ("Backtest on the test rows", _backtest(results.test_backtest)),
        ("Rows", _rows(report)),
        ("Targets" if report.dataset.is_regression else "Classes", _labels(report.dataset)),
        (f"Features ({len(report.dataset.feature_names)})", _features(report)),
        ("Model", _model(report)),
        ("Wall time", _wall_time(report, phases_seconds)),
        ("Reproduce", _reproduce(report)),
    ]
    lines: list[str] = []
    for title, body in sections:
        written = list(body)
        if title and written:
            lines += ["", title, "-" * len(title)]
        lines += written
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _what(report: TrainingReport) -> Iterator[str]:
    strategy, request = report.strategy, report.request
    yield from _wrap(strategy.name)
    yield "=" * min(WIDTH, len(strategy.name))
    if strategy.description:
        yield from _wrap(strategy.description)
    yield ""
    ended = {
        Ending.ALL_EPOCHS: f"all {len(report.history)} epochs",
        Ending.EARLY_STOPPING: f"{len(report.history)} of {strategy.training.epochs} epochs, stopped early",
        Ending.CANCELLED: f"{len(report.history)} of {strategy.training.epochs} epochs, then cancelled",
    }[report.results.ending]
    yield from _pairs(
        {
            "Operation": request.operation_id,
            "Symbols": ", ".join(request.symbols),
            "Timeframes": ", ".join(strategy.timeframes),
            "Bars from": sources(report),
            "Range": bar_range(report.dataset.coverage),
            "Trained": ended,
        }
    )


def _verdicts(report: TrainingReport) -> Iterator[str]:
    results = report.results
    verdicts = {
        "Validation": results.evaluation,
        "Test": results.test_evaluation,
        "Backtest": results.backtest,
        "Test, backtest": results.test_backtest,
        "Leaks": results.leak_gate,
    }
    warnings = results.preflight.warnings if results.preflight else ()
    yield from _pairs(
        {name: part.verdict for name, part in verdicts.items() if part}
        | ({"Preflight": " ".join(map(_sentence, warnings))} if warnings else {})
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


# Evaluations.


def _validation(report: TrainingReport) -> Iterator[str]:
    best = report.best
    losses = f"validation loss {score(best.val_loss)}, training loss {score(best.train_loss)}"
    yield f"Best epoch {best.epoch} of {len(report.history)}: {losses}"
    yield from _evaluation(report.evaluation)


def _evaluation(evaluation: Evaluation | None) -> Iterator[str]:
    if evaluation is None:
        return
    yield f"{count(evaluation.samples)} samples, {_minute(evaluation.first)} to {_minute(evaluation.last)}"
    yield ""
    if isinstance(evaluation, Classification):
        yield from _classification(evaluation)
    else:
        yield from _regression(evaluation)


def _minute(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M}"


def _classification(evaluation: Classification) -> Iterator[str]:
    low, high = map(percentage, evaluation.accuracy_interval)
    leads = evaluation.significance.against

    def row(name: str, scores: Classification | ClassScores, interval: str = "") -> list[str]:
        return [
            name.replace("_", " "),
            percentage(scores.accuracy),
            interval,
            percentage(scores.balanced_accuracy),
            correlation(scores.mcc),
            score(scores.log_loss),
        ]

    yield from _table(
        ["", "accuracy", "95% interval", "balanced", "MCC", "log-loss", "lead, points", "p"],
        [
            [*row("this model", evaluation, f"{low} to {high}"), "", ""],
            *([*row(name, scores), *_points(leads[name])] for name, scores in evaluation.baselines.items()),
        ],
    )
    yield from _breakdown(evaluation, _points)
    yield ""
    yield from _confusion(evaluation)
    yield ""
    yield from _calibration(evaluation.calibration)


def _breakdown(evaluation: Classification | Regression, lead_cells: Callable[[Lead], list[str]]) -> Iterator[str]:
    if evaluation.breakdown and (rows := breakdown_rows(evaluation.breakdown, lead_cells)):
        yield ""
        yield from _table(rows[0], ([_short(row[0]), *row[1:]] for row in rows[1:]))


def _points(lead: Lead) -> list[str]:
    return [f"{signed_points(lead.lead)} ± {points(lead.standard_error)}", f"{lead.p_value:.3f}"]


def _confusion(evaluation: Classification) -> Iterator[str]:
    names = evaluation.class_names
    yield from _table(
        ["true class", *(f"predicted {name}" for name in names), "F1"],
        [
            [name, *map(count, counts), f"{evaluation.f1[name]:.3f}"]
            for name, counts in zip(names, evaluation.confusion, strict=True)
        ],
    )


def _calibration(calibration: Calibration) -> Iterator[str]:
    yield from _wrap(
        f"Calibration: on average the model's confidence is {points(calibration.expected_error)} points off; with "
        f"so few samples a perfectly calibrated model would seem {points(calibration.error_by_chance)} off."
    )
    bins = calibration.bins
    yield from _table(
        ["confidence", *(percentage(one.confidence) for one in bins)],
        [
            ["right", *(percentage(one.accuracy) for one in bins)],
            ["samples", *(count(one.samples) for one in bins)],
        ],
    )


def _regression(evaluation: Regression) -> Iterator[str]:
    low, high = map(percentage, evaluation.accuracy_interval)
    leads = evaluation.significance.against

    def row(name: str, scores: Regression | NumberScores) -> list[str]:
        return [
            name.replace("_", " "),
            score(scores.mse),
            signed_score(scores.r2),
            correlation(scores.ic),
            correlation(scores.rank_ic),
            percentage(scores.accuracy),
        ]

    yield from _table(
        ["", "squared error", "R²", "IC", "rank IC", "right signs", "lead", "p"],
        [
            [*row("this model", evaluation), "", ""],
            *([*row(name, scores), *_variances(leads[name])] for name, scores in evaluation.baselines.items()),
        ],
    )
    yield from _breakdown(evaluation, _variances)
    yield ""
    t_values = {"IC": evaluation.ic_t, "rank IC": evaluation.rank_ic_t}
    known = ", ".join(f"{name} t = {value:.2f}" for name, value in t_values.items() if value is not None)
    yield from _wrap(
        f"Errors in training variances. {known or 'The predictions do not vary: there is no IC'}. "
        f"Right signs {low} to {high}, with 95% confidence."
    )


def _variances(lead: Lead) -> list[str]:
    return [f"{signed_score(lead.lead)} ± {score(lead.standard_error)}", f"{lead.p_value:.3f}"]


# Backtests.


def _backtest(backtest: BacktestResult | None) -> Iterator[str]:
    if backtest is None:
        return
    chance, model, held = backtest.random_entries, backtest.model, backtest.buy_and_hold
    yield from _wrap(
        "Signals at a bar's close are filled at the next open. "
        f"A trade costs {backtest.costs_percent:g}% of its value. "
        f"{count(backtest.bars)} bars, {backtest.bars_per_year:,.0f} a year."
    )
    yield ""
    by_chance = [gain(chance.low), gain(chance.median), gain(chance.high)]
    yield from _table(
        ["", "model", "buy and hold", "random: 5%", "median", "95%"],
        [
            ["total return", gain(model.total_return), gain(held.total_return), *by_chance],
            *([name, figure(model), figure(held), "", "", ""] for name, figure in _FIGURES.items()),
        ],
    )


_FIGURES: dict[str, Callable[[Performance], str]] = {
    "annual return": lambda performance: gain(performance.annual_return),
    "annual volatility": lambda performance: gain(performance.annual_volatility).removeprefix("+"),
    "Sharpe ratio": lambda performance: with_error(performance.sharpe, performance.sharpe_standard_error),
    "deepest drawdown": lambda performance: percentage(performance.max_drawdown),
    "turnover": lambda performance: f"{performance.turnover:,.1f}×",
    "trades": lambda performance: count(performance.trades),
    "costs paid": lambda performance: percentage(performance.costs_paid),
}


# What went in.


def _rows(report: TrainingReport) -> Iterator[str]:
    dataset = report.dataset
    tested = ["test"] if dataset.test is not None else []
    yield from _table(
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
    yield from _table(
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
    yield from _wrap(
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
        yield from _table(
            ["log returns", "mean", "deviation", "lowest", "highest"],
            [[name, *(f"{value:+.4%}" for value in _moments(part.measures))] for name, part in parts.items()],
        )
        return
    classes = len(dataset.class_names)
    counts = [np.bincount(part.labels, minlength=classes) for part in parts.values()]
    yield from _table(
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
    yield from _wrap(", ".join(report.dataset.feature_names))
    yield f"Scaling: {report.strategy.features.scaling}"


def _model(report: TrainingReport) -> Iterator[str]:
    """The layers of a network, or the settings of another model."""
    yield model_in_short(report.strategy)
    if not report.layers:
        yield from _pairs({name: str(value) for name, value in report.strategy.model.model_dump().items()})
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
    yield from _table(
        ["layer", "kind", "shape", "parameters"],
        [*rows, ["total", "", "", count(total)]],
        left=3,
    )


def _tail(name: str, width: int) -> str:
    return name if len(name) <= width else f"…{name[1 - width :]}"


def _wall_time(report: TrainingReport, phases_seconds: Mapping[str, float]) -> Iterator[str]:
    seconds_of = {**phases_seconds, "total": sum(phases_seconds.values())}
    yield from _table(["phase", "seconds"], [[name, f"{seconds:.3f}"] for name, seconds in seconds_of.items()])
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
    yield from _wrap("The same bars, seed, threads and versions on the same kind of machine give the same bits.")
    yield from _pairs({"seed": str(training.seed), "threads": str(training.threads)} | libraries())
    yield ""
    yield from _table(["bars of", "SHA-256"], list(_hashes(report)), left=2)


def _hashes(report: TrainingReport) -> Iterator[list[str]]:
    for symbol, hashes in report.fingerprint.data.items():
        for timeframe, digest in hashes.items():
            yield [f"{_short(symbol)} {timeframe}", digest]


# Setting.


def _wrap(text: str) -> list[str]:
    return [line for paragraph in text.splitlines() for line in textwrap.wrap(paragraph, WIDTH)]


def _pairs(pairs: Mapping[str, str]) -> Iterator[str]:
    width = max(map(len, pairs), default=0) + 2
    for name, value in pairs.items():
        indent = " " * width
        yield from textwrap.wrap(value, WIDTH, initial_indent=f"{name:<{width}}", subsequent_indent=indent) or [name]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> Iterator[str]:
    """Lines of a table with columns of minimal width; the first `left` columns are flush left, the others right."""
    cells = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(
            f"{cell:<{width}}" if place < left else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
