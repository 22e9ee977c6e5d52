"""Ways to damage a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Damage = Callable[[Path], object]


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.6)])


def flip(path: Path, at: float = 0.9) -> None:
    """Flips the bits of one byte."""
    content = bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 0xFF
    path.write_bytes(content)


def fill(path: Path, content: bytes = b"garbage" * 99) -> None:
    path.write_bytes(content)
