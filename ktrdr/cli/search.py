"""`ktrdr search`: start, show, watch, best, resume, cancel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ktrdr.cli import operations
from ktrdr.cli.client import connect
from ktrdr.cli.models import tell_started
from ktrdr.cli.options import (
    AsJson,
    EndDate,
    Follow,
    OperationId,
    Settings,
    StartDate,
    Symbols,
    Timeframes,
    check_range,
    parse_settings,
    split_list,
)
from ktrdr.cli.outcome import print_results_json
from ktrdr.cli.output import print_fields, print_json, print_line, say
from ktrdr.cli.strategies import read_strategy
from ktrdr.cli.trials import SHOWN, print_search, print_trials
from ktrdr.errors import InputError, NotFoundError
from ktrdr.payloads.references import LAST

if TYPE_CHECKING:
    from ktrdr.api.schemas.operations import Operation
    from ktrdr.cli.client import Client
    from ktrdr.payloads.search import SearchResults, UnfinishedSearchResults

SEARCH = "SEARCH"
EVERY = 10_000

app = typer.Typer(no_args_is_help=True, help="Try many variants of a strategy, and see how much of the best is luck.")


@app.command()
def start(
    ctx: typer.Context,
    strategy: Annotated[
        Path, typer.Argument(metavar="FILE", help="The strategy with its ranges, a YAML file.", show_default=False)
    ],
    symbols: Symbols,
    timeframes: Timeframes = None,
    start_date: StartDate = None,
    end_date: EndDate = None,
    settings: Settings = None,
    follow: Follow = False,
    as_json: AsJson = False,
) -> None:
    """Start a search over a strategy's ranges and print its operation id.

    A range stands in place of a value, as hidden_size: {int: [16, 128]}; the
    section search says how many trials there are and what ranks them. Every
    trial is a training of its own; the best is trained again in full.

    Examples:
      ktrdr search start config/strategies/search_small.yaml \\
                         --symbols AAPL --timeframes 1d --follow
      ktrdr search start my.yaml --symbols AAPL --timeframes 1d \\
                         --set search.trials=100
    """
    check_range(start_date, end_date)
    from ktrdr.api.schemas.training import SearchStart

    client = connect(ctx)
    request = SearchStart(
        strategy=read_strategy(strategy),
        strategy_name=strategy.stem[:128],
        symbols=split_list(symbols, "--symbols"),
        timeframes=split_list(timeframes, "--timeframes") if timeframes else [],
        set=parse_settings(settings),
        start_date=start_date,
        end_date=end_date,
    )
    tell_started(client, client.start_search(request), follow=follow, as_json=as_json)


@app.command()
def show(
    ctx: typer.Context,
    operation_id: OperationId,
    every: Annotated[bool, typer.Option("--all", metavar="", help=f"All trials, not the best {SHOWN}.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the trials of a search, best first, its winner, and the verdict; while it runs, the scores so far."""
    from ktrdr.payloads.search import SearchResults, UnfinishedSearchResults

    client = connect(ctx)
    search = _search(client, operation_id)
    if not search.status.is_terminal:
        _show_running(client, search, every=every, as_json=as_json)
        return
    results = client.results(search.operation_id)
    if as_json:
        print_results_json(search.operation_id, results)
    elif isinstance(results, SearchResults | UnfinishedSearchResults):
        print_search(results, EVERY if every else SHOWN)


def _show_running(client: Client, search: Operation, *, every: bool, as_json: bool) -> None:
    page = client.metrics(search.operation_id)
    if as_json:
        print_json(page)
        return
    print_trials(_trials_so_far(client, search, page.metrics), EVERY if every else SHOWN)
    print_line()
    progress = search.progress
    print_fields([("status", search.status), ("progress", f"{progress.percentage:.1f} %, {progress.message}")])


def _trials_so_far(client: Client, search: Operation, scores: Sequence[Mapping[str, Any]]) -> UnfinishedSearchResults:
    """What is known of the trials that have ended: their scores, and what was chosen for them."""
    from ktrdr.payloads.search import Objective, TrialResult, UnfinishedSearchResults

    # The last score of a trial is that of its highest rung.
    latest = {row["trial"]: row for row in scores}
    newest = {each.metadata.get("trial"): each for each in reversed(client.parts(search.operation_id))}
    trials = [
        TrialResult(
            trial=number,
            operation_id=part.operation_id,
            status="failed" if row.get("score") is None else "completed",
            parameters=part.metadata.get("parameters", {}),
            score=row.get("score"),
            rung=row["rung"],
            epochs=row["epochs"],
            reason=part.error.detail if part.error else "",
        )
        for number, row in latest.items()
        if (part := newest.get(number))
    ]
    return UnfinishedSearchResults(objective=Objective(search.metadata["objective"]), trials=tuple(trials))


@app.command()
def watch(ctx: typer.Context, operation_id: OperationId, as_json: AsJson = False) -> None:
    """Watch a search live to its end, then print its results.

    Ctrl-C detaches and leaves it running (exit code 130).
    """
    operations.watch(ctx, _search(connect(ctx), operation_id).operation_id, as_json)


@app.command()
def best(
    ctx: typer.Context,
    operation_id: OperationId,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Save it here too.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the winner's strategy, without ranges, and the id of its model.

    Example:
      ktrdr search best op_search_20230630_k3x9ab -o best.yaml
    """
    client = connect(ctx)
    search = _search(client, operation_id)
    winner = _finished(client, search).winner
    strategy = client.strategy(winner.operation_id)
    if as_json:
        print_json({**winner.model_dump(mode="json"), "strategy": strategy})
    else:
        say(f"Trial {winner.trial} of {search.operation_id}, {winner.score:.6g}. Model: {winner.operation_id}")
        for line in strategy.splitlines():
            print_line(line)
    if output:
        _save(output, strategy)


def _save(output: Path, strategy: str) -> None:
    try:
        output.write_text(strategy, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror}", hint="choose another place") from None
    say(f"Saved {output}")


@app.command()
def resume(ctx: typer.Context, operation_id: OperationId, follow: Follow = False, as_json: AsJson = False) -> None:
    """Go on with a failed or cancelled search, as a new operation; trials that have ended count as they are."""
    operations.resume(ctx, _search(connect(ctx), operation_id).operation_id, follow, as_json)


@app.command()
def cancel(ctx: typer.Context, operation_id: OperationId, as_json: AsJson = False) -> None:
    """Stop a search and its trials; they can go on later with: ktrdr search resume ID."""
    operations.cancel(ctx, _search(connect(ctx), operation_id).operation_id, as_json)


def _search(client: Client, operation_id: str) -> Operation:
    """The search, `last` for the newest one. Raises NotFoundError for an operation of another type."""
    newest = client.operations(kind=SEARCH, limit=1).operations if operation_id == LAST else []
    operation = newest[0] if newest else client.operation(operation_id)
    if operation.operation_type != SEARCH:
        raise NotFoundError(
            f"operation {operation_id} is no search but a {operation.operation_type}",
            hint="list searches with: ktrdr operations list --type search",
        )
    return operation


def _finished(client: Client, search: Operation) -> SearchResults:
    """Raises InputError for a search without a winner."""
    from ktrdr.payloads.search import SearchResults

    results = client.results(search.operation_id)
    if not isinstance(results, SearchResults):
        raise InputError(
            f"search {search.operation_id} has no winner; it is {search.status}",
            hint=f"go on with it: ktrdr search resume {search.operation_id}",
        )
    return results
