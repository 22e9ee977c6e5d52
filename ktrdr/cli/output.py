"""What the terminal shows: data on stdout, words on stderr, colours on a terminal only.

All output of the command line goes through this module, which escapes the control characters of text from outside.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from math import floor, log10
from typing import TYPE_CHECKING, Any

import typer

from ktrdr.errors import KtrdrError
from ktrdr.formatting import NOTHING
from ktrdr.instants import parse_instant
from ktrdr.terminal import error_json, escaped, escaped_lines, indented, json_text
from ktrdr.timeframe import Timeframe

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console
    from rich.table import Table

    from ktrdr.payloads.results import FileResults

# Wider than any table: off a terminal nothing wraps, so that grep and awk see whole rows.
PIPE_WIDTH = 10_000
NAME_WIDTH, NAMES_SHOWN = 40, 3
_SIGNIFICANT_DIGITS = 6
_LEAST_PRICE_DIGITS = 2


def words_console() -> Console:
    from ktrdr.cli.console import EscapingConsole

    return EscapingConsole(sys.stderr)


def data_console() -> Console:
    from ktrdr.cli.console import EscapingConsole

    console = EscapingConsole(sys.stdout)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def say(*lines: str) -> None:
    for line in lines:
        typer.echo(escaped(line), err=True)


def print_line(line: str = "") -> None:
    typer.echo(escaped(line))


def print_lines(lines: str) -> None:
    """Several lines that are ready, such as CSV."""
    typer.echo(escaped_lines(lines), nl=False)


def confirm(question: str) -> bool:
    return typer.confirm(escaped(question), err=True)


def note(text: str, about: str = "") -> None:
    """`note: …`, or `note on the test part: …`, wrapped between words on a terminal."""
    _say_sentence(f"note on {about}: {text}" if about else f"note: {text}")


def warn(text: str) -> None:
    """`warning: …`, wrapped as a note is."""
    _say_sentence(f"warning: {text}")


def _say_sentence(sentence: str) -> None:
    console = words_console()
    if console.is_terminal:
        console.print(escaped(sentence))
    else:
        say(sentence)  # one line, so that grep sees all of it


def show_error(error: KtrdrError, *, as_json: bool = False) -> None:
    """`error: …`, one line for each fault where there are several, then `hint: …`; as JSON one object in one line."""
    if as_json:
        say(error_json(error))
        return
    console, faults = words_console(), error.faults
    if len(faults) == 1:
        _labelled(console, "error", "bold red", str(faults[0]))
    elif faults:
        _labelled(console, "error", "bold red", f"{len(faults)} faults:")
        for each in faults:
            console.print(f"  {escaped(str(each))}", soft_wrap=True)
    else:
        _labelled(console, "error", "bold red", error.detail)
    if error.hint:
        _labelled(console, "hint", "bold cyan", error.hint)


def _labelled(console: Console, label: str, style: str, text: str) -> None:
    console.print(f"{label}:", style=style, end=" ")
    console.print(indented(text), soft_wrap=True)


def print_json(value: BaseModel | Mapping[str, Any] | Sequence[Any]) -> None:
    from pydantic import BaseModel

    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    typer.echo(json_text(plain, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """A table with a heading. The first column names the row; a column called `>…` holds numbers; neither wraps."""
    from rich.table import Table

    console = data_console()
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    table.title, table.title_justify, table.title_style = title or None, "left", "bold"
    for index, column in enumerate(columns):
        is_number = column.startswith(">")
        table.add_column(
            column.removeprefix(">"),
            justify="right" if is_number else "left",
            no_wrap=is_number or index == 0,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(text(cell) for cell in row))
    _print(console, table)


def fitting(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """The columns for which a terminal has room, the first ones before later ones; all of them off a terminal."""
    from rich.cells import cell_len

    console, shown, used = data_console(), [], -2
    for place, column in enumerate(columns):
        width = 2 + max(cell_len(cell) for cell in (column.removeprefix(">"), *(row[place] for row in rows)))
        if not console.is_terminal or used + width <= console.width:
            shown.append(place)
            used += width
    return shown


def print_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Names beside values, one to a line; long values are left to the terminal to wrap, so that they can be copied."""
    console = data_console()
    rows = [(name, text(value)) for name, value in fields]
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        console.print(f"{name:{width}}", style="cyan", end="  ")
        console.print(value, soft_wrap=True)


def _print(console: Console, table: Table) -> None:
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        typer.echo(line.rstrip())


def shortened(words: str, width: int = NAME_WIDTH) -> str:
    """The words, or as many characters of them as `width` allows."""
    return words if len(words) <= width else f"{words[: width - 1]}…"


def few(names: Sequence[str]) -> str:
    """`AAPL,MSFT`; of many the first and how many there are more: `AAPL,MSFT,SPY and 57 more`."""
    shown = names if len(names) <= NAMES_SHOWN + 1 else names[:NAMES_SHOWN]
    rest = len(names) - len(shown)
    return ",".join(shown) + (f" and {rest} more" if rest else "")


def text(value: object) -> str:
    """A value as a cell shows it."""
    match value:
        case None | "" | []:
            return NOTHING
        case Mapping():
            return ", ".join(f"{name} {text(item)}" for name, item in value.items()) or NOTHING
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return number(value)
        case datetime():
            return f"{value.astimezone():%Y-%m-%d %H:%M:%S}"
        case date():
            return value.isoformat()
        case list() | tuple():
            return ", ".join(text(item) for item in value)
        case _:
            return escaped(str(value))


def number(value: float) -> str:
    if value and not 1e-4 <= abs(value) < 1e15:
        return f"{value:.4g}"
    return f"{value:,.4f}".rstrip("0").rstrip(".")


def fixed(value: Any, digits: int = 4) -> str:
    """A number with the same digits in every row of a column."""
    return f"{value:,.{digits}f}" if isinstance(value, int | float) else NOTHING


def price_digits(prices: Iterable[float]) -> int:
    """Decimals that show six significant digits of the smallest of these prices, and two at least."""
    smallest = min((price for price in prices if price > 0), default=1.0)
    return max(_LEAST_PRICE_DIGITS, _SIGNIFICANT_DIGITS - 1 - floor(log10(smallest)))


def volume_digits(volumes: Iterable[float]) -> int:
    """None where all volumes are whole, as those of shares are; else as of prices."""
    every = list(volumes)
    return 0 if all(volume == floor(volume) for volume in every) else price_digits(every)


def brief_time(instant: datetime) -> str:
    """The time of day where it is today, else the day."""
    local = instant.astimezone()
    return f"{local:%H:%M:%S}" if local.date() == datetime.now().astimezone().date() else f"{local:%Y-%m-%d}"


def bar_time(instant: datetime | str, timeframe: str) -> str:
    """The opening of a bar in UTC; a day's bar needs no hour."""
    moment = parse_instant(instant) if isinstance(instant, str) else instant
    return f"{moment:%Y-%m-%d}" if Timeframe(timeframe).is_by_date else f"{moment:%Y-%m-%d %H:%M}"


def percent(value: float) -> str:
    """Whole percent, rounded down: 100 is shown for what is done, and for nothing else."""
    return f"{int(value)} %"


def file_fields(results: FileResults) -> list[tuple[str, object]]:
    """The folder once, then the names in it; paths are the server's, which may be another system's."""
    files = [(name.replace("_", " "), path) for name, path in results.files.items()]
    folders = {re.split(r"[\\/][^\\/]*$", path)[0] for _, path in files}
    if len(folders) != 1:
        return list(files)
    (folder,) = folders
    return [("folder", folder), *((name, path[len(folder) + 1 :]) for name, path in files)]
