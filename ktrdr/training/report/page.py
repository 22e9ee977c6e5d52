"""summary.txt: the training on one page of plain text, the verdict first, at most 100 columns wide."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from ktrdr.training import artifacts
from ktrdr.training.evaluate import Evaluation, is_classification, is_regression
from ktrdr.training.loop import Ending
from ktrdr.training.report.account import Account, day, model_in_short, range_of, sources, sources_of

if TYPE_CHECKING:
    from ktrdr.features.matrix import Dataset, Part
    from ktrdr.training.evaluate import Classification, Regression
    from ktrdr.training.money import Money, Performance
    from ktrdr.training.significance import Lead

WIDTH = 100
LONGEST_SYMBOL = 24
NOTHING = "–"


def summary(account: Account, phases_seconds: Mapping[str, float]) -> str:
    sections = [
        ("", _what(account)),
        ("Verdict", _verdict(account)),
        ("Validation rows", _evaluation(account, account.evaluation)),
        ("Test rows", _test(account)),
        ("Money on the validation rows", _money(account.money)),
        ("Money on the test rows", _money(account.test_money)),
        ("Rows", _rows(account)),
        ("Targets" if account.dataset.is_regression else "Classes", _labels(account.dataset)),
        (f"Features ({len(account.dataset.feature_names)})", _features(account)),
        ("Model", _model(account)),
        ("Wall time", _wall_time(account, phases_seconds)),
        ("Reproduce", _reproduce(account)),
    ]
    lines: list[str] = []
    for title, body in sections:
        written = list(body)
        if title and written:
            lines += ["", title, "-" * len(title)]
        lines += written
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _what(account: Account) -> Iterator[str]:
    strategy, request = account.strategy, account.request
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
            "Timeframes": ", ".join(strategy.timeframes),
            "Bars from": sources(account),
            "Range": range_of(account.dataset.coverage),
            "Trained": ended,
        }
    )


def _verdict(account: Account) -> Iterator[str]:
    test, gate, look_ahead = account.test_evaluation, account.leak_gate, account.preflight
    told = {
        "Validation": account.evaluation["verdict"],
        "Test": test["verdict"] if test else None,
        "Money": account.money["verdict"] if account.money else None,
        "Test, money": account.test_money["verdict"] if account.test_money else None,
        "Leaks": gate.get("verdict") if gate else None,
        "Beforehand": " ".join(_sentence(each) for each in look_ahead.get("warnings", ())) if look_ahead else None,
    }
    yield from _pairs({name: text for name, text in told.items() if text})


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


# Evaluations.


def _test(account: Account) -> Iterator[str]:
    if account.test_evaluation:
        yield from _evaluation(account, account.test_evaluation)


def _evaluation(account: Account, evaluation: Evaluation) -> Iterator[str]:
    if evaluation["part"] == "validation":
        best = account.best
        losses = f"validation loss {best.val_loss:.4f}, training loss {best.train_loss:.4f}"
        yield f"Best epoch {best.epoch} of {len(account.history)}: {losses}"
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


# Money.


def _money(money: Money | None) -> Iterator[str]:
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


def _rows(account: Account) -> Iterator[str]:
    dataset = account.dataset
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
                day(coverage.border),
                day(coverage.last),
                textwrap.shorten(sources_of(account.providers, coverage.symbol), 32, placeholder="…"),
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


def _features(account: Account) -> Iterator[str]:
    yield from _wrap(", ".join(account.dataset.feature_names))
    yield f"Scaling: {account.strategy.features.scaling}"


def _model(account: Account) -> Iterator[str]:
    """The layers of a network; of a model without any the strategy's own words."""
    yield model_in_short(account.strategy)
    rows = list(_layers(account.model)) if isinstance(account.model, nn.Module) else []
    if not rows:
        yield from _pairs({name: str(value) for name, value in account.strategy.model.model_dump().items()})
        return
    total = sum(count for *_, count in rows)
    yield from _table(
        ["layer", "kind", "shape", "parameters"],
        [*([*words, f"{count:,}"] for *words, count in rows), ["total", "", "", f"{total:,}"]],
        left=3,
    )


def _layers(model: nn.Module) -> Iterator[tuple[str, str, str, int]]:
    for name, module in model.named_modules():
        count = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        if count:
            shape = textwrap.shorten(module.extra_repr(), 40, placeholder=" …")
            yield _tail(name, 30), type(module).__name__, shape, count


def _tail(name: str, width: int) -> str:
    return name if len(name) <= width else f"…{name[1 - width :]}"


def _wall_time(account: Account, phases_seconds: Mapping[str, float]) -> Iterator[str]:
    seconds_of = {**phases_seconds, "total": sum(phases_seconds.values())}
    yield from _table(["phase", "seconds"], [[name, f"{seconds:.3f}"] for name, seconds in seconds_of.items()])
    durations = [metrics.duration for metrics in account.history]
    yield f"{np.median(durations):.3f} s an epoch, in the median"


def _reproduce(account: Account) -> Iterator[str]:
    training, request = account.strategy.training, account.request
    command = [
        "ktrdr models train",
        f"--strategy {shlex.quote(str(request.output / artifacts.STRATEGY))}",
        f"--symbols {shlex.quote(','.join(request.symbols))}",
        f"--timeframes {','.join(account.strategy.timeframes)}",
    ]
    command += [f"--start-date {request.start.isoformat()}"] if request.start else []
    command += [f"--end-date {request.end.isoformat()}"] if request.end else []
    yield from " \\\n    ".join(command).splitlines()
    yield ""
    yield from _wrap("The same bars, seed, threads and versions on the same kind of machine give the same bits.")
    yield from _pairs({"seed": str(training.seed), "threads": str(training.threads)} | artifacts.libraries())
    yield ""
    yield from _table(["bars of", "SHA-256"], list(_hashes(account)), left=2)


def _hashes(account: Account) -> Iterator[list[str]]:
    for symbol, hashes in account.fingerprint.data.items():
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
