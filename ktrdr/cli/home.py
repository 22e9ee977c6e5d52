"""`ktrdr home`: becomes the program that backs a home up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ktrdr.cli.options import AsJson
from ktrdr.launch import Backup

app = typer.Typer(no_args_is_help=True, help="Back up the folder that holds everything.")


@app.callback()
def home() -> None:
    """Back up the folder that holds everything."""


@app.command()
def backup(
    to: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder, best on another disk.")],
    home: Annotated[
        Path | None, typer.Option("--home", metavar="DIR", help="Folder to back up.", show_default="KTRDR_HOME")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Copy a home to a new folder, also while a server runs on it.

    The copy is whole or not there at all, and compared with what was read. It is
    a home itself: serve it where it is, or copy it to where it is to be served.
    A registry in PostgreSQL is backed up by pg_dump, before this.

    Example:
      ktrdr home backup /mnt/backups/2026-11-28
    """
    from ktrdr.settings import read_settings

    read_settings()
    Backup(to=to, home=home, json=as_json).launch()
