"""`ktrdr operations`: list, show, watch, metrics, results, cancel, resume, rm, prune."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ktrdr.cli import completion
from ktrdr.cli.ages import parse_older_than
from ktrdr.cli.client import connect
from ktrdr.cli.confirm import confirm, is_terminal
from ktrdr.cli.models import tell_started
from ktrdr.cli.options import AsJson, Follow, OperationId
from ktrdr.cli.outcome import finish, print_results, print_results_json
from ktrdr.cli.output import (
    brief_time,
    few,
    fixed,
    note,
    percent,
    print_fields,
    print_json,
    print_line,
    print_table,
    say,
    shortened,
)
from ktrdr.cli.watch import watch as watch_live
from ktrdr.errors import InputError, NotFoundError
from ktrdr.formatting import counted, duration, size_text
from ktrdr.operations.status import OperationStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ktrdr.api.schemas.operations import Operation, Pruned
    from ktrdr.cli.client import Client

CANCEL_WAIT_S = 10.0
RESUMABLE = ("TRAINING", "SEARCH")
METRIC_COLUMNS = ("train_loss", "val_loss", "train_accuracy", "val_accuracy", "learning_rate", "duration")
TRIAL_COLUMNS = ("trial", "rung", "epochs", "score", "best_score", "total_epochs", "val_loss", "val_accuracy")


app = typer.Typer(no_args_is_help=True, help="Watch, read, cancel, resume and remove what runs or has run.")


@app.command("list")
def list_operations(
    ctx: typer.Context,
    status: Annotated[
        OperationStatus | None, typer.Option("--status", case_sensitive=False, help="Only those.", show_default=False)
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--type", metavar="TYPE", help="Such as TRAINING or DATA_LOAD.", show_default=False),
    ] = None,
    parent: Annotated[
        str | None,
        typer.Option(
            "--parent",
            metavar="ID",
            help="Only its folds or trials, and what goes on from it.",
            show_default=False,
            autocompletion=completion.operation_ids,
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List operations, newest first; trials of a search only with --parent or --type."""
    found = connect(ctx).operations(status=status, kind=kind.upper() if kind else None, parent=parent, limit=limit)
    if as_json:
        print_json(found)
        return
    for record in found.unreadable:
        say(f"{record.operation_id} is unreadable: {record.reason}")
    if not found.operations:
        say("No operations." if not found.unreadable else "No others.")
        return
    print_table(
        ("id", "status", ">", "created", ">time", "what"),
        [
            (
                operation.operation_id,
                _status(operation),
                percent(operation.progress.percentage),
                brief_time(operation.created_at),
                _time(operation),
                _what(operation),
            )
            for operation in found.operations
        ],
    )
    if found.total > len(found.operations):
        say(f"{len(found.operations)} of {found.total}; see more with --limit")


def _status(operation: Operation) -> str:
    is_stalled = operation.status is OperationStatus.RUNNING and getattr(operation.progress, "stalled", False)
    return f"{operation.status} (stalled)" if is_stalled else operation.status


def _time(operation: Operation) -> str | None:
    if operation.started_at is None:
        return None
    return duration(((operation.completed_at or operation.updated_at) - operation.started_at).total_seconds())


def _places(metadata: Mapping[str, Any]) -> list[str]:
    """Which part of a whole it is, and how many parts it has itself."""
    trial, fold, folds, trials = (metadata.get(name) for name in ("trial", "fold", "folds", "trials"))
    own = [f"trial {trial}" if trial is not None else "", f"fold {fold}" if fold else ""]
    return [*own, f"{folds} folds" if folds else "", f"{trials} trials" if trials else ""]


def _what(operation: Operation) -> str:
    metadata = operation.metadata
    symbols = metadata.get("symbols") or [metadata.get("symbol")]
    frames = metadata.get("timeframes") or [metadata.get("timeframe")]
    name = shortened(str(metadata.get("strategy") or ""))
    parts = [name, few([str(symbol) for symbol in symbols if symbol]), *frames, *_places(metadata)]
    return " ".join(str(part) for part in parts if part)


