"""How a terminal operation is told: its results on stdout, its error on stderr, its exit code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from ktrdr.cli.analysis import PRINTERS
from ktrdr.cli.output import duration, fixed, print_fields, print_json, print_table, say, show_error, signed
from ktrdr.errors import KtrdrError

if TYPE_CHECKING:
    from ktrdr.api.schemas import Operation
    from ktrdr.cli.client import Client

LOSSES = (("train", "train"), ("val", "validation"))

# Of an evaluation, those that it has; a classification has some of them, a regression others.
COLUMNS = {
    "mse": "squared error",
    "r2": "R²",
    "ic": "IC",
    "rank_ic": "rank IC",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "mcc": "MCC",
    "log_loss": "log-loss",
}
BASELINES = ("majority", "mean", "persistence", "logistic_regression", "ridge_regression", "shuffled_control")


def finish(client: Client, operation: Operation, as_json: bool) -> None:
    """Prints the results of a terminal operation, and leaves with exit code 1 unless it completed."""
    results = client.results(operation.operation_id).model_dump(mode="json")
    if as_json:
        print_json({"operation_id": operation.operation_id, **results})
    else:
        print_results(operation.operation_type, results)
    if operation.status == "COMPLETED":
        return
    if operation.error:
        show_error(KtrdrError(operation.error.detail, hint=operation.error.hint))
    else:
        say(f"{operation.operation_id} {operation.status.lower()}")
    raise typer.Exit(1)


def print_results(kind: str, results: Mapping[str, Any]) -> None:
    if kind in PRINTERS:
        if results.get("status") == "success":
            PRINTERS[kind](results)
    elif kind == "DATA_LOAD":
        _print_load(results)
    else:
        print_training(results)


def _print_load(results: Mapping[str, Any]) -> None:
    quality = results.get("quality") or {}
    if results.get("status") != "success":
        if results.get("status") == "cancelled" and results.get("rows_new"):
            say(f"{results['rows_new']:,} new rows are stored; the rest comes with: ktrdr operations resume ID")
        return
    span = f"{_day(results.get('first'))} to {_day(results.get('last'))}"
    print_fields(
        [
            ("series", f"{results.get('symbol')} {results.get('timeframe')}"),
            ("provider", results.get("provider")),
            ("rows new", results.get("rows_new")),
            ("rows changed", results.get("rows_changed")),
            ("rows total", results.get("rows_total")),
            ("range", span),
            *([("quality", f"{quality['verdict']} {quality['score']:g}")] if quality else []),
        ]
    )
    if results.get("note"):
        say(f"note: {results['note']}")


def _day(instant: object) -> str:
    return str(instant)[:16].replace("T", " ").removesuffix(" 00:00")


def print_training(results: Mapping[str, Any]) -> None:
    """The model beside its baselines, then how it came about and where it lies."""
    for key in ("evaluation", "test_evaluation"):
        _print_evaluation(results.get(key) or {})
    for key in ("money", "test_money"):
        _print_money(results.get(key) or {})
    _print_folds(results)
    print_fields(_training_fields(results))
    for sentence in notes(results):
        say(f"note: {sentence}")


def _print_evaluation(evaluation: Mapping[str, Any]) -> None:
    if not evaluation:
        return
    samples, part = evaluation.get("validation_samples"), evaluation.get("part", "validation")
    columns = [column for column in COLUMNS if column in evaluation]
    print_table(
        ("", *(f">{COLUMNS[column]}" for column in columns)),
        [(name.replace("_", " "), *(fixed(row.get(column)) for column in columns)) for name, row in rivals(evaluation)],
        title=f"On {samples:,} {part} samples" if isinstance(samples, int) else "",
    )
    typer.echo()


def _print_money(money: Mapping[str, Any]) -> None:
    if not money:
        return
    chance = money["random_entries"]
    print_table(
        ("", ">return", ">a year", ">Sharpe", ">drawdown", ">trades", ">costs"),
        [
            *(_money_row(key.replace("_", " "), money[key]) for key in ("model", "buy_and_hold")),
            ("random, median", signed(chance["median"]), *[None] * 5),
        ],
        title=f"BacktestResult on the {money['part']} part, {money['fee_bps'] + money['slippage_bps']:g} bps a trade",
    )
    typer.echo()


def _money_row(name: str, figures: Mapping[str, Any]) -> tuple[object, ...]:
    sharpe, error = figures["sharpe"], figures["sharpe_standard_error"]
    return (
        name,
        signed(figures["total_return"]),
        signed(figures["annual_return"]),
        None if sharpe is None else f"{fixed(sharpe, 2)} ± {fixed(error, 2)}",
        signed(figures["max_drawdown"]),
        figures["trades"],
        signed(-figures["costs_paid"]),
    )


def _print_folds(results: Mapping[str, Any]) -> None:
    folds = results.get("folds") or []
    if not folds:
        return
    print_table(
        ("fold", "from", "to", ">samples", ">accuracy", ">baseline", ">lead"),
        [
            (
                fold.get("fold"),
                _day(fold.get("from"))[:10],
                _day(fold.get("to"))[:10],
                fold.get("validation_samples"),
                *(fixed(fold.get(key)) for key in ("accuracy", "baseline_accuracy", "lead")),
            )
            for fold in folds
        ],
        title=f"{len(folds)} folds",
    )
    typer.echo()


def scores(results: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return rivals(results.get("evaluation") or {})


def rivals(evaluation: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The model and its baselines, the simplest first."""
    baselines = evaluation.get("baselines") or {}
    known = [name for name in BASELINES if name in baselines]
    others = sorted(baselines.keys() - set(known))
    return [("model", evaluation), *((name, baselines[name]) for name in [*known, *others])]


