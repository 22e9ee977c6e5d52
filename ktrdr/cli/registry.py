"""`ktrdr registry`: becomes the program that moves the registry, since the command line itself knows nothing of one."""

from __future__ import annotations

from typing import Annotated

import typer

from ktrdr.cli.options import AsJson
from ktrdr.launch import RegistryMove

app = typer.Typer(no_args_is_help=True, help="The database of records, results and metrics.")


@app.callback()
def root() -> None:
    """The database of records, results and metrics."""


@app.command("move")
def move(
    to: Annotated[
        str,
        typer.Option("--to", metavar="URL", help="An empty database: postgresql+asyncpg://… or sqlite+aiosqlite:///…"),
    ],
    as_json: AsJson = False,
) -> None:
    """Move all records into another database, while no server runs.

    Copies them in one transaction and compares them all. What is copied
    from stays: a file in the home goes into its folder backup.

    Example:
      ktrdr registry move --to postgresql+asyncpg://ktrdr@localhost/ktrdr
    """
    from ktrdr.settings import read_settings

    read_settings()
    RegistryMove(to=to, json=as_json).launch()
