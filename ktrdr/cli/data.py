"""`ktrdr data`: load, show, list, import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ktrdr.cli.client import connect
from ktrdr.cli.options import AsJson, EndDate, StartDate, Symbol, Timeframe, check_range
from ktrdr.cli.outcome import finish
from ktrdr.cli.output import bar_time, fixed, print_json, print_table, say, size
from ktrdr.cli.watch import watch
from ktrdr.errors import InputError

app = typer.Typer(no_args_is_help=True, help="Load bars into the store and look at them.")

Replace = Annotated[bool, typer.Option("--replace", help="Drop what is stored of this series and start it anew.")]


@app.command()
def load(
    ctx: typer.Context,
    symbol: Symbol,
    timeframe: Timeframe,
    start_date: StartDate = None,
    end_date: EndDate = None,
    provider: Annotated[
        str,
        typer.Option(
            "--provider",
            metavar="NAME",
            help="auto, yahoo, sample or synthetic; auto asks whom the series came from, or else yahoo, and takes the "
            "sample where that can't be reached.",
        ),
    ] = "auto",
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Load bars into the store, and wait until they are there.

    Loading again is harmless: only new and changed rows are written. One series
    holds the bars of one provider; --replace changes it.

    Example:
      ktrdr data load AAPL 1d --start-date 2023-01-01 --end-date 2023-12-31
    """
    check_range(start_date, end_date)
    from ktrdr.api.schemas import DataLoad

    client = connect(ctx)
    started = client.load(
        DataLoad(
            symbol=symbol,
            timeframe=timeframe,
            start_date=start_date,
            end_date=end_date,
            provider=provider,
            replace=replace,
        )
    )
    finish(client, watch(client, started.operation_id), as_json)


@app.command()
def show(
    ctx: typer.Context,
    symbol: Symbol,
    timeframe: Timeframe,
    start_date: StartDate = None,
    end_date: EndDate = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="The last so many bars.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Print stored bars, the last ones of the range; times are UTC.

    Example:
      ktrdr data show AAPL 1d --limit 5
    """
    check_range(start_date, end_date)
    found = connect(ctx).bars(symbol, timeframe, {"start": start_date, "end": end_date, "limit": limit})
    if as_json:
        print_json(found)
        return
    prices = ("open", "high", "low", "close")
    print_table(
        ("timestamp", *(f">{name}" for name in prices), ">volume"),
        [
            (
                bar_time(bar["timestamp"], found.timeframe),
                *(fixed(bar.get(name)) for name in prices),
                fixed(bar.get("volume"), 0),
            )
            for bar in found.bars
        ],
    )
    say(f"{len(found.bars):,} of {found.total:,} rows of {found.symbol} {found.timeframe}")


@app.command("list")
def list_series(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the stored series."""
    found = connect(ctx).series()
    if as_json:
        print_json(found)
        return
    if not found.series:
        say("No bars yet. Load some with: ktrdr data load AAPL 1d")
        return
    print_table(
        ("symbol", "timeframe", ">rows", "first", "last", "provider", ">size"),
        [
            (
                series.symbol,
                series.timeframe,
                series.rows,
                bar_time(series.first, series.timeframe),
                bar_time(series.last, series.timeframe),
                series.provider,
                size(series.size_bytes),
            )
            for series in found.series
        ],
    )


@app.command("import")
def import_file(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .csv or .parquet file.", show_default=False)],
    symbol: Symbol,
    timeframe: Timeframe,
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Import bars from a file.

    Its columns are timestamp, open, high, low, close and volume. One bad row
    and the whole file is refused, with the numbers of the rows.

    Example:
      ktrdr data import bars.csv MSFT 1d
    """
    if not file.is_file():
        raise InputError(f"there is no file {file}")
    if file.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"{file} is neither .csv nor .parquet", hint="the name's ending says what a file holds")
    client = connect(ctx)
    say(f"Sending {file} ({size(file.stat().st_size)})")
    try:
        started = client.import_file(file, symbol, timeframe, replace=replace)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None
    finish(client, watch(client, started.operation_id), as_json)
