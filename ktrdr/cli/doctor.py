"""`ktrdr doctor`: becomes the program that checks a home, since the command line itself knows nothing of one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ktrdr.cli.options import AsJson
from ktrdr.launch import Doctor


def doctor(
    home: Annotated[
        Path | None, typer.Option("--home", metavar="DIR", help="Folder to check.", show_default="KTRDR_HOME")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Repair what can be; what is damaged is moved into DIR/backup.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check the folder that holds everything, and say what is wrong and what to do.

    Looks at registry, operations, bars, models and leftovers, also while a
    server runs. Exit code: 0 healthy or repaired, 1 faults, 2 wrong use.
    """
    from ktrdr.settings import read_settings

    read_settings()
    Doctor(home=home, repair=repair, json=as_json).launch()