def notes(results: Mapping[str, Any]) -> list[str]:
    """What is to be known beside the figures, in the training's own words where it has some."""
    evaluation = results.get("evaluation") or {}
    told = [results.get("note"), results.get("verdict"), evaluation.get("verdict") or beaten_by(results)]
    told += [(results.get(key) or {}).get("verdict") for key in ("test_evaluation", "money", "test_money")]
    return [sentence for sentence in told if sentence]


def beaten_by(results: Mapping[str, Any]) -> str | None:
    """Of results without a verdict of their own."""
    (_, model), *baselines = scores(results)
    mine = model.get("accuracy")
    unbeaten = [
        f"the {name} baseline (accuracy {fixed(mine)} against {fixed(row.get('accuracy'))})"
        for name, row in baselines
        if isinstance(mine, int | float) and mine <= row.get("accuracy", 0)
    ]
    return f"the model does not beat {' and '.join(unbeaten)}" if unbeaten else None


def _training_fields(results: Mapping[str, Any]) -> list[tuple[str, object]]:
    final = results.get("final_metrics") or {}
    seconds = final.get("training_duration_seconds")
    losses = [f"{fixed(final.get(f'final_{part}_loss'))} {name}" for part, name in LOSSES] if final else None
    epochs, ending = final.get("total_epochs"), results.get("ending")
    fields: list[tuple[str, object]] = [
        ("status", results.get("status")),
        ("epochs", f"{epochs} ({ending})" if epochs and ending else epochs),
        ("best epoch", final.get("best_epoch")),
        ("best validation loss", final.get("best_val_loss")),
        ("final loss", losses),
        ("time", duration(seconds) if isinstance(seconds, int | float) else None),
        *_files(results),
    ]
    return [(name, value) for name, value in fields if value is not None]


def _files(results: Mapping[str, Any]) -> list[tuple[str, object]]:
    """The folder once, then the names in it; paths are the server's, which may be another system's."""
    paths = {"model": results.get("model_path"), **(results.get("artifacts") or {})}
    files = [(name.replace("_", " "), path) for name, path in paths.items() if path]
    folders = {re.split(r"[\\/][^\\/]*$", path)[0] for _, path in files}
    if len(folders) != 1:
        return list(files)
    (folder,) = folders
    return [("folder", folder), *((name, path[len(folder) + 1 :]) for name, path in files)]
