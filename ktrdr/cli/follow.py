"""`ktrdr models follow`: becomes the program that follows a model, since the command line knows nothing of a home."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ktrdr.cli.ages import parse_every
from ktrdr.cli.client import connect
from ktrdr.cli.options import AsJson, ModelSymbols, OperationId, split_list
from ktrdr.launch import Follow


def follow(
    ctx: typer.Context,
    operation_id: OperationId,
    symbols: ModelSymbols = None,
    every: Annotated[
        str | None,
        typer.Option(
            "--every", metavar="15m", help="How often to ask for bars, besides at closes.", show_default="15m"
        ),
    ] = None,
    no_load: Annotated[
        bool, typer.Option("--no-load", metavar="", help="Load nothing: `ktrdr data watch` or an import does.")
    ] = False,
    command: Annotated[
        str | None,
        typer.Option("--exec", metavar="COMMAND", help="Run it for each signal, JSON on stdin.", show_default=False),
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="Post each signal to it as JSON.", show_default=False)
    ] = None,
    signals: Annotated[
        Path | None, typer.Option("--signals", metavar="DIR", help="Write a file for each signal.", show_default=False)
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", metavar="", help="Show predictions, outcomes and what they prove, instead.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", metavar="", help="Check the file, and predict everything again, instead.")
    ] = False,
    replay: Annotated[
        Path | None,
        typer.Option(
            "--replay", metavar="DIR", help="Replay stored bars into this folder: no evidence.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Record a model's predictions before their outcomes exist, until Ctrl-C.

    At each close the newest bar is loaded and predicted, and the prediction is
    added to a file in which each row holds the hash of the one before. After a
    pause, missed bars are predicted too and marked late: they are no evidence.
    --show tests after every outcome whether the evidence is enough by now.
    It works on the home of this machine; no server need run.

    Examples:
      ktrdr models follow op_training_20230630_k3x9ab
      ktrdr models follow last AAPL --exec 'python order.py' --every 1m
      ktrdr models follow last --show
    """
    from ktrdr.settings import read_settings

    read_settings()
    Follow(
        model=connect(ctx).whole_id(operation_id, has_model=True),
        symbols=",".join(split_list(symbols, "SYMBOL")) if symbols else None,
        every=parse_every(every) if every else None,
        no_load=no_load,
        exec=command,
        url=url,
        signals=signals,
        show=show,
        verify=verify,
        replay=replay,
        json=as_json,
    ).launch()
