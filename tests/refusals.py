"""What every refusal shows, over HTTP and on the command line, and what it must leave as it was."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import httpx


class Ended(Protocol):
    """A command that has ended."""

    @property
    def code(self) -> int: ...

    @property
    def out(self) -> str: ...

    @property
    def err(self) -> str: ...


def check_problem(response: httpx.Response, status: int, code: str, *words: str) -> dict[str, Any]:
    """The response is this problem, says these words, and shows nothing of the server's inside."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert {"type", "title", "status", "code", "detail", "hint", "instance"} <= problem.keys()
    assert (problem["status"], problem["code"]) == (status, code)
    said = f"{problem['detail']} {problem['hint']}"
    assert all(word in said for word in words), said
    assert not re.search(r'Traceback|File ".*\.py"', response.text)
    return problem


def check_refusal(done: Ended, code: int, *words: str) -> None:
    """The command ended with this code and told why, in words and not in a stack trace."""
    assert done.code == code, (done.code, done.out, done.err)
    assert all(word in done.err for word in words), done.err
    assert "error: " in done.err
    assert not re.search(r'Traceback|File ".*\.py"', done.out + done.err)


def stored(home: Path) -> Mapping[str, str]:
    """The bars, models and uploads there are, with their content."""
    files = [path for folder in ("bars", "models", "uploads") for path in (home / folder).rglob("*") if path.is_file()]
    return {
        str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if not path.name.endswith(".lock")
    }


def everything(home: Path) -> Mapping[str, str]:
    """All that a home holds but its logs: each file with its content, and each row of the registry."""
    files = {
        str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in home.rglob("*")
        if path.is_file() and "logs" not in path.relative_to(home).parts and not path.name.startswith("registry.sqlite")
    }
    with closing(sqlite3.connect(f"file:{home / 'registry.sqlite'}?mode=ro", uri=True)) as registry:
        tables = [name for (name,) in registry.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: str(sorted(registry.execute(f'SELECT * FROM "{name}"'), key=repr)) for name in tables}
    return files | rows
