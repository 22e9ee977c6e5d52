"""`ktrdr models`: train, list, show, compare."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ktrdr.cli.client import connect
from ktrdr.cli.options import AsJson, EndDate, Follow, OperationId, StartDate, check_range, split_list
from ktrdr.cli.outcome import finish, print_training, scores
from ktrdr.cli.output import fixed, print_fields, print_json, print_table, say
from ktrdr.cli.strategies import read_strategy
from ktrdr.cli.watch import watch
from ktrdr.errors import NotFoundError

if TYPE_CHECKING:
    from ktrdr.api.schemas import Model, OperationStarted
    from ktrdr.cli.client import Client

CARD_INPUTS = ("strategy", "data_sha256", "libraries")

app = typer.Typer(no_args_is_help=True, help="Train models and look at what was trained.")


@app.command()
def train(
    ctx: typer.Context,
    strategy: Annotated[Path, typer.Option("--strategy", metavar="FILE", help="The strategy, a YAML file.")],
    symbols: Annotated[list[str], typer.Option("--symbols", metavar="A,B", help="Commas or repetition for several.")],
    timeframes: Annotated[list[str], typer.Option("--timeframes", metavar="1d", help="The bars' timeframe.")],
    start_date: StartDate = None,
    end_date: EndDate = None,
    follow: Follow = False,
    as_json: AsJson = False,
) -> None:
    """Start a training and print its operation id.

    The strategy's text is sent, so the server need not have the file.
    Without dates, all stored bars are used. With --follow, the results
    come at the end and exit code 0 means that the training completed.

    Examples:
      ktrdr models train --strategy config/strategies/test_e2e.yaml \\
                         --symbols AAPL --timeframes 1d
      ktrdr models train --strategy my.yaml --symbols AAPL,MSFT \\
                         --timeframes 1d --start-date 2020-01-01 --follow
    """
    check_range(start_date, end_date)
    names, frames = split_list(symbols, "--symbols"), split_list(timeframes, "--timeframes")
    content = read_strategy(strategy)
    from ktrdr.api.schemas import TrainingStart

    client = connect(ctx)
    started = client.start_training(
        TrainingStart(
            strategy=content,
            strategy_name=strategy.stem[:128],
            symbols=names,
            timeframes=frames,
            start_date=start_date,
            end_date=end_date,
        )
    )
    tell_started(client, started, follow=follow, as_json=as_json)


def tell_started(client: Client, started: OperationStarted, *, follow: bool, as_json: bool) -> None:
    say(f"{started.message}. Operation ID: {started.operation_id}")
    if follow:
        finish(client, watch(client, started.operation_id), as_json)
    else:
        print_json(started)


@app.command("list")
def list_models(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the trained models, newest first, each beside its baselines."""
    found = connect(ctx).models(limit)
    if as_json:
        print_json(found)
        return
    if not found.models:
        say("No models yet. Train one with: ktrdr models train --help")
        return
    print_table(
        ("id", "what", ">accuracy", ">majority", ">persistence"),
        [_row(model) for model in found.models],
    )
    if len(found.models) < found.total:
        say(f"{len(found.models)} of {found.total} models; see more with --limit")


def _row(model: Model) -> tuple[object, ...]:
    accuracy = {name: fixed(row.get("accuracy")) for name, row in scores(model.results)}
    return (
        model.operation_id,
        " ".join([model.strategy, model.model_type, ",".join(model.symbols), *model.timeframes]),
        *(accuracy.get(name) for name in ("model", "majority", "persistence")),
    )


@app.command()
def show(ctx: typer.Context, operation_id: OperationId, as_json: AsJson = False) -> None:
    """Show one model: what was trained, its results beside the baselines, and where its files are."""
    model = connect(ctx).model(operation_id)
    if as_json:
        print_json(model)
        return
    print_fields([("id", model.operation_id), ("created", model.created_at), *_inputs(model).items()])
    typer.echo()
    print_training(model.results)


@app.command()
def compare(
    ctx: typer.Context,
    first: Annotated[str, typer.Argument(metavar="A", help="Id of one model.", show_default=False)],
    second: Annotated[str, typer.Argument(metavar="B", help="Id of the other.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Set two models side by side: the inputs that differ, then the results.

    Example:
      ktrdr models compare op_training_20230630_k3x9ab op_training_20230701_p2c8de
    """
    client = connect(ctx)
    left, right = client.model(first), client.model(second)
    inputs = differing(_all_inputs(client, left), _all_inputs(client, right))
    results = beside(_results(left), _results(right))
    if as_json:
        print_json({"models": [first, second], "inputs": inputs, "results": results})
        return
    if inputs:
        print_table(("input", first, second), [(name, *map(_short, pair)) for name, pair in inputs.items()])
    else:
        say("The inputs are the same.")
    typer.echo()
    print_table(("result", f">{first}", f">{second}"), [(name, *map(_figure, pair)) for name, pair in results.items()])


def _short(value: object) -> object:
    return f"{value[:12]}…" if isinstance(value, str) and len(value) > 40 else value


def _figure(value: object) -> object:
    return fixed(value) if isinstance(value, float) else value


def differing(left: Mapping[str, object], right: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    return {name: pair for name, pair in beside(left, right).items() if pair[0] != pair[1]}


def beside(left: Mapping[str, object], right: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    return {name: (left.get(name), right.get(name)) for name in dict.fromkeys([*left, *right])}


def _inputs(model: Model) -> dict[str, object]:
    return {
        "strategy": model.strategy,
        "model": model.model_type,
        "symbols": model.symbols,
        "timeframes": model.timeframes,
    }


def _all_inputs(client: Client, model: Model) -> dict[str, object]:
    """What the registry knows and, where the model's card is still there, every setting of the strategy."""
    metadata = client.operation(model.operation_id).metadata
    dates = {name: metadata.get(name) for name in ("start_date", "end_date")}
    return {**_inputs(model), **dates, **_card(client, model.operation_id)}


def _card(client: Client, operation_id: str) -> dict[str, object]:
    try:
        card = json.loads(client.artifact(operation_id, "model_card"))
    except (NotFoundError, ValueError):
        return {}
    return {name: value for part in CARD_INPUTS for name, value in flat(card.get(part), part)}


def flat(value: object, name: str) -> Iterator[tuple[str, object]]:
    """`{"model": {"layers": 2}}` under "strategy" → `strategy.model.layers` 2."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{name}.{key}")
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            yield from flat(item, f"{name}[{index}]")
    elif value is not None:
        yield name, value


def _results(model: Model) -> dict[str, object]:
    final = model.results.get("final_metrics") or {}
    measured = {
        f"{name} {measure}".replace("_", " "): row.get(measure)
        for name, row in scores(model.results)
        for measure in ("accuracy", "balanced_accuracy")
    }
    return {**measured, **{name.replace("_", " "): value for name, value in final.items()}}
