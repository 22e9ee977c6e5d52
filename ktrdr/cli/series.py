"""`ktrdr data check`, `resample`, `export` and `rm`: what is done with a stored series."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ktrdr.cli import completion
from ktrdr.cli.client import connect
from ktrdr.cli.confirm import confirm
from ktrdr.cli.downloads import write_download
from ktrdr.cli.options import AsJson, Calendar, EndDate, StartDate, Symbol, Timeframe, check_range
from ktrdr.cli.output import bar_time, note, print_fields, print_json, print_line, print_table, say
from ktrdr.errors import InputError, SeriesNotFound
from ktrdr.formatting import counted, size_text

if TYPE_CHECKING:
    from ktrdr.cli.client import Client
    from ktrdr.payloads.data import QualityReport

FORMATS = {".csv": "csv", ".parquet": "parquet"}
GAPS_SHOWN = 5


def check(
    ctx: typer.Context,
    symbol: Symbol,
    timeframe: Timeframe,
    calendar: Calendar = "",
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE.png", help="Draw coverage, prices and faults too.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check stored bars: what is missing by the market's calendar, and what is wrong.

    The score is 100 times the share of expected bars that are there, less those
    that a fault touches; warnings count half, notes not at all.

    Example:
      ktrdr data check AAPL 5m
      ktrdr data check VOD.L 1d --calendar XLON --plot vod.png
    """
    if plot and plot.suffix.lower() != ".png":
        raise InputError(f"{plot} is no .png", hint="pictures are written as PNG")
    from ktrdr.payloads.data import GUESS

    client = connect(ctx)
    if calendar:
        client.name_calendar(symbol, None if calendar == GUESS else calendar)
    found = client.quality(symbol, timeframe)
    if plot:
        write_download(plot, [client.quality_chart(symbol, timeframe)])
    if as_json:
        print_json(found)
        return
    print_fields(_fields(found))
    print_line()
    if found.faults:
        print_table(
            ("severity", "fault", ">count", "what"),
            [(each.severity, each.kind.replace("_", " "), each.count, each.message) for each in found.faults],
        )
    else:
        say("Nothing is wrong with these bars.")
    _print_gaps(found)


def _fields(found: QualityReport) -> list[tuple[str, object]]:
    span = " to ".join(bar_time(moment, found.timeframe) for moment in (found.first, found.last))
    return [
        ("series", f"{found.symbol} {found.timeframe}"),
        ("score", f"{found.score:g} of 100, {found.verdict}"),
        ("coverage", f"{_percent(found.coverage)}: {found.present:,} of {found.expected:,} expected bars"),
        ("calendar", str(found.calendar)),
        ("rows", found.rows),
        ("range", span),
    ]


def _print_gaps(found: QualityReport) -> None:
    if found.gap_count < 2:
        return
    longest = sorted(found.gaps, key=lambda gap: -gap.bars)[:GAPS_SHOWN]
    print_line()
    print_table(
        ("from", "to", ">bars missing"),
        [
            (bar_time(gap.first, found.timeframe), bar_time(gap.last, found.timeframe), gap.bars)
            for gap in sorted(longest, key=lambda gap: gap.first)
        ],
        title=f"The longest of {found.gap_count:,} gaps",
    )


def _percent(share: float) -> str:
    """Rounded down: 100 % is for what is whole."""
    return f"{int(share * 10_000) / 100:.2f} %"


def resample(
    ctx: typer.Context,
    symbol: Symbol,
    source: Annotated[
        str,
        typer.Argument(
            metavar="FROM", help="The stored timeframe.", show_default=False, autocompletion=completion.timeframes
        ),
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="TO", help="The longer one to make.", show_default=False, autocompletion=completion.timeframes
        ),
    ],
    calendar: Calendar = "",
    replace: Annotated[bool, typer.Option("--replace", help="Drop what is stored of the longer series.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make longer bars of stored ones, by the sessions of their market.

    A day's bar is its session's; intraday bars are counted from the session's
    opening and end with it. A first or last bar that is not whole is left out.

    Example:
      ktrdr data resample AAPL 1m 1h
      ktrdr data resample EURUSD 1h 1d --calendar 24/5
    """
    from ktrdr.api.schemas.data import Resample
    from ktrdr.payloads.data import GUESS

    client = connect(ctx)
    if calendar == GUESS:
        client.name_calendar(symbol, None)
    request = Resample(to=target, calendar=None if calendar in ("", GUESS) else calendar, replace=replace)
    made = client.resample(symbol, source, request)
    if as_json:
        print_json(made)
        return
    span = " to ".join(bar_time(moment, made.timeframe) for moment in (made.first, made.last))
    print_fields(
        [
            ("series", f"{made.symbol} {made.timeframe}"),
            ("provider", made.provider),
            ("calendar", made.calendar),
            ("rows new", made.rows_new),
            ("rows changed", made.rows_changed),
            ("rows total", made.rows_total),
            ("range", span),
        ]
    )
    if made.note:
        note(made.note)


def export(
    ctx: typer.Context,
    symbol: Symbol,
    timeframe: Timeframe,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="A .csv or .parquet file to write.", show_default=False),
    ],
    start_date: StartDate = None,
    end_date: EndDate = None,
) -> None:
    """Write stored bars to a file, all of them or those of a range.

    Example:
      ktrdr data export AAPL 1d -o aapl.csv --start-date 2023-01-01
    """
    check_range(start_date, end_date)
    kind = FORMATS.get(output.suffix.lower())
    if kind is None:
        raise InputError(f"{output} is neither .csv nor .parquet", hint="the name's ending says what to write")
    query = {"format": kind, "start": start_date, "end": end_date}
    written = write_download(output, connect(ctx).export_bars(symbol, timeframe, query))
    say(f"Wrote {output} ({size_text(written)})")


def remove(
    ctx: typer.Context,
    symbol: Symbol,
    timeframe: Annotated[
        str,
        typer.Argument(
            metavar="[TIMEFRAME]",
            help="Only this one; else all of the symbol.",
            show_default=False,
            autocompletion=completion.timeframes,
        ),
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove stored bars. Models that were trained on them stay.

    Nothing is removed while an operation uses or loads them.

    Example:
      ktrdr data rm AAPL 1d
      ktrdr data rm AAPL --yes
    """
    client = connect(ctx)
    if not yes:
        confirm(f"Remove {_described(client, symbol, timeframe)}?")
    removed = client.remove_series(symbol, timeframe or None)
    if as_json:
        print_json(removed)
        return
    say(f"Removed {removed.symbol} {', '.join(removed.timeframes)} ({counted(removed.rows, 'bar')})")


def _described(client: Client, symbol: str, timeframe: str) -> str:
    """The stored series that would go. Raises SeriesNotFound."""
    stored = [
        series
        for series in client.series().series
        if series.symbol == symbol.upper() and timeframe.lower() in ("", series.timeframe)
    ]
    if not stored:
        raise SeriesNotFound(
            f"no bars of {' '.join(filter(None, (symbol.upper(), timeframe)))} are stored",
            hint="see what is with: ktrdr data list",
        )
    return ", ".join(f"{each.symbol} {each.timeframe} ({counted(each.rows, 'bar')})" for each in stored)
