"""summary.txt: the training on one page of plain text, the verdict first, at most 100 columns wide."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ktrdr.evaluation.evaluate import Evaluation, is_classification, is_regression
from ktrdr.reports.report_data import TrainingReport, day, model_in_short, range_of, sources, sources_of
from ktrdr.saved_models.provenance import libraries
from ktrdr.training.files import STRATEGY
from ktrdr.training.loop import Ending

if TYPE_CHECKING:
    from ktrdr.evaluation.backtest import BacktestResult, Performance
    from ktrdr.evaluation.evaluate import Classification, Regression
    from ktrdr.evaluation.significance import Lead
    from ktrdr.features.dataset import Dataset, Part

WIDTH = 100
LONGEST_SYMBOL = 24
NOTHING = "–"


def summary(report: TrainingReport, phases_seconds: Mapping[str, float]) -> str:
    sections = [
        ("", _what(report)),
        ("Verdict", _verdict(report)),
        ("Validation rows", _evaluation(report, report.evaluation)),
        ("Test rows", _test(report)),
        ("Backtest on the validation rows", _money(report.money)),
        ("Backtest on the test rows", _money(report.test_money)),
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
    }[report.ending]
    yield from _pairs(
        {
            "Operation": request.operation_id,
            "Symbols": ", ".join(request.symbols),
            "Timeframes": ", ".join(strategy.timeframes),
            "Bars from": sources(report),
            "Range": range_of(report.dataset.coverage),
            "Trained": ended,
        }
    )


def _verdict(report: TrainingReport) -> Iterator[str]:
    test, gate, look_ahead = report.test_evaluation, report.leak_gate, report.preflight
    told = {
        "Validation": report.evaluation["verdict"],
        "Test": test["verdict"] if test else None,
        "Backtest": report.money["verdict"] if report.money else None,
        "Test, backtest": report.test_money["verdict"] if report.test_money else None,
        "Leaks": gate.get("verdict") if gate else None,
        "Beforehand": " ".join(_sentence(each) for each in look_ahead.get("warnings", ())) if look_ahead else None,
    }
    yield from _pairs({name: text for name, text in told.items() if text})


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


# Evaluations.


def _test(report: TrainingReport) -> Iterator[str]:
    if report.test_evaluation:
        yield from _evaluation(report, report.test_evaluation)


def _evaluation(report: TrainingReport, evaluation: Evaluation) -> Iterator[str]:
    if evaluation["part"] == "validation":
        best = report.best
        losses = f"validation loss {best.val_loss:.4f}, training loss {best.train_loss:.4f}"
        yield f"Best epoch {best.epoch} of {len(report.history)}: {losses}"
    yield f"{evaluation['validation_samples']:,} samples, {evaluation['from'][:16]} to {evaluation['to'][:16]}"
    yield ""
    if is_classification(evaluation):
        yield from _classification(evaluation)
    elif is_regression(evaluation):
        yield from _regression(evaluation)


def _classification(evaluation: Classification) -> Iterator[str]:
    low, high = evaluation["accuracy_interval"]
    leads = evaluation["significance"]["against"]

    def row(name: str, scores: Mapping[str, Any], interval: str = "") -> list[str]:
        loss = scores["log_loss"]
        return [
            name,
            f"{scores['accuracy']:.1%}",
            interval,
            f"{scores['balanced_accuracy']:.1%}",
            f"{scores['mcc']:+.3f}",
            NOTHING if loss is None else f"{loss:.4f}",
            *_lead(leads.get(name), 100),
        ]

    yield from _table(
        ["", "accuracy", "95% interval", "balanced", "MCC", "log-loss", "lead, points", "p"],
        [
            row("this model", evaluation, f"{low:.1%} to {high:.1%}"),
            *(_named(row(name, scores)) for name, scores in evaluation["baselines"].items()),
        ],
    )
    yield ""
    names = evaluation["class_names"]
    yield from _table(
        ["true class", *(f"taken for {name}" for name in names), "F1"],
        [
            [name, *(f"{count:,}" for count in counts), f"{evaluation['f1'][name]:.3f}"]
            for name, counts in zip(names, evaluation["confusion"], strict=True)
        ],
    )
    yield ""
    calibration = evaluation["calibration"]
    yield from _wrap(
        f"Calibration: on average the model's confidence is {100 * calibration['expected_error']:.1f} points off; a "
        f"perfect one's would seem {100 * calibration['error_by_chance']:.1f} off on so few samples."
    )
    bins = calibration["bins"]
    yield from _table(
        ["confidence", *(f"{each['confidence']:.1%}" for each in bins)],
        [
            ["right", *(f"{each['accuracy']:.1%}" for each in bins)],
            ["samples", *(f"{each['samples']:,}" for each in bins)],
        ],
    )


def _regression(evaluation: Regression) -> Iterator[str]:
    low, high = evaluation["accuracy_interval"]
    leads = evaluation["significance"]["against"]

    def row(name: str, scores: Mapping[str, Any]) -> list[str]:
        ics = [NOTHING if scores[key] is None else f"{scores[key]:+.3f}" for key in ("ic", "rank_ic")]
        figures = [f"{scores['mse']:.4f}", f"{scores['r2']:+.4f}", *ics, f"{scores['accuracy']:.1%}"]
        return [name, *figures, *_lead(leads.get(name), 1)]

    yield from _table(
        ["", "squared error", "R²", "IC", "rank IC", "right signs", "lead", "p"],
        [
            row("this model", evaluation),
            *(_named(row(name, scores)) for name, scores in evaluation["baselines"].items()),
        ],
    )
    yield ""
    t_values = {"IC": evaluation["ic_t"], "rank IC": evaluation["rank_ic_t"]}
    told = ", ".join(f"{name} t = {value:.2f}" for name, value in t_values.items() if value is not None)
    yield from _wrap(
        f"Errors in training variances. {told or 'The predictions do not vary: there is no IC'}. "
        f"Right signs {low:.1%} to {high:.1%}, with 95% confidence."
    )


def _named(row: list[str]) -> list[str]:
    return [row[0].replace("_", " "), *row[1:]]


def _lead(lead: Lead | None, scale: float) -> list[str]:
    """Over a rival; the model itself has none."""
    if lead is None:
        return ["", ""]
    digits = 1 if scale > 1 else 4
    interval = f"{scale * lead['lead']:+.{digits}f} ± {scale * lead['standard_error']:.{digits}f}"
    return [interval, f"{lead['p_value']:.3f}"]


# BacktestResult.


def _money(money: BacktestResult | None) -> Iterator[str]:
    if money is None:
        return
    costs, chance = money["fee_bps"] + money["slippage_bps"], money["random_entries"]
    yield from _wrap(
        f"Signals at a bar's close, filled at the next open. A trade costs {costs / 100:g}% of its value. "
        f"{money['bars']:,} bars, {money['bars_per_year']:,.0f} a year."
    )
    yield ""
    model, held = money["model"], money["buy_and_hold"]
    returns = [f"{chance[name]:+.1%}" for name in ("low", "median", "high")]
    yield from _table(
        ["", "model", "buy and hold", "random: 5%", "median", "95%"],
        [
            ["total return", f"{model['total_return']:+.1%}", f"{held['total_return']:+.1%}", *returns],
            *([name, of(model), of(held), "", "", ""] for name, of in _FIGURES.items()),
        ],
    )


def _sharpe(figures: Performance) -> str:
    sharpe, error = figures["sharpe"], figures["sharpe_standard_error"]
    return NOTHING if sharpe is None or error is None else f"{sharpe:.2f} ± {error:.2f}"


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{value:+.1%}" if abs(value) < 100 else f"{value:+.3g}"


_FIGURES: dict[str, Callable[[Performance], str]] = {
    "annual return": lambda figures: _share(figures["annual_return"]),
    "annual volatility": lambda figures: _share(figures["annual_volatility"]).removeprefix("+"),
    "Sharpe ratio": _sharpe,
    "deepest drawdown": lambda figures: f"{figures['max_drawdown']:.1%}",
    "turnover": lambda figures: f"{figures['turnover']:,.1f}×",
    "trades": lambda figures: f"{figures['trades']:,}",
    "costs paid": lambda figures: f"{figures['costs_paid']:.1%}",
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
                f"{coverage.bars:,}",
                f"{coverage.warmup_rows:,}",
                f"{coverage.train_samples:,}",
                f"{coverage.purged_samples:,}",
                f"{coverage.validation_samples:,}",
                *(f"{coverage.test_samples:,}" for _ in tested),
                f"{coverage.unlabelled_rows:,}",
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
                textwrap.shorten(sources_of(report.providers, coverage.symbol), 32, placeholder="…"),
            ]
            for coverage in dataset.coverage
        ],
        left=5,
    )
    yield ""
    yield from _wrap(
        f"A sample is a window of {_count(dataset.sequence_length, 'bar')}. The border is the first bar to validate "
        "on. Samples whose label's bar has not closed at a border, or lies in the embargo before it, are purged. "
        "Scaling and thresholds come from the training part alone."
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _short(symbol: str) -> str:
    return symbol if len(symbol) <= LONGEST_SYMBOL else f"{symbol[: LONGEST_SYMBOL - 1]}…"


def _parts(dataset: Dataset) -> dict[str, Part]:
    parts = {"train": dataset.train, "validation": dataset.validation}
    return parts if dataset.test is None else {**parts, "test": dataset.test}


def _labels(dataset: Dataset) -> Iterator[str]:
    parts = _parts(dataset)
    if dataset.is_regression:
        yield from _table(
            ["log returns", "mean", "deviation", "lowest", "highest"],
            [
                [name, *(f"{value:+.4%}" for value in (of.mean(), of.std(), of.min(), of.max()))]
                for name, of in ((name, part.measures) for name, part in parts.items())
            ],
        )
        return
    classes = len(dataset.class_names)
    counts = [np.bincount(part.labels, minlength=classes) for part in parts.values()]
    yield from _table(
        ["class", *(head for name in parts for head in (name, "share"))],
        [
            [name, *(cell for of in counts for cell in (f"{of[index]:,}", f"{of[index] / max(of.sum(), 1):.1%}"))]
            for index, name in enumerate(dataset.class_names)
        ],
    )


def _features(report: TrainingReport) -> Iterator[str]:
    yield from _wrap(", ".join(report.dataset.feature_names))
    yield f"Scaling: {report.strategy.features.scaling}"


def _model(report: TrainingReport) -> Iterator[str]:
    """The layers of a network; of a model without any the strategy's own words."""
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
            f"{layer.parameters:,}",
        ]
        for layer in report.layers
    ]
    yield from _table(
        ["layer", "kind", "shape", "parameters"],
        [*rows, ["total", "", "", f"{total:,}"]],
        left=3,
    )