@app.command()
def show(ctx: typer.Context, operation_id: OperationId, as_json: AsJson = False) -> None:
    """Show one operation: status, progress, what it was asked, its tags and its note."""
    client = connect(ctx)
    operation = client.operation(operation_id)
    if as_json:
        print_json(operation)
        return
    progress = operation.progress
    fields: list[tuple[str, object]] = [
        ("id", operation.operation_id),
        ("type", operation.operation_type),
        ("status", _status(operation)),
        ("progress", f"{progress.percentage:.1f} %, {progress.message}"),
        ("created", operation.created_at),
        ("started", operation.started_at),
        ("completed", operation.completed_at),
        ("time", _time(operation)),
    ]
    if operation.parent_id:
        fields.append(("resumed from", operation.parent_id))
    fields += [(name.replace("_", " "), value) for name, value in operation.metadata.items()]
    print_fields([*fields, *_annotations(client, operation)])
    if operation.error:
        print_line()
        print_fields([("error", operation.error.detail), ("hint", operation.error.hint)])


def _annotations(client: Client, operation: Operation) -> list[tuple[str, object]]:
    """What people have written to a training, which is nothing where it is no run."""
    if operation.operation_type not in ("TRAINING", "TRIAL"):
        return []
    with suppress(NotFoundError):
        run = client.run(operation.operation_id)
        return [(name, value) for name, value in (("tags", run.tags), ("note", run.note)) if value]
    return []


@app.command()
def watch(ctx: typer.Context, operation_id: OperationId, as_json: AsJson = False) -> None:
    """Watch an operation live to its end, then print its results.

    Ctrl-C detaches and leaves the operation running (exit code 130);
    the same command comes back to it. Otherwise the exit code is the
    operation's: 0 completed, 1 failed or cancelled.
    """
    client = connect(ctx)
    finish(client, watch_live(client, client.whole_id(operation_id)), as_json)


