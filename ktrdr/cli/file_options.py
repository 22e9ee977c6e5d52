"""How a file is written, as options of all commands that import files; what is not said is detected."""

from __future__ import annotations

from typing import Annotated, Any

import typer


def option(flag: str, metavar: str, text: str) -> Any:
    return typer.Option(flag, metavar=metavar, help=text, show_default=False)


Decimal = Annotated[str, option("--decimal", "MARK", "The decimal mark, . or ,")]
Thousands = Annotated[str, option("--thousands", "MARK", "What groups thousands: . or , or ' or a space.")]
Skip = Annotated[
    int, typer.Option("--skip", metavar="LINES", min=0, help="Lines at the top that are no part of the table.")
]
Delimiter = Annotated[str, option("--delimiter", "CHAR", "Between columns: a character, tab or space.")]
Encoding = Annotated[str, option("--encoding", "NAME", "Of the text, such as cp1252; else UTF-8.")]
