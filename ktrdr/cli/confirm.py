"""The question before what cannot be undone."""

from __future__ import annotations

import sys

import typer

from ktrdr.cli import output
from ktrdr.cli.loads import FAILED
from ktrdr.errors import InputError


def is_terminal() -> bool:
    return sys.stdin.isatty()


def confirm(question: str) -> None:
    """Raises InputError where nobody can be asked, and Exit for a no."""
    if not is_terminal():
        raise InputError(f"{question} Without a terminal nobody can be asked", hint="say so with --yes")
    if not output.confirm(question):
        raise typer.Exit(FAILED)