@app.command()
def metrics(
    ctx: typer.Context,
    operation_id: OperationId,
    cursor: Annotated[int, typer.Option("--cursor", min=0, help="Only what came after this many records.")] = 0,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most so many records.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the metrics of each epoch, or of each trial; the new cursor asks for what comes after them."""
    page = connect(ctx).metrics(operation_id, cursor, limit)
    if as_json:
        print_json(page)
        return
    if page.metrics and "trial" in page.metrics[0]:
        _print_trials(page.metrics)
    else:
        _print_epochs(page.metrics)
    say(f"new cursor: {page.new_cursor}")


def _print_trials(metrics: Sequence[Mapping[str, Any]]) -> None:
    columns = [name for name in TRIAL_COLUMNS if name in metrics[0]]
    print_table(
        [f">{name.replace('_', ' ')}" for name in columns],
        [[_measure_of_trial(row[name]) for name in columns] for row in metrics],
    )


def _measure_of_trial(value: float | None) -> object:
    return value if isinstance(value, int) else fixed(value)


def _print_epochs(metrics: Sequence[Mapping[str, Any]]) -> None:
    columns = [name for name in METRIC_COLUMNS if any(name in row for row in metrics)]
    print_table(
        (">epoch", *(f">{name.replace('_', ' ')}" for name in columns)),
        [(row.get("epoch"), *(_measure(name, row.get(name)) for name in columns)) for row in metrics],
    )


def _measure(name: str, value: object) -> object:
    return value if name == "learning_rate" else fixed(value)


@app.command()
def results(ctx: typer.Context, operation_id: OperationId, as_json: AsJson = False) -> None:
    """Print the results of an operation that has ended."""
    client = connect(ctx)
    whole_id = client.whole_id(operation_id)
    found = client.results(whole_id)
    if as_json:
        print_results_json(whole_id, found)
    else:
        print_results(found)


@app.command()
def cancel(ctx: typer.Context, operation_id: OperationId, as_json: AsJson = False) -> None:
    """Ask an operation to stop; a training keeps a checkpoint to resume from."""
    client = connect(ctx)
    operation = client.cancel(operation_id)
    operation_id = operation.operation_id
    if not operation.status.is_terminal:
        operation = client.operation(operation_id, wait_s=CANCEL_WAIT_S)
    if as_json:
        print_json(operation)
    if operation.status is OperationStatus.CANCELLED:
        say(f"Cancelled {operation_id} at {percent(operation.progress.percentage)}")
        if operation.operation_type in RESUMABLE and operation.progress.percentage > 0:
            say(f"Go on with it later: ktrdr operations resume {operation_id}")
    elif operation.status.is_terminal:
        say(f"{operation_id} had ended before: {operation.status}")
    else:
        say(f"{operation_id} was asked to stop and will at its next chance: ktrdr operations show {operation_id}")


@app.command()
def resume(ctx: typer.Context, operation_id: OperationId, follow: Follow = False, as_json: AsJson = False) -> None:
    """Go on with a failed or cancelled training from its last checkpoint, or load of bars, as a new operation."""
    client = connect(ctx)
    tell_started(client, client.resume(operation_id), follow=follow, as_json=as_json)


Yes = Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Do not ask.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", metavar="", help="Remove nothing; say what would go, and how large.")
]
EndedStatus = Literal["COMPLETED", "FAILED", "CANCELLED"]


@app.command("rm")
def remove(
    ctx: typer.Context,
    operation_ids: Annotated[
        list[str],
        typer.Argument(metavar="ID...", help="Operations that have ended.", autocompletion=completion.operation_ids),
    ],
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Remove operations that have ended, with their metrics, files and models; bars stay.

    A training in folds goes with its folds. One that was resumed goes only
    together with what it was resumed as.

    Example:
      ktrdr operations rm op_training_20261124_yeo1ea --dry-run
    """
    client = connect(ctx)
    if not dry_run and not yes:
        confirm(f"Remove {_described(client.remove_operations(operation_ids, dry_run=True))}?")
    _report(client.remove_operations(operation_ids, dry_run=dry_run), as_json)


@app.command()
def prune(
    ctx: typer.Context,
    older_than: Annotated[
        float | None,
        typer.Option(
            "--older-than",
            metavar="30d",
            parser=parse_older_than,
            help="Only what ended longer ago: 12h, 30d, 8w, 6mo, 1y.",
            show_default=False,
        ),
    ] = None,
    status: Annotated[
        EndedStatus | None, typer.Option("--status", case_sensitive=False, help="Only those.", show_default=False)
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--type", metavar="TYPE", help="Only these, such as DATA_LOAD.", show_default=False),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option("--strategy", "--name", metavar="NAME", help="Only those of this strategy.", show_default=False),
    ] = None,
    keep_last: Annotated[
        int, typer.Option("--keep-last", metavar="N", min=0, max=1_000_000, help="Keep the N newest of what matches.")
    ] = 0,
    keep_best: Annotated[
        int,
        typer.Option(
            "--keep-best",
            metavar="N",
            min=0,
            max=1_000_000,
            help="Keep the N models with the least validation loss of each strategy, symbols and timeframe.",
        ),
    ] = 0,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Remove operations that have ended, with their metrics, files and models; bars stay.

    At least one option must say which. What runs stays, and so does what a
    kept one was resumed from, or was resumed as. On a terminal it asks first.

    Example:
      ktrdr operations prune --older-than 30d --keep-best 3 --dry-run
      ktrdr operations prune --status failed --keep-last 10
    """
    from ktrdr.api.schemas.operations import Prune

    if older_than is None and not (status or kind or strategy or keep_last):
        raise InputError(
            "nothing says what is to go",
            hint="name --older-than, --status, --type, --strategy or --keep-last; see ktrdr operations prune --help",
        )
    client = connect(ctx)
    request = Prune(
        older_than_days=older_than,
        status=status,
        type=kind.upper() if kind else None,
        strategy=strategy,
        keep_last=keep_last,
        keep_best=keep_best,
        dry_run=dry_run,
    )
    if not dry_run and not yes and is_terminal():
        confirm(f"Remove {_described(client.prune(request.model_copy(update={'dry_run': True})))}?")
    _report(client.prune(request), as_json)


def _described(pruned: Pruned) -> str:
    models = sum(gone.has_model for gone in pruned.operations)
    with_models = f" with {counted(models, 'model')}" if models else ""
    return f"{counted(len(pruned.operations), 'operation')}{with_models} ({size_text(pruned.size_bytes)})"


def _report(pruned: Pruned, as_json: bool) -> None:
    if as_json:
        print_json(pruned)
    elif pruned.operations:
        print_table(
            ("id", "status", "ended", ">size"),
            [
                (gone.operation_id, gone.status, brief_time(gone.completed_at), size_text(gone.size_bytes))
                for gone in pruned.operations
            ],
        )
    say(f"{'Would remove' if pruned.dry_run else 'Removed'} {_described(pruned)}; {pruned.kept:,} stay")
    for folder in pruned.leftovers:
        note(f"{folder} could not be removed; see ktrdr.log")
