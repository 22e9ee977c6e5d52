"""`ktrdr models`: train, list, show, compare, predict, backtest, explain, follow, export, plot, unseal, and bundles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from ktrdr.cli.analysis import print_reproduction
from ktrdr.cli.backtest import backtest
from ktrdr.cli.bundles import pack, unpack, verify
from ktrdr.cli.client import connect
from ktrdr.cli.compare import compare
from ktrdr.cli.explain import explain
from ktrdr.cli.follow import follow
from ktrdr.cli.options import (
    AsJson,
    EndDate,
    Follow,
    OperationId,
    Settings,
    StartDate,
    Symbol,
    Symbols,
    Timeframe,
    Timeframes,
    check_range,
    parse_settings,
    split_list,
)
from ktrdr.cli.outcome import finish, print_results, print_results_json, scores_by_name
from ktrdr.cli.output import few, note, print_fields, print_json, print_line, print_table, say, shortened
from ktrdr.cli.strategies import read_strategy
from ktrdr.cli.unseal import unseal
from ktrdr.cli.watch import watch
from ktrdr.errors import InputError, KtrdrError, TrainingDataError
from ktrdr.formatting import score, size_text
from ktrdr.operations.status import OperationStatus

if TYPE_CHECKING:
    from ktrdr.api.schemas.models import Model
    from ktrdr.api.schemas.operations import Operation, OperationStarted
    from ktrdr.api.schemas.training import TrainingStart
    from ktrdr.cli.client import Client

REFUSED = ("training_data", "leak_found")

app = typer.Typer(no_args_is_help=True, help="Train models and look at what was trained.")
app.command()(backtest)
app.command()(compare)
app.command()(explain)
app.command()(follow)
app.command()(pack)
app.command()(unpack)
app.command()(unseal)
app.command()(verify)


@app.command()
def train(
    ctx: typer.Context,
    strategy: Annotated[Path, typer.Option("--strategy", metavar="FILE", help="The strategy, a YAML file.")],
    symbols: Symbols,
    timeframes: Timeframes = None,
    start_date: StartDate = None,
    end_date: EndDate = None,
    settings: Settings = None,
    follow: Follow = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", metavar="", help="Train nothing: tell what the training would meet.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start a training and print its operation id.

    The strategy's text is sent, so the server need not have the file; --set
    replaces values in it first. Without dates, all stored bars are used. With
    --follow, the results come at the end and exit code 0 means that the
    training completed.
    With --dry-run, samples, balance, memory and time are told instead, and
    exit code 2 means that the training would be hopeless.

    Examples:
      ktrdr models train --strategy config/strategies/test_e2e.yaml \\
                         --symbols AAPL --timeframes 1d
      ktrdr models train --strategy my.yaml --symbols AAPL,MSFT \\
                         --timeframes 1d --start-date 2020-01-01 --follow
      ktrdr models train --strategy my.yaml --symbols AAPL \\
                         --set training.epochs=5 --set indicators[0].period=10
    """
    check_range(start_date, end_date)
    names = split_list(symbols, "--symbols")
    frames = split_list(timeframes, "--timeframes") if timeframes else []
    content = read_strategy(strategy)
    from ktrdr.api.schemas.training import TrainingStart

    client = connect(ctx)
    request = TrainingStart(
        strategy=content,
        strategy_name=strategy.stem[:128],
        symbols=names,
        timeframes=frames,
        set=parse_settings(settings),
        start_date=start_date,
        end_date=end_date,
    )
    if dry_run:
        _look_ahead(client, request, as_json=as_json)
    else:
        tell_started(client, client.start_training(request), follow=follow, as_json=as_json)


def _look_ahead(client: Client, request: TrainingStart, *, as_json: bool) -> None:
    from ktrdr.payloads.preflight import PreflightResults

    operation = watch(client, client.preflight(request).operation_id)
    _refuse(operation)
    results = finish(client, operation, as_json)
    if isinstance(results, PreflightResults) and results.errors:
        raise TrainingDataError(
            "; ".join(results.errors),
            hint="load a longer range, or choose other labels or another split of the samples",
        )


def _refuse(operation: Operation) -> None:
    """Bars that cannot carry a training are bad input, whenever that shows."""
    if operation.error and operation.error.code in REFUSED:
        raise TrainingDataError(operation.error.detail, hint=operation.error.hint)


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
    from ktrdr.payloads.training import FoldsResults

    results, accuracy = model.results, _accuracies(model)
    what = [shortened(model.strategy), model.model_type, few(model.symbols), *model.timeframes]
    if isinstance(results, FoldsResults):
        accuracy.setdefault("model", results.spread["accuracy"].mean)
        what.append(f"{len(results.folds)} folds")
    elif model.fold:
        what.append(f"fold {model.fold}")
    return (
        model.operation_id,
        " ".join(what),
        *(score(accuracy.get(name)) for name in ("model", "majority", "persistence")),
    )


