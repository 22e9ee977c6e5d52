"""How predictions, exports, preflights, audits and reproductions are shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ktrdr.cli.output import (
    bar_time,
    fixed,
    note,
    number,
    price_digits,
    print_fields,
    print_line,
    print_table,
    say,
    warn,
)
from ktrdr.formatting import NOTHING, count, counted, duration, percentage, points, score, size_text

if TYPE_CHECKING:
    from ktrdr.payloads.leaks import AuditResults
    from ktrdr.payloads.predictions import ExportResults, PredictedBar, PredictionResults
    from ktrdr.payloads.preflight import FoldReport, LeftOutSymbol, PartName, PartReport, PreflightResults
    from ktrdr.payloads.training import Reproduction

PARTS: tuple[PartName, ...] = ("train", "validation", "test")


def print_predictions(results: PredictionResults) -> None:
    """A row for each bar: its close, the probability of each class and the predicted one, or the number predicted."""
    classes = results.class_names
    seen = [bar.part for bar in results.predictions if bar.part]
    digits = price_digits(bar.close for bar in results.predictions if bar.close)
    print_table(
        ("bar", ">close", *(f">{name}" for name in classes), "predicted" if classes else ">predicted", *_part(seen)),
        [
            (
                bar_time(bar.timestamp, results.timeframe),
                fixed(bar.close, digits),
                *(score(bar.probability(name)) for name in classes),
                _predicted(bar),
                *_part(seen, bar.part or NOTHING),
            )
            for bar in results.predictions
        ],
    )
    ahead = "the bar" if results.label.horizon == 1 else f"the {counted(results.label.horizon, 'bar')}"
    say(f"{results.symbol} {results.timeframe}, each about {ahead} after it; times are UTC")
    for each in _prediction_notes(results, seen):
        note(each)


def _part(seen: Sequence[str], cell: str = "part") -> tuple[str, ...]:
    """A column where some bars are of the training."""
    return (cell,) if seen else ()


def _prediction_notes(results: PredictionResults, seen: Sequence[str]) -> Iterator[str]:
    if not results.trained_on_symbol:
        yield f"the model was not trained on {results.symbol}"
    if seen:
        of_all = f"{count(len(seen))} of {count(len(results.predictions))}"
        yield f"bars of the training's own time: {of_all}; their predictions show nothing about later bars"
    if results.sealed_bars:
        yield (
            f"{counted(results.sealed_bars, 'bar')} left out: they lie in the model's sealed test part. To open it, "
            f"which is counted: ktrdr models unseal {results.model}"
        )
    if results.class_weights:
        weights = ", ".join(f"{weight:.2f}" for weight in results.class_weights)
        yield f"the predicted class has the largest probability times class weight ({weights})"
    if results.bars_changed:
        yield f"the stored bars of {results.symbol} are no longer those that the model was trained on"
    if results.has_weighted_probabilities:
        yield "the probabilities contain the class weights of the training, which this older model does not record"


def _predicted(bar: PredictedBar) -> str:
    match bar.predicted:
        case None:
            return NOTHING
        case str():
            return bar.predicted
        case _:
            return f"{bar.predicted:+.6f}"


def print_export(results: ExportResults) -> None:
    print_fields(
        [
            ("model", results.model),
            ("format", results.format),
            *results.artifacts.items(),
            ("size", size_text(results.size_bytes)),
            *((f"input {name}", about) for name, about in results.inputs.items()),
            *((f"output {name}", about) for name, about in results.outputs.items()),
            ("compared on", f"{counted(results.windows_compared, 'window')} of {results.compared_on}"),
            ("largest difference", number(results.largest_difference)),
        ]
    )


def print_preflight(results: PreflightResults) -> None:
    first = _first_fold(results)
    if len(results.by_fold) > 1:
        _print_folds(results.by_fold)
        print_line()
    print_table(
        ("symbol", ">bars", ">warmup", ">train", ">validation", ">test", ">purged", "from", "to"),
        [
            (
                row.symbol,
                row.bars,
                row.warmup_rows,
                row.train_samples,
                row.validation_samples,
                row.test_samples,
                row.purged_samples,
                _minute(row.first),
                _minute(row.last),
            )
            for row in results.symbols
        ],
        title=f"Fold {first}" if first else "",
    )
    print_line()
    classes = list(dict.fromkeys(name for part in results.parts for name in part.shares))
    print_table(
        ("part", ">samples", *(f">{name}" for name in classes), "from", "to"),
        [
            (
                part.part,
                part.samples,
                *(percentage(part.shares.get(name, 0.0)) for name in classes),
                _minute(part.first),
                _minute(part.last),
            )
            for part in results.parts
        ],
    )
    print_line()
    print_fields(_costs(results))
    for warning in results.warnings:
        warn(warning)


def _costs(results: PreflightResults) -> list[tuple[str, object]]:
    first, total = _first_fold(results), _about(results.total_seconds)
    parameters = f"{count(results.parameters)} ({results.parameters_per_sample:,.1f} for each training sample)"
    memory = f"{size_text(results.peak_memory_bytes)}, free {size_text(results.available_memory_bytes)}"
    return [
        ("features", results.features),
        ("window", results.window),
        ("lead for 80% power", [_resolution(part) for part in results.parts if part.part != "train"]),
        *([("parameters", parameters)] if results.parameters else []),
        ("peak memory", memory),
        (f"one epoch of fold {first}" if first else "one epoch", _about(results.epoch_seconds)),
        ("all epochs", total)
        if results.folds == 1
        else (f"all {results.folds} folds", total and f"{total}, one after the other"),
    ]


def _resolution(part: PartReport) -> str:
    """The lead, or of a regression the correlation, that the part shows with 80 % power."""
    of_accuracy = part.resolution_in == "accuracy"
    size = f"{points(part.resolution)} points" if of_accuracy else f"correlation {part.resolution:.2f}"
    return f"{size} ({part.part})"


def _print_folds(folds: Sequence[FoldReport]) -> None:
    """A row for each; dates are those of the validation part."""
    parts = [{part.part: part for part in fold.parts} for fold in folds]
    names = [name for name in PARTS if any(name in own for own in parts)]
    print_table(
        (">fold", *(f">{name}" for name in names), "from", "to", ">time", "left out"),
        [
            (
                fold.fold,
                *(own[name].samples if name in own else None for name in names),
                *((own["validation"].first.date(), own["validation"].last.date()) if own else (None, None)),
                None if fold.total_seconds is None else duration(fold.total_seconds),
                ", ".join(map(_left_out, fold.left_out)),
            )
            for fold, own in zip(folds, parts, strict=True)
        ],
    )


def _left_out(symbol: LeftOutSymbol) -> str:
    return symbol.symbol if "train" in symbol.parts else f"{symbol.symbol} ({' and '.join(symbol.parts)})"


def _first_fold(results: PreflightResults) -> int | None:
    """The one whose figures are shown beside those of all; none where there is no other."""
    trained = [fold.fold for fold in results.by_fold if fold.parts]
    return trained[0] if len(results.by_fold) > 1 and trained else None


def _about(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return f"about {duration(seconds)}" if seconds >= 0.05 else "less than 0.1 s"


def _minute(instant: datetime) -> str:
    """A day, or where it is not midnight the minute too."""
    return f"{instant:%Y-%m-%d %H:%M}".removesuffix(" 00:00")


def print_audit(results: AuditResults) -> None:
    """A row for each leak; the verdict in words."""
    if results.leaks:
        print_table(
            ("symbol", "column", "instant", "kind", ">whole", ">then known"),
            [
                (leak.symbol, leak.column, _minute(leak.instant), leak.kind, _value(leak.whole), _value(leak.known))
                for leak in results.leaks
            ],
        )
    say(results.verdict)


def _value(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.6f}"


def print_reproduction(reproduction: Reproduction) -> None:
    """Whether it came to the same bits; what differs, a line each."""
    for line in reproduction.differences:
        print_line(line)
    if reproduction.inputs:
        say("The inputs were not the same:")
        for line in reproduction.inputs:
            say(f"  {line}")
    same = "identical to" if reproduction.identical else "not the same as"
    say(f"The model is {same} {reproduction.of}")
