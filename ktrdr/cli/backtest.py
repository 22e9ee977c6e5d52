"""`ktrdr models backtest`: predicts and trades stored bars with a model."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from ktrdr.cli.client import Client, connect
from ktrdr.cli.downloads import write_download
from ktrdr.cli.options import AsJson, ModelSymbols, OperationId, check_range, parse_date, parse_settings, split_list
from ktrdr.cli.outcome import finish
from ktrdr.cli.output import say
from ktrdr.cli.watch import watch
from ktrdr.operations.status import OperationStatus


def backtest(
    ctx: typer.Context,
    operation_id: OperationId,
    symbols: ModelSymbols = None,
    start: Annotated[
        date | None,
        typer.Option(
            "--from",
            metavar="YYYY-MM-DD",
            parser=parse_date,
            help="First day, inclusive (UTC); by default that after the training.",
            show_default=False,
        ),
    ] = None,
    end: Annotated[
        date | None,
        typer.Option(
            "--to", metavar="YYYY-MM-DD", parser=parse_date, help="Last day, inclusive (UTC).", show_default=False
        ),
    ] = None,
    allow_overlap: Annotated[
        bool,
        typer.Option("--allow-overlap", metavar="", help="Take bars that the model was trained on, and say so."),
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Another value for a key of positions or costs, as positions.rule=threshold. Repeat it for several.",
            show_default=False,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Save the HTML report here too.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Predict and trade stored bars with a model, and print what came of it.

    The bars may be later ones, or those of other symbols. Bars that the model
    was trained on are refused, and those of a sealed test part left out. Of a
    training in folds, the last model that has not seen a bar predicts it.
    Every backtest is a look, which the ledger counts; with other positions
    or costs it is another try.

    Examples:
      ktrdr models backtest op_training_20230630_k3x9ab --from 2024-01-01
      ktrdr models backtest last MSFT --report msft.html
      ktrdr models backtest last --set positions.direction=long
    """
    check_range(start, end)
    from ktrdr.api.schemas.models import BacktestStart

    client = connect(ctx)
    request = BacktestStart(
        symbols=split_list(symbols, "SYMBOL") if symbols else [],
        start_date=start,
        end_date=end,
        allow_overlap=allow_overlap,
        set=parse_settings(settings),
    )
    started = client.backtest(client.whole_id(operation_id, has_model=True), request)
    ended = watch(client, started.operation_id)
    if report and ended.status == OperationStatus.COMPLETED:
        _save(client, ended.operation_id, report)
    finish(client, ended, as_json)


def _save(client: Client, operation_id: str, path: Path) -> None:
    write_download(path, [client.artifact(operation_id, "report")])
    say(f"Saved {path}")
