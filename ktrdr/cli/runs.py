"""`ktrdr runs`: list, tag, note."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ktrdr.cli import completion
from ktrdr.cli.client import connect
from ktrdr.cli.options import AsJson, OperationId, valid
from ktrdr.cli.output import fitting, print_json, print_lines, print_table, say, shortened, text
from ktrdr.errors import InputError
from ktrdr.formatting import NOTHING, counted, duration, gain, p_value, percentage, score, signed_score

if TYPE_CHECKING:
    from ktrdr.api.schemas.runs import Annotate, RunSelection
    from ktrdr.payloads.runs import RunTable, Value

_LIST = "list"
_HELP = ("-h", "--help")
_ID_DIGITS = 6
_CELL_WIDTH = 24
_WRITTEN: Mapping[str, Callable[[Any], str]] = {
    "accuracy": percentage,
    "balanced_accuracy": percentage,
    "val_loss": score,
    "lead": signed_score,
    "p": p_value,
    "adjusted_p": p_value,
    "total_return": gain,
    "drawdown": gain,
    "duration": duration,
}


class ListByDefault(TyperGroup):
    """Takes what is no command of its own as the arguments of `list`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        is_own = bool(args) and (args[0] in self.commands or args[0] in _HELP)
        return super().parse_args(ctx, args if is_own else [_LIST, *args])


app = typer.Typer(
    cls=ListByDefault,
    help="Rank trainings by what went in and what came out; tag and note them. Without a command: list.",
)


@app.command(_LIST)
def list_runs(
    ctx: typer.Context,
    query: Annotated[
        str, typer.Argument(metavar="QUERY", help="Text that ids, names, tags or notes contain.", show_default=False)
    ] = "",
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            "-w",
            metavar="'lead>0'",
            help="What must hold, by = != < <= > >=, and ~ for text that contains it; all of several.",
            show_default=False,
        ),
    ] = None,
    sort: Annotated[
        list[str] | None,
        typer.Option("--sort", "-s", metavar="-lead", help="A column; with - the greatest first.", show_default=False),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--columns", "-c", metavar="A,B", help="These alone; * for all that have values.", show_default=False
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="How many.")] = 20,
    as_csv: Annotated[bool, typer.Option("--csv", metavar="", help="Print CSV on stdout, all columns.")] = False,
    as_json: AsJson = False,
) -> None:
    """List trainings, folds and trials, newest first, with the settings in which they differ.

    A setting is named by its path in the strategy, an indicator's also by the
    name that it declares with `as`: indicators[0].period, fast.period.

    Examples:
      ktrdr runs --where 'training.learning_rate<0.01' --sort -lead
      ktrdr runs rsi -w status=completed -w 'fast.period>=10' -s val_loss
      ktrdr runs --columns '*' --csv > runs.csv
    """
    client = connect(ctx)
    selection = _selection(q=query, where=where or [], sort=sort or [], columns=columns or [], limit=limit)
    if as_csv:
        print_lines(client.runs_csv(selection))
        return
    table = client.runs(selection)
    if as_json:
        print_json(table)
    elif table.rows:
        _print(table, is_chosen=bool(columns))
    else:
        say("No runs match." if query or where else "No runs yet. Train one with: ktrdr models train --help")
    if table.unread:
        say(f"{counted(table.unread, 'run')} of an earlier version are still being read; ask again soon")
    if len(table.rows) < table.total:
        say(f"{len(table.rows)} of {counted(table.total, 'run')}; see more with --limit")


def _print(table: RunTable, *, is_chosen: bool) -> None:
    """As many columns as the terminal has room for, unless they were chosen."""
    headings = [f">{column.title}" if column.is_number else column.title for column in table.columns]
    rows = [[_cell(*each) for each in zip(_names(table), row.values, strict=True)] for row in table.rows]
    shown = range(len(headings)) if is_chosen else fitting(headings, rows)
    print_table([headings[place] for place in shown], [[row[place] for place in shown] for row in rows])
    if left := [name for place, name in enumerate(_names(table)) if place not in shown]:
        say(f"Without {', '.join(left)}; name what you want with --columns")


def _names(table: RunTable) -> Sequence[str]:
    return [column.name for column in table.columns]


def _cell(name: str, value: Value) -> str:
    if value is None or value == ():
        return NOTHING
    if name in ("id", "whole"):
        return str(value)[-_ID_DIGITS:]
    if name in ("created", "start_date", "end_date"):
        return str(value)[:10]
    return shortened(_WRITTEN.get(name, text)(value), _CELL_WIDTH)


@app.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]},
    no_args_is_help=True,
)
def tag(
    ctx: typer.Context,
    operation_ids_and_tags: Annotated[
        list[str],
        typer.Argument(
            metavar="ID... +TAG -TAG",
            help="Runs, tags to add and tags to remove.",
            show_default=False,
            autocompletion=completion.operation_ids,
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Add tags to runs with +, and remove them with -.

    Example:
      ktrdr runs tag k3x9ab last +baseline -draft
    """
    signed = [each for each in operation_ids_and_tags if each[:1] in ("+", "-")]
    operation_ids = [each for each in operation_ids_and_tags if each not in signed]
    if not operation_ids or not signed:
        missing = "tag" if operation_ids else "run"
        raise InputError(f"there is no {missing} among the arguments", hint="write: ktrdr runs tag ID +baseline -draft")
    tags = {sign: [each[1:] for each in signed if each[0] == sign] for sign in "+-"}
    _annotate(ctx, _request(operation_ids=operation_ids, add=tags["+"], remove=tags["-"]), as_json)


@app.command()
def note(
    ctx: typer.Context,
    operation_id: OperationId,
    words: Annotated[str, typer.Argument(metavar="TEXT", help="In place of the present note; '' removes it.")],
    as_json: AsJson = False,
) -> None:
    """Write a note to a run.

    Example:
      ktrdr runs note last "The calendar was wrong until 2021; see the next one."
    """
    _annotate(ctx, _request(operation_ids=[operation_id], note=words), as_json)


def _selection(**fields: object) -> RunSelection:
    from ktrdr.api.schemas.runs import RunSelection

    return valid(RunSelection, fields, hint="see: ktrdr runs list --help")


def _request(**fields: object) -> Annotate:
    from ktrdr.api.schemas.runs import Annotate

    hint = "a tag has at most 40 letters, digits and _ . : / -, a note at most 2,000 characters"
    return valid(Annotate, fields, hint=hint)


def _annotate(ctx: typer.Context, request: Annotate, as_json: bool) -> None:
    annotated = connect(ctx).annotate(request)
    if as_json:
        print_json(annotated)
        return
    with_notes = any(run.note for run in annotated.runs)
    rows = [(run.operation_id, run.name, run.tags, *([run.note] if with_notes else [])) for run in annotated.runs]
    print_table(("id", "name", "tags", *(["note"] if with_notes else [])), rows)
