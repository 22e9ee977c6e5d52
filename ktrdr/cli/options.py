"""Arguments and options that several commands share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from ktrdr.cli import completion
from ktrdr.errors import InputError
from ktrdr.timeframe import Timeframe as KnownTimeframe

if TYPE_CHECKING:
    from pydantic import BaseModel

    Body = TypeVar("Body", bound=BaseModel)


def parse_date(text: str) -> date:
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 (a calendar day has no zone)
    except ValueError:
        raise InputError(f"{text!r} is not a date", hint="write dates as YYYY-MM-DD, such as 2023-06-30") from None
    return day


def check_range(start: date | None, end: date | None) -> None:
    if start and end and start > end:
        raise InputError(
            f"--start-date {start} is after --end-date {end}", hint="both days are included; exchange the two"
        )


def split_list(values: list[str], option: str) -> list[str]:
    """`["AAPL,MSFT", "SPY"]` → `["AAPL", "MSFT", "SPY"]`, each once and in order."""
    names = dict.fromkeys(name.strip() for value in values for name in value.split(","))
    names.pop("", None)
    if not names:
        raise InputError(f"{option} names nothing", hint=f"separate several with commas: {option} A,B")
    return list(names)


def valid(shape: type[Body], fields: Mapping[str, object], *, hint: str) -> Body:
    """A request with these fields. Raises InputError for the first that is wrong."""
    from pydantic import ValidationError

    try:
        return shape.model_validate(fields)
    except ValidationError as error:
        fault = error.errors()[0]
        place = " ".join(str(part) for part in fault["loc"] if isinstance(part, str)).replace("_", " ")
        value = f"; it is {str(fault['input'])[:100]!r}" if fault["loc"] else ""
        raise InputError(f"{place or 'the request'}: {fault['msg']}{value}", hint=hint) from None


def parse_settings(texts: list[str] | None) -> dict[str, object] | None:
    """`["training.epochs=5"]` → `{"training.epochs": 5}`; values are YAML."""
    return dict(map(_parse_setting, texts)) if texts else None


def _parse_setting(text: str) -> tuple[str, object]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise InputError(f"--set {text} names no key with a value", hint="write --set training.learning_rate=0.001")
    try:
        parsed = YAML(typ="safe", pure=True).load(value)
        json.dumps(parsed, allow_nan=False)
    except (YAMLError, ValueError, TypeError):
        raise InputError(f"the value in --set {text} is not valid", hint="quote it as in YAML") from None
    return path.strip(), parsed


Symbol = Annotated[
    str,
    typer.Argument(metavar="SYMBOL", help="Such as AAPL.", show_default=False, autocompletion=completion.symbols),
]
Symbols = Annotated[
    list[str],
    typer.Option(
        "--symbols", metavar="A,B", help="Commas or repetition for several.", autocompletion=completion.symbols
    ),
]
Timeframe = Annotated[
    str,
    typer.Argument(
        metavar="TIMEFRAME",
        help=f"One of {', '.join(KnownTimeframe)}.",
        show_default=False,
        autocompletion=completion.timeframes,
    ),
]
ModelSymbols = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SYMBOL]...",
        help="Commas or repetition for several; those of the training where there are none.",
        autocompletion=completion.symbols,
        show_default=False,
    ),
]
Timeframes = Annotated[
    list[str] | None,
    typer.Option(
        "--timeframes",
        metavar="1h,1d",
        help="Commas for several; may be left out where the strategy names its own.",
        show_default=False,
        autocompletion=completion.timeframes,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Another value for a key, as training.epochs=5 or indicators[0].period=10. Repeat it for several.",
        show_default=False,
    ),
]
StartDate = Annotated[
    date | None,
    typer.Option(
        "--start-date",
        metavar="YYYY-MM-DD",
        parser=parse_date,
        help="First day, inclusive (UTC).",
        show_default=False,
    ),
]
EndDate = Annotated[
    date | None,
    typer.Option(
        "--end-date", metavar="YYYY-MM-DD", parser=parse_date, help="Last day, inclusive (UTC).", show_default=False
    ),
]
OperationId = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="The operation's id, its ending such as k3x9ab, or last.",
        show_default=False,
        autocompletion=completion.operation_ids,
    ),
]
Calendar = Annotated[
    str,
    typer.Option(
        "--calendar",
        metavar="XNYS",
        help="The market's, from now on: an exchange, 24/5 (FX) or 24/7; guess forgets it.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON on stdout instead of a table.")]
Follow = Annotated[
    bool, typer.Option("--follow", "-f", metavar="", help="Watch it live to its end. Ctrl-C only detaches.")
]
