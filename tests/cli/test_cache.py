from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ktrdr.cache import FolderCache
from ktrdr.home import Home

if TYPE_CHECKING:
    from tests.cli.conftest import Run


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderCache:
    monkeypatch.setenv("KTRDR_HOME", str(tmp_path))
    monkeypatch.setenv("KTRDR_CACHE_LIMIT", "5000000")
    cache = FolderCache(Home(tmp_path).datasets, 10**9)
    cache.add("0123456789abcdef", lambda folder: (folder / "values.npy").touch(), "AAPL\x1b[2J: 3 bars")
    return cache


def test_it_lists_the_entries_and_what_they_take_together(ktrdr: Run, cache: FolderCache) -> None:
    shown = ktrdr("cache")

    (entry,) = cache.entries()
    heading, row, total = shown.out.splitlines()
    assert heading.split() == ["dataset", "of", "size", "used"]
    assert row.startswith("0123456789ab  AAPL\\x1b[2J: 3 bars")
    assert total == f"1 dataset, {entry.size_bytes} B of at most 5.0 MB."
    document = ktrdr("cache", "--json").json
    assert (document["size_bytes"], document["limit_bytes"]) == (entry.size_bytes, 5_000_000)
    assert document["datasets"][0]["dataset"] == "0123456789abcdef"
    assert document["datasets"][0]["used_at"] == entry.used_at.isoformat(timespec="seconds")


def test_cleared_it_is_empty(ktrdr: Run, cache: FolderCache) -> None:
    assert ktrdr("cache", "clear").out.startswith("Removed 1 dataset, ")

    assert cache.entries() == []
    assert ktrdr("cache").out == "0 datasets, 0 B of at most 5.0 MB.\n"
    assert ktrdr("cache", "clear", "--json").json == {"removed": 0, "size_bytes": 0}


def test_a_folder_that_cannot_be_changed_is_named(
    ktrdr: Run, cache: FolderCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ktrdr.cache.os.rename", refuse)

    refused = ktrdr("cache", "clear")

    assert refused.code == 1
    assert f"{cache.root} cannot be cleared" in refused.err
    assert "hint: fix its permissions" in refused.err
