"""`ktrdr data import`: bars out of one file, or out of many at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ktrdr.cli.client import connect
from ktrdr.cli.file_options import Decimal, Delimiter, Encoding, Skip, Thousands, option
from ktrdr.cli.loads import Load, as_json_entry, follow_all, leave, print_notes, quality_text, start_one
from ktrdr.cli.options import AsJson, Calendar
from ktrdr.cli.outcome import finish
from ktrdr.cli.output import bar_time, print_json, print_table, say
from ktrdr.cli.watch import watch
from ktrdr.errors import InputError, KtrdrError
from ktrdr.formatting import size_text
from ktrdr.timeframe import Timeframe

if TYPE_CHECKING:
    from ktrdr.api.schemas.data import Import
    from ktrdr.api.schemas.operations import OperationStarted
    from ktrdr.cli.client import Client

SUFFIXES = (".csv", ".parquet")
_FIELDS = ("symbol", "timeframe")
_ONE_FILE = 3


def import_files(
    ctx: typer.Context,
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE… [SYMBOL TIMEFRAME]",
            help="One file or several, .csv or .parquet; 'bars/*.csv' stands for all that match.",
            show_default=False,
        ),
    ],
    name: Annotated[
        str, option("--name", "PATTERN", "How file names tell them: '{symbol}_{timeframe}'; * for the rest.")
    ] = "",
    column: Annotated[
        list[str] | None,
        option("--column", "close=Last", "The file's name of a column, or its position: timestamp=1. Several times."),
    ] = None,
    timezone: Annotated[
        str,
        option("--timezone", "ZONE", "As America/New_York, of times that have no zone in the file; else they are UTC."),
    ] = "",
    format_: Annotated[
        str, option("--format", "PRESET", "A vendor: metatrader4, histdata, binance, kraken, stooq, …")
    ] = "",
    date_format: Annotated[
        str, option("--date-format", "DMY", "DMY, MDY or YMD; excel; or a pattern such as '%d/%m/%Y %H:%M'.")
    ] = "",
    decimal: Decimal = "",
    thousands: Thousands = "",
    no_header: Annotated[
        bool, typer.Option("--no-header", metavar="", help="The first line is already a bar.")
    ] = False,
    skip: Skip = 0,
    delimiter: Delimiter = "",
    encoding: Encoding = "",
    only: Annotated[str, option("--only", "SYMBOL", "The rows of one symbol, of a file that holds several.")] = "",
    stamp: Annotated[
        str, typer.Option("--stamp", metavar="open|close", help="Whether times are those of opening or of closing.")
    ] = "open",
    bad_rows: Annotated[
        str, typer.Option("--bad-rows", metavar="refuse|drop", help="drop: leave out rows that cannot be right.")
    ] = "refuse",
    calendar: Calendar = "",
    replace: Annotated[
        bool, typer.Option("--replace", metavar="", help="Drop what is stored of these series, and start them anew.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import bars from files.

    How a file is written is detected, and said; where it is not certain, the
    file is refused with the option that tells it. One bad row and the whole
    file is refused, with the numbers of the lines.

    Example:
      ktrdr data import bars.csv MSFT 1d
      ktrdr data import toyota.csv 7203 5m --timezone Asia/Tokyo --calendar XTKS
      ktrdr data import 'bars/*.csv' --name '{symbol}_{timeframe}'
    """
    query = _query(
        column=column or [],
        timezone=timezone,
        format=format_,
        date_format=date_format,
        decimal=decimal,
        thousands=thousands,
        no_header=no_header,
        skip=skip,
        delimiter=delimiter,
        encoding=encoding,
        only=only,
        stamp=stamp,
        bad_rows=bad_rows,
        calendar=calendar,
        replace=replace,
    )
    if len(arguments) == _ONE_FILE and not name and not has_magic(arguments[0]):
        _import_one(connect(ctx), Source(Path(arguments[0]), arguments[1], arguments[2]), query, as_json)
        return
    sources = list(_sources(arguments, name))
    if replace and not name:
        raise InputError(
            f"--replace would keep only one of {len(sources)} files", hint="leave it out, or remove the series first"
        )
    _import_all(connect(ctx), sources, query, as_json)


def _query(**options: Any) -> Import:
    """The options as the server takes them. Raises InputError."""
    from pydantic import ValidationError

    from ktrdr.api.schemas.data import Import

    try:
        return Import(filename="", **options)
    except ValidationError as error:
        fault = error.errors()[0]
        option = f"--{str(fault['loc'][0]).replace('_', '-')}"
        raise InputError(f"{option}: {fault['msg']}", hint="see: ktrdr data import --help") from None


@dataclass(frozen=True, slots=True)
class Source:
    """One file and the series that its bars belong to; with an `error`, what is wrong before it is sent."""

    file: Path
    symbol: str = ""
    timeframe: str = ""
    error: KtrdrError | None = None

    @property
    def series(self) -> str:
        return f"{self.symbol} {self.timeframe}".strip()


