"""`ktrdr data`: load, watch, show, list, check, resample, import, export, rm, providers, tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ktrdr.cli import completion
from ktrdr.cli.ages import parse_every, parse_from
from ktrdr.cli.client import connect
from ktrdr.cli.imports import import_files
from ktrdr.cli.loads import keep_current, load_all, report, series_of
from ktrdr.cli.options import AsJson, Calendar, EndDate, StartDate, Symbol, Timeframe, check_range, split_list
from ktrdr.cli.outcome import finish
from ktrdr.cli.output import bar_time, fixed, price_digits, print_json, print_table, say, volume_digits
from ktrdr.cli.series import check as check_series
from ktrdr.cli.series import export as export_series
from ktrdr.cli.series import remove as remove_series
from ktrdr.cli.series import resample as resample_series
from ktrdr.cli.tables import app as tables
from ktrdr.cli.tables import import_table
from ktrdr.cli.watch import watch
from ktrdr.errors import InputError
from ktrdr.formatting import size_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ktrdr.api.schemas.data import DataLoad
    from ktrdr.timeframe import Timeframe as KnownTimeframe

app = typer.Typer(no_args_is_help=True, help="Load bars into the store and look at them.")

LoadTimeframes = Annotated[
    list[str] | None,
    typer.Option("--timeframes", metavar="1d,1h", help="One or several; commas between.", show_default=False),
]
ProviderName = Annotated[
    str,
    typer.Option(
        "--provider",
        metavar="NAME",
        help="auto, yahoo, ib, ccxt:EXCHANGE, sample or synthetic; auto asks whom the series came from, or else yahoo, "
        "and takes the sample where that can't be reached.",
    ),
]
Replace = Annotated[
    bool, typer.Option("--replace", metavar="", help="Drop what is stored of this series and start it anew.")
]


@app.command()
def load(
    ctx: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="SYMBOL… [TIMEFRAME]",
            help="One symbol or several, such as AAPL MSFT.",
            show_default=False,
            autocompletion=completion.series,
        ),
    ],
    timeframes: LoadTimeframes = None,
    start_date: StartDate = None,
    end_date: EndDate = None,
    since: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="5y",
            help="A day, or an age: 30d, 8w, 6mo, 5y. Where a provider's history is shorter, all that it has.",
            show_default=False,
        ),
    ] = "",
    provider: ProviderName = "auto",
    calendar: Calendar = "",
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Load bars into the store, and wait until they are there.

    Loading again is harmless: only what is missing is asked for. One series
    holds the bars of one provider; --replace changes it. Several series load at
    once; what has come is kept when a load fails or is cancelled.

    Example:
      ktrdr data load AAPL 1d --start-date 2023-01-01 --end-date 2023-12-31
      ktrdr data load AAPL MSFT SPY --timeframes 1d,1h --from 5y
    """
    if since and start_date:
        raise InputError("--from and --start-date say the same thing", hint="give one of them")
    check_range(parse_from(since) if since else start_date, end_date)
    client = connect(ctx)
    requests = _requests(
        names,
        timeframes,
        start_date=parse_from(since) if since else start_date,
        end_date=end_date,
        provider=provider,
        calendar=calendar,
        replace=replace,
        clip=bool(since),
    )
    if len(requests) > 1:
        report(load_all(client, requests), as_json)
        return
    started = client.load(requests[0])
    finish(client, watch(client, started.operation_id), as_json)


def _requests(names: list[str], timeframes: list[str] | None, **request: Any) -> list[DataLoad]:
    from ktrdr.api.schemas.data import DataLoad

    wanted = split_list(timeframes, "--timeframes") if timeframes else []
    return [DataLoad(symbol=symbol, timeframe=timeframe, **request) for symbol, timeframe in series_of(names, wanted)]


@app.command("watch")
def watch_series(
    ctx: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="SYMBOL… [TIMEFRAME]", help="As for load.", show_default=False, autocompletion=completion.series
        ),
    ],
    timeframes: LoadTimeframes = None,
    every: Annotated[str, typer.Option("--every", metavar="15m", help="How often: 90s, 15m, 1h, 1d.")] = "15m",
    provider: ProviderName = "auto",
) -> None:
    """Keep series current, until Ctrl-C.

    Each time, only the bars that have closed since are asked for. A load that
    fails is told, and tried again the next time.

    Example:
      ktrdr data watch AAPL MSFT --timeframes 1d --every 15m
    """
    parse_every(every)
    keep_current(connect(ctx), _requests(names, timeframes, provider=provider), every)


@app.command()
def providers(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="Only this one, such as ccxt:binance.", show_default=False)
    ] = "",
    as_json: AsJson = False,
) -> None:
    """List the sources of bars, and what each can serve.

    Example:
      ktrdr data providers
    """
    found = connect(ctx).providers(name)
    if as_json:
        print_json(found)
        return
    print_table(
        ("provider", "timeframes", "adjusted for", "history", "symbols"),
        [
            (
                each.name,
                " ".join(each.timeframes),
                {"no": None, "unknown": "unknown"}.get(each.adjusted, each.adjusted),
                _history(each.history_days),
                each.symbols,
            )
            for each in found.providers
        ],
    )


def _history(days: Mapping[KnownTimeframe, int]) -> str:
    by_reach: dict[int, list[str]] = {}
    for timeframe, reach in days.items():
        by_reach.setdefault(reach, []).append(timeframe)
    return ", ".join(f"{'/'.join(names)} {reach} days" for reach, names in by_reach.items()) or "no limit"


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
    digits = price_digits(price for bar in found.bars for price in (bar.open, bar.high, bar.low, bar.close))
    volume_decimals = volume_digits(bar.volume for bar in found.bars)
    print_table(
        ("timestamp", ">open", ">high", ">low", ">close", ">volume"),
        [
            (
                bar_time(bar.timestamp, found.timeframe),
                *(fixed(price, digits) for price in (bar.open, bar.high, bar.low, bar.close)),
                fixed(bar.volume, volume_decimals),
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
        ("symbol", "timeframe", ">rows", "first", "last", "provider", ">size", "quality"),
        [
            (
                series.symbol,
                series.timeframe,
                series.rows,
                bar_time(series.first, series.timeframe),
                bar_time(series.last, series.timeframe),
                series.provider,
                size_text(series.size_bytes),
                f"{series.quality.verdict} {series.quality.score:g}" if series.quality else None,
            )
            for series in found.series
        ],
    )


app.command("check")(check_series)
app.command("resample")(resample_series)


app.command("import")(import_files)
app.command("import-table")(import_table)
app.add_typer(tables, name="tables")
app.command("export")(export_series)
app.command("rm")(remove_series)