def _accuracies(model: Model) -> dict[str, float]:
    """The model's own, and those of its baselines."""
    from ktrdr.payloads.training import EvaluatedResults

    if isinstance(model.results, EvaluatedResults) and model.results.evaluation:
        return {name: scores.accuracy for name, scores in scores_by_name(model.results.evaluation)}
    return {}


@app.command()
def show(ctx: typer.Context, operation_id: OperationId, as_json: AsJson = False) -> None:
    """Show one model: what was trained, its results beside the baselines, and where its files are."""
    model = connect(ctx).model(operation_id)
    if as_json:
        print_json(model)
        return
    changed = "unknown" if model.bars_changed is None else model.bars_changed
    about = [("id", model.operation_id), ("created", model.created_at), *_about(model)]
    print_fields([*about, ("bars changed", changed)])
    print_line()
    print_results(model.results)
    if model.bars_changed:
        note("the stored bars are no longer those that it was trained on")


def _about(model: Model) -> list[tuple[str, object]]:
    about = [
        ("strategy", model.strategy),
        ("model", model.model_type),
        ("symbols", model.symbols),
        ("timeframes", model.timeframes),
        ("fold", model.fold),
    ]
    return [(name, value) for name, value in about if value is not None]


@app.command()
def predict(
    ctx: typer.Context,
    operation_id: OperationId,
    symbol: Symbol,
    timeframe: Timeframe,
    last: Annotated[int, typer.Option("--last", min=1, max=10_000, help="How many of the newest closed bars.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Say what a model makes of the newest closed bars of a symbol.

    The symbol need not be one that the model was trained on; its bars must be
    stored. On bars of the training it says the same, to the bit, as it did then.

    Example:
      ktrdr models predict op_training_20230630_k3x9ab AAPL 1d --last 5
    """
    from ktrdr.api.schemas.models import Prediction

    client = connect(ctx)
    started = client.predict(operation_id, Prediction(symbol=symbol, timeframe=timeframe, last=last))
    finish(client, watch(client, started.operation_id), as_json)


@app.command()
def export(
    ctx: typer.Context,
    operation_id: OperationId,
    form: Annotated[str, typer.Option("--format", metavar="onnx", help="onnx is the one there is.")] = "onnx",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Save it here too.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a model a file that other programs run, compared with the model before it is given out.

    Its input are unscaled features: the scaler is in the file.

    Example:
      ktrdr models export op_training_20230630_k3x9ab --format onnx -o model.onnx
    """
    if form != "onnx":
        raise InputError(f"there is no export to {form!r}", hint="write --format onnx")
    from ktrdr.api.schemas.models import Export

    client = connect(ctx)
    operation = watch(client, client.export(operation_id, Export(format="onnx")).operation_id)
    finish(client, operation, as_json)
    if output is None:
        return
    _save(output, client.artifact(operation.operation_id, "onnx"))


def _save(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}", hint="choose another place") from None
    say(f"Saved {path} ({size_text(len(content))})")


@app.command()
def plot(
    ctx: typer.Context,
    operation_id: OperationId,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Save them there.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Save the plots of a training: loss and accuracy by epoch, equity and drawdown.

    Those of a search's trials, which are saved without plots, are drawn now.

    Example:
      ktrdr models plot op_trial_20230630_k3x9ab -o plots
    """
    from ktrdr.payloads.plots import PlotName

    client = connect(ctx)
    operation_id = client.operation(operation_id).operation_id
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output} is no folder: {error.strerror}", hint="choose another place") from None
    paths = {name: output / f"{operation_id}_{name.removesuffix('_plot')}.png" for name in get_args(PlotName)}
    for name, path in paths.items():
        _save(path, client.artifact(operation_id, name))
    if as_json:
        print_json({name: str(path) for name, path in paths.items()})


@app.command()
def reproduce(ctx: typer.Context, operation_id: OperationId, as_json: AsJson = False) -> None:
    """Train a model again from the same inputs, and say whether it is the same, to the bit.

    The exit code is 1 where it is not; then every difference is a line.

    Example:
      ktrdr models reproduce op_training_20230630_k3x9ab
    """
    from ktrdr.payloads.training import TrainingResults

    client = connect(ctx)
    started = client.reproduce(operation_id)
    say(f"{started.message}. Operation ID: {started.operation_id}")
    operation = watch(client, started.operation_id)
    if operation.status is not OperationStatus.COMPLETED:
        finish(client, operation, as_json)
    results = client.results(started.operation_id)
    if not (isinstance(results, TrainingResults) and results.reproduction):
        raise KtrdrError(f"{started.operation_id} does not say how it compares with {operation_id}")
    if as_json:
        print_results_json(started.operation_id, results)
    else:
        print_reproduction(results.reproduction)
    if not results.reproduction.identical:
        raise typer.Exit(1)
