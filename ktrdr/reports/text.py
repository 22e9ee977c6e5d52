"""Plain text of fixed width: wrapped sentences, pairs of name and value, tables."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ktrdr.terminal import escaped

WIDTH = 100


def wrap(text: str) -> list[str]:
    return [line for paragraph in text.splitlines() for line in textwrap.wrap(paragraph, WIDTH)]


def sentence(text: str) -> str:
    """The text with a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def pairs(values: Mapping[str, str]) -> Iterator[str]:
    width = max(map(len, values), default=0) + 2
    for name, value in values.items():
        indent = " " * width
        yield from textwrap.wrap(value, WIDTH, initial_indent=f"{name:<{width}}", subsequent_indent=indent) or [name]


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> Iterator[str]:
    """Lines of a table with columns of minimal width; the first `left` columns are flush left, the others right."""
    cells = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(
            f"{cell:<{width}}" if place < left else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )


def sections(bodies: Mapping[str, Iterable[str]]) -> str:
    """Bodies under their titles; what has no lines is left out, and so is an empty title."""
    lines: list[str] = []
    for title, body in bodies.items():
        written = list(body)
        if title and written:
            lines += ["", title, "-" * len(title)]
        lines += written
    return "\n".join(escaped(line.rstrip()) for line in lines) + "\n"
