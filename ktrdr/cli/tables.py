"""`ktrdr data import-table` and `ktrdr data tables`: tables whose rows say since when they were known."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ktrdr.cli.client import connect
from ktrdr.cli.confirm import confirm
from ktrdr.cli.file_options import Decimal, Delimiter, Encoding, Skip, Thousands, option
from ktrdr.cli.options import AsJson, valid
from ktrdr.cli.output import print_json, print_table, say
from ktrdr.errors import InputError
from ktrdr.formatting import counted

if TYPE_CHECKING:
    from datetime import datetime

    from ktrdr.payloads.tables import TableInfo

app = typer.Typer(no_args_is_help=True, help="Look at stored tables, whose rows say since when they were known.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Such as macro.", show_default=False)]


def import_table(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .csv or .parquet file.", show_default=False)],
    known_at: Annotated[
        str, option("--known-at", "COLUMN", "The column that says since when a row is known: its release.")
    ],
    name: Annotated[str, option("--name", "NAME", "What strategies call it; by default the file's name.")] = "",
    period_column: Annotated[
        str, option("--period-column", "COLUMN", "The column that names a row's period; else found by its name.")
    ] = "",
    symbol_column: Annotated[
        str, option("--symbol-column", "COLUMN", "The column that names a row's symbol; else found by its name.")
    ] = "",
    timezone: Annotated[
        str,
        option("--timezone", "ZONE", "As America/New_York, of dates and of times that have no zone in the file."),
    ] = "",
    date_format: Annotated[
        str, option("--date-format", "DMY", "DMY, MDY or YMD; or a pattern such as '%d/%m/%Y %H:%M'.")
    ] = "",
    decimal: Decimal = "",
    thousands: Thousands = "",
    skip: Skip = 0,
    delimiter: Delimiter = "",
    encoding: Encoding = "",
    replace: Annotated[
        bool, typer.Option("--replace", metavar="", help="Drop what is stored of this table, and start it anew.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import a table of numbers whose rows say since when they were known.

    A feature takes a number from the instant on at which it was known. A later
    row of the same period revises it from its own instant on, and no earlier.
    A date counts as known at the end of its day, in --timezone, or else
    wherever on earth the day ends last. Importing again adds rows.

    Example:
      ktrdr data import-table macro.csv --known-at release
      ktrdr data import-table eps.csv --known-at filed --timezone America/New_York
    """
    from ktrdr.api.schemas.tables import TableImport

    options = {
        "known_at": known_at,
        "period_column": period_column,
        "symbol_column": symbol_column,
        "timezone": timezone,
        "date_format": date_format,
        "decimal": decimal,
        "thousands": thousands,
        "skip": skip,
        "delimiter": delimiter,
        "encoding": encoding,
        "replace": replace,
    }
    given = {key: value for key, value in options.items() if value}
    query = valid(TableImport, {"filename": file.name, **given}, hint="see: ktrdr data import-table --help")
    if not file.is_file():
        raise InputError(f"there is no file {file}", hint="check the folder and the name")
    imported = connect(ctx).import_table(file, name or _name_of(file), query)
    if as_json:
        print_json(imported)
        return
    say(f"{imported.name}: {imported.layout}")
    for warning in imported.warnings:
        say(f"warning: {warning}")
    say(
        f"{counted(imported.rows, 'row')} of {counted(imported.periods, 'period')}, "
        f"{counted(imported.revisions, 'revision')}, known from {_instant(imported.first_known)} to "
        f"{_instant(imported.last_known)}"
    )
    say(f"Use it in a strategy: {{table: {imported.name}, column: {imported.columns[0]}}}")


def _name_of(file: Path) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", file.stem)


@app.command("list")
def list_tables(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the stored tables.

    Example:
      ktrdr data tables list
    """
    found = connect(ctx).tables()
    if as_json:
        print_json(found)
        return
    if not found.tables:
        say("No tables yet. Import one with: ktrdr data import-table macro.csv --known-at release")
        return
    print_table(
        ("table", ">rows", ">revisions", ">symbols", "known from", "to", "columns"),
        [
            (
                each.name,
                each.rows,
                each.revisions,
                each.symbols or None,
                f"{each.first_known:%Y-%m-%d}",
                f"{each.last_known:%Y-%m-%d}",
                ", ".join(each.columns),
            )
            for each in found.tables
        ],
    )


@app.command("show")
def show_table(
    ctx: typer.Context,
    name: Name,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="The newest so many rows.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Print the newest rows of a table, in the order in which they were known; times are UTC.

    Example:
      ktrdr data tables show macro --limit 20
    """
    found = connect(ctx).table(name, limit)
    if as_json:
        print_json(found)
        return
    table, by_symbol = found.table, bool(found.table.symbols)
    print_table(
        ("known at", "period", *(("symbol",) if by_symbol else ()), *(f">{column}" for column in table.columns)),
        [
            (
                _instant(row.known_at),
                f"{row.period:%Y-%m-%d}",
                *((row.symbol,) if by_symbol else ()),
                *(None if value is None else f"{value:g}" for value in row.values),
            )
            for row in found.rows
        ],
    )
    for warning in table.warnings:
        say(f"warning: {warning}")
    say(f"{len(found.rows):,} of {counted(table.rows, 'row')} of {table.name}, from {table.source}; {table.layout}")


@app.command("rm")
def remove_table(
    ctx: typer.Context,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove a table. Models that were trained on it stay.

    Example:
      ktrdr data tables rm macro
    """
    client = connect(ctx)
    if not yes:
        stored = client.table(name, 1).table
        confirm(f"Remove {stored.name} ({counted(stored.rows, 'row')})?")
    removed: TableInfo = client.remove_table(name)
    if as_json:
        print_json(removed)
        return
    say(f"Removed {removed.name} ({counted(removed.rows, 'row')})")


def _instant(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
