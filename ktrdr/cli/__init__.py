"""The command line: `main` is the console script, and the one place where errors become exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated

import typer

from ktrdr.cli.output import print_line, show_error
from ktrdr.errors import ConflictError, InputError, KtrdrError, NotFoundError, ServerUnreachable, TrainingDataError

FAILED = 1
WRONG_USE = 2
UNREACHABLE = 3

COMMANDS = (
    "data",
    "models",
    "runs",
    "search",
    "operations",
    "ledger",
    "strategies",
    "indicators",
    "plugins",
    "serve",
    "doctor",
    "home",
    "registry",
    "cache",
    "config",
)
"""Each is a module of this package: a group of commands, or the one command of that name."""


def command_line(names: Sequence[str] = COMMANDS) -> typer.Typer:
    """The program with these of its commands."""
    app = typer.Typer(
        name="ktrdr",
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Exit codes: 0 done · 1 the operation failed or was cancelled · 2 wrong use or bad input · "
        "3 no server answers · 130 detached with Ctrl-C",
    )
    app.callback()(root)
    for name in names:
        module = import_module(f"{__name__}.{name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, name))
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from ktrdr import __version__

        print_line(f"ktrdr {__version__}")
        raise typer.Exit


def root(
    api_url: Annotated[
        str, typer.Option("--api-url", metavar="URL", help="Where the server is.", show_default="KTRDR_API_URL")
    ] = "",
    version: Annotated[
        bool,
        typer.Option("--version", metavar="", help="Print the version.", callback=_print_version, is_eager=True),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", metavar="", help="Show the stack trace of an unexpected error.")
    ] = False,
) -> None:
    """Train trading models on market bars, and watch them for free.

    To begin, with `ktrdr serve` running in another terminal:
      ktrdr data load AAPL 1d --start-date 2023-01-01 --end-date 2023-12-31
      ktrdr models train --strategy config/strategies/test_e2e.yaml \\
                         --symbols AAPL --timeframes 1d --follow

    Every command explains itself: ktrdr models train --help
    """


def exit_code(error: KtrdrError) -> int:
    if isinstance(error, ServerUnreachable):
        return UNREACHABLE
    if isinstance(error, InputError | NotFoundError | ConflictError | TrainingDataError):
        return WRONG_USE
    return FAILED


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    as_json = "--json" in arguments
    _print_whatever_the_encoding()
    try:
        ended = _as_much_as_needed(arguments)(arguments, prog_name="ktrdr", standalone_mode=False)
    except SystemExit as end:
        return _flushed(end.code if isinstance(end.code, int) else FAILED)
    except typer.TyperException as error:
        if not error.format_message():  # of a group without a command, whose help has been printed
            return _flushed(WRONG_USE)
        return _fail(_wrong_use(error), as_json=as_json)
    except typer.Abort:
        return _fail(InputError("the question was not answered", hint="say --yes to be asked nothing"), as_json=as_json)
    except KtrdrError as error:
        return _fail(error, as_json=as_json)
    except Exception as error:
        if "--debug" in arguments:
            raise
        return _fail(_unexpected(error), as_json=as_json)
    return _flushed(ended if isinstance(ended, int) else 0)


def _as_much_as_needed(arguments: Sequence[str]) -> typer.Typer:
    """Most of the time that a short command takes goes into the making of others."""
    return command_line(arguments[:1] if arguments and arguments[0] in COMMANDS else COMMANDS)


def _fail(error: KtrdrError, *, as_json: bool) -> int:
    show_error(error, as_json=as_json)
    return exit_code(error)


def _wrong_use(error: typer.TyperException) -> InputError:
    """What the command line itself refuses, as an option that does not exist."""
    context = getattr(error, "ctx", None)
    return InputError(error.format_message(), hint=f"see: {context.command_path if context else 'ktrdr'} --help")


def _unexpected(error: Exception) -> KtrdrError:
    return KtrdrError(
        f"something unexpected went wrong in ktrdr itself: {type(error).__name__}: {error}",
        hint="see where with: ktrdr --debug …",
    )


def _print_whatever_the_encoding() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def _flushed(code: int) -> int:
    """Flushes stdout while a closed pipe (`ktrdr … | head`) can still be met in silence."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
