"""How a terminal operation is told: its results on stdout, its error on stderr, its exit code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from ktrdr.cli.output import duration, fixed, print_fields, print_json, print_table, say, show_error
from ktrdr.errors import KtrdrError

if TYPE_CHECKING:
    from ktrdr.api.schemas import Operation
    from ktrdr.cli.client import Client

LOSSES = (("train", "train"), ("val", "validation"))


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
    if kind == "DATA_LOAD":
        _print_load(results)
    else:
        print_training(results)


def _print_load(results: Mapping[str, Any]) -> None:
    if results.get("status") != "success":
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
        ]
    )
    if results.get("note"):
        say(f"note: {results['note']}")


def _day(instant: object) -> str:
    return str(instant)[:16].replace("T", " ").removesuffix(" 00:00")


def print_training(results: Mapping[str, Any]) -> None:
    """The model beside its baselines, then how it came about and where it lies."""
    evaluation = results.get("evaluation") or {}
    if evaluation:
        samples = evaluation.get("validation_samples")
        print_table(
            ("", ">accuracy", ">balanced accuracy"),
            [(name, fixed(row.get("accuracy")), fixed(row.get("balanced_accuracy"))) for name, row in scores(results)],
            title=f"On {samples:,} validation samples" if isinstance(samples, int) else "",
        )
        typer.echo()
    print_fields(_training_fields(results))
    for sentence in verdict(results):
        say(f"note: {sentence}")


def scores(results: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    evaluation = results.get("evaluation") or {}
    return [("model", evaluation), *sorted((evaluation.get("baselines") or {}).items())]


def verdict(results: Mapping[str, Any]) -> list[str]:
    """A sentence for each baseline that the model does not beat."""
    (_, model), *baselines = scores(results)
    mine = model.get("accuracy")
    return [
        f"the model does not beat the {name} baseline (accuracy {fixed(mine)} against {fixed(row.get('accuracy'))})"
        for name, row in baselines
        if isinstance(mine, int | float) and mine <= row.get("accuracy", 0)
    ]


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
