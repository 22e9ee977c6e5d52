"""The places in the source where ktrdr refuses something, and which of them a test has reached."""

from __future__ import annotations

import ast
import os
import sys
from collections import Counter
from collections.abc import Iterator, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

from pydantic_core import PydanticCustomError

import ktrdr
from ktrdr.errors import Fault, KtrdrError

ROOT = Path(ktrdr.__file__).parent
Line = tuple[str, int]
_PREFIX = f"{ROOT}{os.sep}"


@dataclass(frozen=True, slots=True)
class Site:
    """One place that makes an error, or a fault of a strategy.

    name: `file function`, with the place's number in the function where there are several
    call: the expression that makes it
    """

    file: str
    name: str
    call: ast.Call

    def is_among(self, lines: Set[Line]) -> bool:
        return any((self.file, line) in lines for line in range(self.call.lineno, (self.call.end_lineno or 0) + 1))


def error_classes(base: type[KtrdrError] = KtrdrError) -> Iterator[type[KtrdrError]]:
    yield base
    for kind in base.__subclasses__():
        yield from error_classes(kind)


@cache
def raise_sites() -> tuple[Site, ...]:
    """Every call that makes an error or a fault, and every call behind `raise`."""
    return tuple(site for path in sorted(ROOT.rglob("*.py")) for site in _sites_in(path))


def _sites_in(path: Path) -> Iterator[Site]:
    file = path.relative_to(ROOT).as_posix()
    found = list(_calls(ast.parse(path.read_text(encoding="utf-8")), ""))
    total, seen = Counter(function for function, _ in found), Counter[str]()
    for function, call in found:
        seen[function] += 1
        number = f" {seen[function]}" if total[function] > 1 else ""
        yield Site(file, f"{file} {function}{number}", call)


def _calls(node: ast.AST, function: str) -> Iterator[tuple[str, ast.Call]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _calls(child, f"{function}.{child.name}".removeprefix("."))
            continue
        if isinstance(child, ast.Raise) and isinstance(child.exc, ast.Call) and _is_ours(child.exc):
            yield function, child.exc
            continue
        if isinstance(child, ast.Call) and _name(child) in _makers():
            yield function, child
        yield from _calls(child, function)


def _is_ours(call: ast.Call) -> bool:
    """Whether it makes one of ktrdr's errors; the functions that make some have names of their own."""
    return _name(call) in _makers() or _name(call).startswith("_")


@cache
def _makers() -> frozenset[str]:
    return frozenset({kind.__name__ for kind in error_classes()} | {"Fault", "PydanticCustomError"})


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


@contextmanager
def reached_lines() -> Iterator[set[Line]]:
    """The lines of ktrdr that led to an error or a fault meanwhile, in any thread."""
    lines: set[Line] = set()

    def noting(original: Any) -> Any:
        def made(*arguments: Any, **named: Any) -> Any:
            lines.update(_lines_of(sys._getframe(1)))
            return original(*arguments, **named)

        return made

    with ExitStack() as stack:
        for error in (KtrdrError, Fault):
            stack.enter_context(patch.object(error, "__init__", noting(error.__init__)))
        for module in ("ranges", "search_spec", "spec", "sections.labels", "sections.model"):
            stack.enter_context(
                patch(f"ktrdr.strategy.{module}.PydanticCustomError", noting(PydanticCustomError)),
            )
        yield lines


def _lines_of(frame: FrameType | None) -> Iterator[Line]:
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_PREFIX):
            yield file.removeprefix(_PREFIX).replace(os.sep, "/"), frame.f_lineno
        frame = frame.f_back
