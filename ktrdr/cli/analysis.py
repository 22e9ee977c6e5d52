"""How predictions, exports, preflights, audits and reproductions are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import typer

from ktrdr.cli.output import bar_time, duration, fixed, number, print_fields, print_table, say
from ktrdr.files import size_text

Results = Mapping[str, Any]

_PROBABILITY = "probability_"


def print_predictions(results: Results) -> None:
    """A row for each bar: its close, the probability of each class and the likeliest, or the number predicted."""
    classes: Sequence[str] = results.get("class_names") or ()
    rows = [
        (
            bar_time(row["timestamp"], str(results.get("timeframe"))),
            fixed(row.get("close")),
            *(fixed(row.get(f"{_PROBABILITY}{name}")) for name in classes),
            row.get("predicted") if classes else _signed(row.get("predicted")),
        )
        for row in results.get("predictions") or ()
    ]
    print_table(("bar", ">close", *(f">{name}" for name in classes), "predicted" if classes else ">predicted"), rows)
    horizon = (results.get("label") or {}).get("horizon")
    if horizon:
        ahead = "bar" if horizon == 1 else f"{horizon} bars"
        say(f"{results.get('symbol')} {results.get('timeframe')}, each about the {ahead} after it; times are UTC")
    if results.get("trained_on_symbol") is False:
        say(f"note: the model was not trained on {results.get('symbol')}")


def _signed(value: Any) -> str:
    return f"{value:+.6f}" if isinstance(value, int | float) else "-"


def print_export(results: Results) -> None:
    print_fields(
        [
            ("model", results.get("model")),
            ("format", results.get("format")),
            ("file", (results.get("artifacts") or {}).get("onnx")),
            ("size", size_text(results.get("size_bytes") or 0)),
            *((f"input {name}", about) for name, about in (results.get("inputs") or {}).items()),
            *((f"output {name}", about) for name, about in (results.get("outputs") or {}).items()),
            ("compared on", f"{results.get('windows_compared')} windows of {results.get('compared_on')}"),
            ("largest difference", number(results.get("largest_difference") or 0.0)),
        ]
    )


def print_preflight(results: Results) -> None:
    folds = results.get("by_fold") or ()
    if len(folds) > 1:
        _print_folds(folds)
        typer.echo()
    columns = ("bars", "warmup_rows", "train_samples", "validation_samples", "test_samples", "purged_samples")
    print_table(
        ("symbol", *(f">{name.removesuffix('_samples').replace('_rows', '')}" for name in columns), "from", "to"),
        [
            (row.get("symbol"), *(row.get(name) for name in columns), _day(row.get("first")), _day(row.get("last")))
            for row in results.get("symbols") or ()
        ],
        title=f"Fold {first}" if (first := _first_fold(folds)) else "",
    )
    typer.echo()
    parts = results.get("parts") or ()
    names = list(dict.fromkeys(name for part in parts for name in part.get("shares") or {}))
    print_table(
        ("part", ">samples", *(f">{name}" for name in names), "from", "to"),
        [
            (
                part.get("part"),
                part.get("samples"),
                *(f"{100 * (part.get('shares') or {}).get(name, 0):.1f} %" for name in names),
                _day(part.get("first")),
                _day(part.get("last")),
            )
            for part in parts
        ],
    )
    typer.echo()
    print_fields(_plan(results))
    for warning in results.get("warnings") or ():
        say(f"warning: {warning}")


def _plan(results: Results) -> list[tuple[str, object]]:
    parameters, folds = results.get("parameters"), results.get("folds") or 1
    each = f"{parameters:,} ({results.get('parameters_per_sample', 0):,.1f} for each training sample)"
    first, total = _first_fold(results.get("by_fold") or ()), _time(results.get("total_seconds"))
    return [
        ("features", results.get("features")),
        ("window", results.get("window")),
        *([("parameters", each)] if parameters else []),
        ("peak memory", f"{size_text(results.get('peak_memory_bytes') or 0)}, free {_free(results)}"),
        (f"one epoch of fold {first}" if first else "one epoch", _time(results.get("epoch_seconds"))),
        ("all epochs", total) if folds == 1 else (f"all {folds} folds", total and f"{total}, one after the other"),
    ]


def _print_folds(folds: Sequence[Results]) -> None:
    """A row for each; dates are those of the validation part."""
    parts = [{str(part.get("part")): part for part in fold.get("parts") or ()} for fold in folds]
    names = [name for name in ("train", "validation", "test") if any(name in own for own in parts)]
    print_table(
        (">fold", *(f">{name}" for name in names), "from", "to", ">time", "left out"),
        [
            (
                fold.get("fold"),
                *(own.get(name, {}).get("samples") for name in names),
                *(_day(own["validation"].get(end))[:10] if own else None for end in ("first", "last")),
                _brief(fold.get("total_seconds")),
                ", ".join(_left_out(each) for each in fold.get("left_out") or ()),
            )
            for fold, own in zip(folds, parts, strict=True)
        ],
    )


def _left_out(symbol: Results) -> str:
    parts = symbol.get("parts") or ()
    return f"{symbol.get('symbol')}" if "train" in parts else f"{symbol.get('symbol')} ({' and '.join(parts)})"


def _first_fold(folds: Sequence[Results]) -> int | None:
    """The one whose figures are shown beside those of all; none where there is no other."""
    trained = [fold for fold in folds if fold.get("parts")]
    return trained[0].get("fold") if len(folds) > 1 and trained else None


def _brief(seconds: Any) -> str | None:
    return duration(seconds) if isinstance(seconds, int | float) else None


def _free(results: Results) -> str:
    return size_text(results.get("available_memory_bytes") or 0)


def _time(seconds: Any) -> str | None:
    return f"about {duration(seconds)}" if isinstance(seconds, int | float) else None


def _day(instant: object) -> str:
    return str(instant)[:16].replace("T", " ").removesuffix(" 00:00")


def print_audit(results: Results) -> None:
    """A row for each leak; the verdict in words."""
    leaks = results.get("leaks") or ()
    if leaks:
        print_table(
            ("symbol", "column", "instant", "kind", ">whole", ">then known"),
            [
                (
                    leak.get("symbol"),
                    leak.get("column"),
                    leak.get("instant"),
                    leak.get("kind"),
                    *(fixed(leak.get(name), 6) for name in ("whole", "known")),
                )
                for leak in leaks
            ],
        )
    if results.get("verdict"):
        say(str(results["verdict"]))


def print_reproduction(results: Results) -> None:
    """Whether it came to the same bits; what differs, a line each."""
    found = results.get("reproduction") or {}
    for line in found.get("differences") or ():
        typer.echo(line)
    if found.get("inputs"):
        say("The inputs were not the same:")
        for line in found["inputs"]:
            say(f"  {line}")
    same = "identical to" if found.get("identical") else "not the same as"
    say(f"The model is {same} {found.get('of')}")


PRINTERS: Mapping[str, Callable[[Results], None]] = {
    "PREDICTION": print_predictions,
    "EXPORT": print_export,
    "PREFLIGHT": print_preflight,
    "AUDIT": print_audit,
}
"""By type of operation."""