def _tail(name: str, width: int) -> str:
    return name if len(name) <= width else f"…{name[1 - width :]}"


def _wall_time(report: TrainingReport, phases_seconds: Mapping[str, float]) -> Iterator[str]:
    seconds_of = {**phases_seconds, "total": sum(phases_seconds.values())}
    yield from _table(["phase", "seconds"], [[name, f"{seconds:.3f}"] for name, seconds in seconds_of.items()])
    durations = [metrics.duration for metrics in report.history]
    yield f"{np.median(durations):.3f} s an epoch, in the median"


def _reproduce(report: TrainingReport) -> Iterator[str]:
    training, request = report.strategy.training, report.request
    command = [
        "ktrdr models train",
        f"--strategy {shlex.quote(str(request.output / STRATEGY))}",
        f"--symbols {shlex.quote(','.join(request.symbols))}",
        f"--timeframes {','.join(report.strategy.timeframes)}",
    ]
    command += [f"--start-date {request.start.isoformat()}"] if request.start else []
    command += [f"--end-date {request.end.isoformat()}"] if request.end else []
    yield from " \\\n    ".join(command).splitlines()
    yield ""
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
    """Columns as wide as they need; the first `left` of them flush left, the others flush right."""
    cells = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(
            f"{cell:<{width}}" if place < left else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
