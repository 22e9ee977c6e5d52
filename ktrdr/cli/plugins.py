"""`ktrdr plugins`: list, check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ktrdr.cli.client import connect
from ktrdr.cli.options import AsJson
from ktrdr.cli.output import print_json, print_table, say, warn
from ktrdr.launch import PluginCheck

if TYPE_CHECKING:
    from ktrdr.payloads.plugins import PluginParameter

app = typer.Typer(no_args_is_help=True, help="Features, labels and networks of your own, in Python files.")

_SHOWN_OF_HASH = 12


@app.command("list")
def list_plugins(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List what the server's files declare. It names them in its setting KTRDR_PLUGINS.

    The exit code is 1 where a file cannot be used.
    """
    plugins = connect(ctx).plugins()
    if as_json:
        print_json(plugins)
    else:
        print_table(
            ("name", "kind", "parameters", "file", "sha256"),
            [
                (
                    each.name,
                    each.kind,
                    [_parameter(parameter) for parameter in each.parameters],
                    Path(file.path).name,
                    file.sha256[:_SHOWN_OF_HASH],
                )
                for file in plugins.files
                for each in file.plugins
            ],
        )
    if not plugins.files:
        say("The server's setting KTRDR_PLUGINS names no file.")
    for error in plugins.errors():
        warn(error)
    if plugins.errors():
        raise typer.Exit(1)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A Python file with plugins.", show_default=False)],
    symbols: Annotated[
        str | None,
        typer.Option("--symbols", metavar="NAMES", help="Stored series to try them on too, separated by commas."),
    ] = None,
    timeframe: Annotated[
        str | None, typer.Option("--timeframe", metavar="NAME", help="Of these series.", show_default="1d")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Try whether the plugins of a file keep what features, labels and networks must.

    Runs here, without a server: every feature and label on made-up bars, also
    truncated and ten times as large, every network through a short training.
    The exit code is 1 where a contract is broken.

    Example:
      ktrdr plugins check examples/plugins.py
    """
    from ktrdr.settings import read_settings

    read_settings()
    PluginCheck(file=file, symbols=symbols, timeframe=timeframe, json=as_json).launch()


def _parameter(parameter: PluginParameter) -> str:
    return f"{parameter.name}={parameter.default}"