def _sources(arguments: Sequence[str], pattern: str) -> Iterator[Source]:
    """Raises InputError unless symbol and timeframe are known for each file."""
    return _sources_by_name(arguments, pattern) if pattern else _sources_of_one_series(arguments)


def _sources_by_name(arguments: Sequence[str], pattern: str) -> Iterator[Source]:
    last = arguments[-1]
    timeframe = last.lower() if last.lower() in list(Timeframe) and not Path(last).exists() else ""
    template = _template(pattern, timeframe)
    for file in _files(arguments[:-1] if timeframe else arguments):
        yield _named_source(file, template, timeframe, pattern)


def _sources_of_one_series(arguments: Sequence[str]) -> Iterator[Source]:
    *paths, symbol, timeframe = arguments if len(arguments) >= _ONE_FILE else ("", "", "")
    if not any(paths) or Path(timeframe).suffix.lower() in SUFFIXES:
        raise InputError(
            "which symbol and timeframe are these?",
            hint="name them last: ktrdr data import FILE SYMBOL TIMEFRAME; or say how the files' names tell them: "
            "--name '{symbol}_{timeframe}'",
        )
    for file in _files(paths):
        yield Source(file, symbol, timeframe)


def _files(paths: Sequence[str]) -> list[Path]:
    """Raises InputError where a pattern matches nothing."""
    files: list[Path] = []
    for path in paths:
        matching = sorted(glob(path, recursive=True)) if has_magic(path) and not Path(path).exists() else [path]
        if not matching:
            raise InputError(f"no file matches {path}", hint="check the folder and the pattern")
        files += map(Path, matching)
    return files


def _template(pattern: str, timeframe: str) -> re.Pattern[str]:
    """`{symbol}_{timeframe}` as an expression. Raises InputError."""
    needed = _FIELDS if not timeframe else _FIELDS[:1]
    if missing := [field for field in needed if pattern.count(f"{{{field}}}") != 1]:
        raise InputError(
            f"--name {pattern!r} must hold {{{missing[0]}}} once",
            hint="for example --name '{symbol}_{timeframe}'; or name the timeframe last",
        )
    plain = re.escape(pattern.removesuffix(".csv").removesuffix(".parquet"))
    return re.compile(
        plain.replace(r"\*", ".*")
        .replace(r"\{symbol\}", "(?P<symbol>.+)")
        .replace(r"\{timeframe\}", "(?P<timeframe>[^_ .-]+)")
    )


def _named_source(file: Path, template: re.Pattern[str], timeframe: str, pattern: str) -> Source:
    match = template.fullmatch(file.stem)
    if match is None:
        return Source(file, error=InputError(f"it is not named as {pattern}", hint="rename it, or leave it out"))
    groups = match.groupdict()
    return Source(file, groups["symbol"], timeframe or groups["timeframe"])


def _check_file(file: Path) -> None:
    if not file.is_file():
        raise InputError(f"there is no file {file}", hint="check the folder and the name")
    if file.suffix.lower() not in SUFFIXES:
        raise InputError(f"{file} is neither .csv nor .parquet", hint="the name's ending says what a file holds")


def _send(client: Client, source: Source, query: Import) -> OperationStarted:
    """Raises InputError, or the server's refusal."""
    if source.error:
        raise source.error
    _check_file(source.file)
    try:
        named = query.model_copy(update={"filename": source.file.name})
        return client.import_file(source.file, source.symbol, source.timeframe, named)
    except OSError as error:
        raise InputError(f"{source.file} cannot be read: {error.strerror}", hint="check its permissions") from None


def _import_one(client: Client, source: Source, query: Import, as_json: bool) -> None:
    _check_file(source.file)
    say(f"Sending {source.file} ({size_text(source.file.stat().st_size)})")
    started = _send(client, source, query)
    finish(client, watch(client, started.operation_id), as_json)


def _import_all(client: Client, sources: Sequence[Source], query: Import, as_json: bool) -> None:
    """One file that fails does not stop the others; the exit code is 1 then."""
    loads = [
        start_one(client, source.file.name, lambda source=source: _send(client, source, query))  # type: ignore[misc]
        for source in sources
    ]
    follow_all(client, loads)
    if as_json:
        print_json([{**as_json_entry(load), "file": str(each.file)} for load, each in zip(loads, sources, strict=True)])
    else:
        print_table(
            ("file", "series", "status", ">rows new", ">total", "first", "last", "quality"),
            [_row(load, source) for load, source in zip(loads, sources, strict=True)],
        )
        print_notes(loads)
    leave(loads, as_json)


def _row(load: Load, source: Source) -> tuple[object, ...]:
    loaded = load.loaded
    if loaded is None:
        return (source.file.name, source.series, load.status, *[None] * 5)
    ends = (end and bar_time(end, loaded.timeframe) for end in (loaded.first, loaded.last))
    return (
        source.file.name,
        source.series,
        load.status,
        loaded.rows_new,
        loaded.rows_total,
        *ends,
        quality_text(loaded),
    )
