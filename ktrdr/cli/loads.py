"""Loads of several series at once: started together, shown side by side, told in one table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from ktrdr.cli.ages import parse_every
from ktrdr.cli.output import (
    bar_time,
    note,
    percent,
    print_fields,
    print_json,
    print_line,
    print_table,
    say,
    show_error,
    words_console,
)
from ktrdr.cli.watch import DETACHED, PATIENCE_S
from ktrdr.errors import InputError, KtrdrError, ServerUnreachable
from ktrdr.operations.status import OperationStatus
from ktrdr.timeframe import Timeframe

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ktrdr.api.schemas.data import DataLoad
    from ktrdr.api.schemas.operations import Operation, OperationStarted
    from ktrdr.cli.client import Client
    from ktrdr.payloads.data import DataLoadResults
    from ktrdr.payloads.results import Results

FAILED = 1

_POLL_S = 0.3


def series_of(names: Sequence[str], timeframes: Sequence[str]) -> list[tuple[str, str]]:
    """Symbols with `--timeframes`, or symbols with one timeframe behind them."""
    symbols = [part for name in names for part in name.split(",") if part]
    if not timeframes:
        *symbols, last = symbols or [""]
        if not symbols or last.lower() not in list(Timeframe):
            raise InputError(
                f"no timeframe is named; {last!r} is none of {', '.join(Timeframe)}",
                hint=f"name it last, or with an option: ktrdr data load {' '.join(names)} --timeframes 1d",
            )
        timeframes = [last]
    return list(dict.fromkeys((symbol, timeframe) for symbol in symbols for timeframe in timeframes))


@dataclass(slots=True)
class Load:
    """One series on its way: an operation, or a refusal; `results` once it has ended."""

    series: str
    operation: Operation | None = None
    error: KtrdrError | None = None
    results: Results | None = None

    @property
    def has_ended(self) -> bool:
        return self.operation is None or self.operation.completed_at is not None

    @property
    def loaded(self) -> DataLoadResults | None:
        """What came; None of a load that asked for nothing."""
        from ktrdr.payloads.data import DataLoadResults

        return self.results if isinstance(self.results, DataLoadResults) else None

    @property
    def status(self) -> str:
        return "refused" if self.operation is None else self.operation.status.lower()


def load_all(client: Client, requests: Sequence[DataLoad]) -> list[Load]:
    """Start them all and show them until all have ended; Ctrl-C detaches, with exit code 130."""
    loads = [_started_load(client, request) for request in requests]
    if all(load.operation is None for load in loads):
        assert loads[0].error
        raise loads[0].error
    follow_all(client, loads)
    return loads


def follow_all(client: Client, loads: Sequence[Load]) -> None:
    """Show loads until all have ended, and fetch their results; Ctrl-C detaches, with exit code 130."""
    try:
        with _display(loads) as update:
            for _ in _polls(client, loads):
                update()
    except KeyboardInterrupt:
        going = [load.operation.operation_id for load in loads if load.operation and not load.has_ended]
        say("Detached; the loads go on. Come back with:", *(f"  ktrdr operations watch {each}" for each in going))
        raise typer.Exit(DETACHED) from None
    for load in loads:
        _fetch_results(client, load)


def _fetch_results(client: Client, load: Load) -> None:
    if load.operation:
        load.results = client.results(load.operation.operation_id)


@contextmanager
def _display(loads: Sequence[Load]) -> Iterator[Callable[[], None]]:
    """Shows the loads, anew whenever what it yields is called: bars on a terminal, lines elsewhere."""
    console = words_console()
    if not console.is_terminal:
        yield _Lines(loads).show
        return
    from rich.live import Live

    with Live(console=console, get_renderable=lambda: _bars(loads), refresh_per_second=4) as live:
        yield live.refresh


def _started_load(client: Client, request: DataLoad) -> Load:
    return start_one(client, f"{request.symbol} {request.timeframe}", lambda: client.load(request))


def start_one(client: Client, series: str, start: Callable[[], OperationStarted]) -> Load:
    """The load that `start` begins, or its refusal. Raises ServerUnreachable."""
    try:
        started = start()
    except ServerUnreachable:
        raise
    except KtrdrError as error:
        return Load(series, error=error)
    return Load(series, operation=client.operation(started.operation_id))


def _polls(client: Client, loads: Sequence[Load]) -> Iterator[None]:
    answered = time.monotonic()
    while True:
        try:
            for load in loads:
                if load.operation and not load.has_ended:
                    load.operation = client.operation(load.operation.operation_id)
            answered = time.monotonic()
        except ServerUnreachable:
            if time.monotonic() - answered > PATIENCE_S:
                raise
        yield
        if all(load.has_ended for load in loads):
            return
        time.sleep(_POLL_S)


class _Lines:
    """A line for whatever is new of each load, for logs and pipes."""

    def __init__(self, loads: Sequence[Load]) -> None:
        self._loads = loads
        self._printed: dict[str, str] = {}

    def show(self) -> None:
        for load in self._loads:
            line = _status_line(load)
            if self._printed.get(load.series) != line:
                self._printed[load.series] = line
                say(f"{load.series}: {line}")


def _status_line(load: Load) -> str:
    if load.operation is None:
        return f"refused: {load.error.detail if load.error else ''}"
    if load.operation.status is OperationStatus.FAILED and load.operation.error:
        return f"failed: {load.operation.error.detail}"
    return load.operation.progress.message


def _bars(loads: Sequence[Load]) -> RenderableType:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2), expand=True)
    for ratio in (None, 1, None, 2):
        table.add_column(ratio=ratio, no_wrap=True, overflow="ellipsis")
    for load in loads:
        done = load.operation.progress.percentage if load.operation else 0.0
        style = "red" if load.status in ("refused", "failed") else ""
        table.add_row(
            Text(load.series, style="bold"),
            ProgressBar(total=100, completed=done),
            Text(f"{percent(done):>5}"),
            Text(_status_line(load), style=style),
        )
    return table


def report(loads: Sequence[Load], as_json: bool) -> None:
    """The table of how they ended, then what went wrong; leaves with exit code 1 unless all completed."""
    if as_json:
        print_json([as_json_entry(load) for load in loads])
    else:
        print_table(
            ("series", "status", "provider", ">rows new", ">changed", ">total", "first", "last", "quality"),
            [_row(load) for load in loads],
        )
        print_notes(loads)
    leave(loads, as_json)


def print_notes(loads: Sequence[Load]) -> None:
    for text, series in _notes(loads).items():
        note(f"{', '.join(series)}: {text}")


def leave(loads: Sequence[Load], as_json: bool) -> None:
    """Show what went wrong, and leave with exit code 1 unless all completed."""
    for load in loads:
        if error := _error_of(load):
            show_error(error, as_json=as_json)
    if any(load.status != "completed" for load in loads):
        raise typer.Exit(FAILED)


def print_load(results: DataLoadResults) -> None:
    """One load by itself."""
    if results.status != "success":
        if results.status == "cancelled" and results.rows_new:
            say(f"{results.rows_new:,} new rows are stored; the rest comes with: ktrdr operations resume ID")
        return
    print_fields(
        [
            ("series", f"{results.symbol} {results.timeframe}"),
            ("provider", results.provider),
            ("rows new", results.rows_new),
            ("rows changed", results.rows_changed),
            ("rows total", results.rows_total),
            ("range", " to ".join(bar_time(end, results.timeframe) for end in (results.first, results.last) if end)),
            *([("quality", quality)] if (quality := quality_text(results)) else []),
        ]
    )


def _row(load: Load) -> tuple[object, ...]:
    loaded = load.loaded
    if loaded is None:
        return (load.series, load.status, *[None] * 7)
    return (
        load.series,
        load.status,
        loaded.provider,
        loaded.rows_new,
        loaded.rows_changed,
        loaded.rows_total,
        *(end and bar_time(end, loaded.timeframe) for end in (loaded.first, loaded.last)),
        quality_text(loaded),
    )


def quality_text(loaded: DataLoadResults) -> str | None:
    return f"{loaded.quality.verdict} {loaded.quality.score:g}" if loaded.quality else None


def _notes(loads: Sequence[Load]) -> dict[str, list[str]]:
    """Each note once, with the series that it is about."""
    notes: dict[str, list[str]] = {}
    for load in loads:
        if load.results and load.results.note:
            notes.setdefault(load.results.note, []).append(load.series)
    return notes


def _error_of(load: Load) -> KtrdrError | None:
    found = load.operation.error if load.operation else load.error
    if not found:
        return None
    # Errors in a file begin with its name, as the label of its load does.
    is_named = found.detail.startswith((f"{load.series}, ", f"{load.series}: "))
    detail = found.detail if is_named else f"{load.series}: {found.detail}"
    return KtrdrError(detail, hint=found.hint)


def as_json_entry(load: Load) -> dict[str, Any]:
    error = _error_of(load)
    return {
        "series": load.series,
        "operation_id": load.operation.operation_id if load.operation else None,
        **(load.results.model_dump(mode="json", exclude_unset=True) if load.results else {"status": load.status}),
        **({"error": {"detail": error.detail, "hint": error.hint}} if error else {}),
    }


def keep_current(client: Client, requests: Sequence[DataLoad], every: str) -> None:
    """Load what came after the last stored bar, again and again; a line for each series that has new bars.

    Ends with Ctrl-C. A series of which nothing is stored is loaded whole.
    """
    every_s = parse_every(every)
    say(f"Keeping {len(requests)} series current, every {every}; Ctrl-C ends it")
    try:
        while True:
            began = time.monotonic()
            try:
                _round(client, _since_the_last(client, requests))
            except ServerUnreachable as lost:
                say(f"{_clock()}  {lost.detail}; trying again")
            time.sleep(max(0.0, every_s - (time.monotonic() - began)))
    except KeyboardInterrupt:
        say("Ended; the bars that came are stored")


def _since_the_last(client: Client, requests: Sequence[DataLoad]) -> list[DataLoad]:
    last = {(series.symbol, str(series.timeframe)): series.last.date() for series in client.series().series}
    return [
        request.model_copy(update={"start_date": last.get((request.symbol.upper(), request.timeframe)), "clip": True})
        for request in requests
    ]


def _round(client: Client, requests: Sequence[DataLoad]) -> None:
    loads = [_started_load(client, request) for request in requests]
    for _ in _polls(client, loads):
        pass
    for load in loads:
        _fetch_results(client, load)
        if error := _error_of(load):
            say(f"{_clock()}  {error.detail}")
        elif (loaded := load.loaded) and loaded.last and (loaded.rows_new or loaded.rows_changed):
            more = f", {loaded.rows_changed} changed" if loaded.rows_changed else ""
            last = bar_time(loaded.last, loaded.timeframe)
            print_line(f"{_clock()}  {load.series}  {loaded.rows_new:,} new{more}, to {last}")


def _clock() -> str:
    return f"{datetime.now().astimezone():%H:%M:%S}"
