"""`ktrdr indicators`: list, show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ktrdr.cli import completion
from ktrdr.cli.client import connect
from ktrdr.cli.options import AsJson
from ktrdr.cli.output import print_fields, print_json, print_line, print_table, say, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel, JsonValue

    from ktrdr.api.schemas.strategies import Indicator, IndicatorParameter

_EXPRESSIONS = "expression"
_PLUGINS = "Plugins"

app = typer.Typer(no_args_is_help=True, help="The indicators that a strategy may name.")


@app.command("list")
def list_indicators(
    ctx: typer.Context,
    word: Annotated[
        str, typer.Argument(metavar="[WORD]", help="Only those with it in name, title or group.", show_default=False)
    ] = "",
    as_json: AsJson = False,
) -> None:
    """List the indicators, all or those of a group.

    Groups: cycle, math, momentum, overlap, pattern, price, statistic,
    volatility, volume, plugins; and expression, what only expressions may
    name.

    Example:
      ktrdr indicators list momentum
    """
    known = connect(ctx).indicators()
    indicators = [one for one in known.indicators if _has(word, one.name, one.title, one.group)]
    names = [one for one in known.expression_names if _has(word, one.call, one.title, _EXPRESSIONS)]
    if as_json:
        print_json({"indicators": _plain(indicators), "expression_names": _plain(names)})
        return
    if indicators or not names:
        print_table(
            ("name", "title", "parameters", "outputs"),
            [(one.name, one.title, [_parameter(p) for p in one.parameters], one.outputs) for one in indicators],
        )
    if names:
        if indicators:
            print_line()
        print_table(("in expressions also", "which is"), [(one.call, one.title) for one in names])
    if not indicators and not names:
        say(f"No indicator has {word!r} in its name, title or group.")


@app.command()
def show(
    ctx: typer.Context,
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Such as rsi.", show_default=False, autocompletion=completion.indicators),
    ],
    as_json: AsJson = False,
) -> None:
    """Show one indicator: inputs, parameters, outputs, and how a strategy names it."""
    indicator = connect(ctx).indicator(name)
    if as_json:
        print_json(indicator)
        return
    print_fields(
        [
            ("name", indicator.name),
            ("title", indicator.title),
            ("group", indicator.group),
            ("inputs", indicator.inputs),
            ("parameters", [_parameter(parameter) for parameter in indicator.parameters]),
            ("outputs", indicator.outputs),
            ("enters a model as", indicator.enters_as),
            ("warm-up rows", indicator.warmup),
        ]
    )
    print_line()
    for line in _yaml(indicator):
        print_line(line)


def _has(word: str, *texts: str) -> bool:
    return word.casefold() in " ".join(texts).casefold()


def _plain(models: Sequence[BaseModel]) -> list[JsonValue]:
    return [each.model_dump(mode="json") for each in models]


def _parameter(parameter: IndicatorParameter) -> str:
    return f"{parameter.name}={_default(parameter)}"


def _default(parameter: IndicatorParameter) -> str:
    return str(int(parameter.default)) if parameter.integer else text(parameter.default)


def _yaml(indicator: Indicator) -> list[str]:
    key = "plugin" if indicator.group == _PLUGINS else "name"
    lines = ["indicators:", f"  - {key}: {indicator.name.lower()}"]
    return lines + [f"    {parameter.name}: {_default(parameter)}" for parameter in indicator.parameters]
