"""Files of plugins that tests write and name in the setting."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ktrdr.plugins import loading

HEAD = "import polars as pl\n\nfrom ktrdr.plugins import feature, label, network\n\n\n"
"""Five lines."""

EXAMPLE = Path(__file__).parents[1] / "examples" / "plugins.py"

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a file of plugins, and name it in KTRDR_PLUGINS in this process, in which no other was loaded."""
    monkeypatch.setattr(loading, "_files_by_hash", {})

    def write_file(text: str, name: str = "mine.py") -> Path:
        path = tmp_path / name
        path.write_text(HEAD + text, encoding="utf-8")
        name_files(monkeypatch, path)
        return path

    return write_file


def name_files(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    monkeypatch.setenv("KTRDR_PLUGINS", os.pathsep.join(map(str, paths)))
