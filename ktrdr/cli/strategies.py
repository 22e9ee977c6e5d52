"""`ktrdr strategies`: validate, audit, schema."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ktrdr.cli.client import connect
from ktrdr.cli.options import AsJson, EndDate, StartDate, Symbols, Timeframes, check_range, split_list
from ktrdr.cli.outcome import finish
from ktrdr.cli.output import print_json, print_line, say, warn
from ktrdr.cli.watch import watch
from ktrdr.errors import Fault, InputError

if TYPE_CHECKING:
    from ktrdr.api.schemas.strategies import SearchOutline

LARGEST_BYTES = 1_000_000

app = typer.Typer(no_args_is_help=True, help="Check strategy files and see what they may say.")


@app.command()
def validate(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The strategy, a YAML file.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """List every fault of a strategy at once, with its line and the nearest right name.

    A warning names each key that does nothing in this strategy.
    With --json, a valid strategy comes with all its defaults filled in.
    The exit code is 2 where there are faults.

    Example:
      ktrdr strategies validate config/strategies/test_e2e.yaml
    """
    verdict = connect(ctx).validate(read_strategy(file))
    if as_json:
        print_json(verdict)
    else:
        for entry in verdict.faults:
            print_line(str(Fault.from_dict(entry.model_dump())))
    for warning in verdict.warnings:
        warn(warning)
    if verdict.valid:
        say(f"{file} is valid{_about_search(verdict.search)}")
        return
    count = len(verdict.faults)
    raise InputError(
        f"{file} has {count} {'fault' if count == 1 else 'faults'}",
        hint="ktrdr strategies schema shows every key with its range",
    )


def _about_search(search: SearchOutline | None) -> str:
    if search is None:
        return ""
    different = "" if search.different is None else f" of {search.different:,} different ones"
    keys = ", ".join(key.path for key in search.keys)
    return f": a search of {search.trials:,} trials{different} over {keys}"


@app.command()
def audit(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The strategy, a YAML file.", show_default=False)],
    symbols: Symbols,
    timeframes: Timeframes = None,
    start_date: StartDate = None,
    end_date: EndDate = None,
    as_json: AsJson = False,
) -> None:
    """Look for leaks: values that depend on bars which had not closed yet.

    Every training does this at sampled bars; here it is done exhaustively.
    The exit code is 1 where a leak is found.

    Example:
      ktrdr strategies audit my.yaml --symbols AAPL --timeframes 1d
    """
    check_range(start_date, end_date)
    from ktrdr.api.schemas.training import Audit
    from ktrdr.payloads.leaks import AuditResults

    client = connect(ctx)
    started = client.audit(
        Audit(
            strategy=read_strategy(file),
            symbols=split_list(symbols, "--symbols"),
            timeframes=split_list(timeframes, "--timeframes") if timeframes else [],
            start_date=start_date,
            end_date=end_date,
        )
    )
    results = finish(client, watch(client, started.operation_id), as_json)
    if not (isinstance(results, AuditResults) and results.passed):
        raise typer.Exit(1)


@app.command()
def schema(ctx: typer.Context) -> None:
    """Print the JSON Schema of strategies, ranges of searches included, for editors and other tools."""
    print_json(connect(ctx).strategy_schema())


def read_strategy(file: Path) -> str:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise InputError(f"there is no file {file}", hint="give the path of a strategy's YAML file") from None
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}", hint="give the path of a YAML file") from None
    if len(content) > LARGEST_BYTES:
        raise InputError(
            f"{file} has {len(content):,} bytes; a strategy has at most {LARGEST_BYTES:,}",
            hint="give the strategy's YAML file",
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not text in UTF-8 (byte {error.start})", hint="save it as UTF-8") from None
