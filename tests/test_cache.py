from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ktrdr.cache import FolderCache

ROOM = 10_000


@pytest.fixture
def cache(tmp_path: Path) -> FolderCache:
    return FolderCache(tmp_path / "cache", ROOM)


def add(cache: FolderCache, key: str, content: bytes = b"content") -> None:
    def write(folder: Path) -> None:
        (folder / "file").write_bytes(content)

    cache.add(key, write)


def content(cache: FolderCache, key: str) -> bytes | None:
    folder = cache.find(key)
    return (folder / "file").read_bytes() if folder else None


def test_what_was_added_is_there_and_nothing_else_is(cache: FolderCache) -> None:
    assert content(cache, "a") is None

    add(cache, "a")

    assert content(cache, "a") == b"content"
    assert content(cache, "b") is None
    assert [entry.folder.name for entry in cache.entries()] == ["a"]


@pytest.mark.parametrize("damage", ["change", "cut", "remove", "manifest"])
def test_a_damaged_entry_is_given_to_nobody_and_can_be_made_again(cache: FolderCache, damage: str) -> None:
    add(cache, "a")
    path = cache.root / "a" / ("manifest.json" if damage == "manifest" else "file")
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + (b"" if damage == "cut" else b"?"))
    assert cache.damaged() == [cache.root / "a"]

    assert content(cache, "a") is None
    add(cache, "a")

    assert content(cache, "a") == b"content"
    assert cache.damaged() == []


def test_what_was_used_longest_ago_goes_first(cache: FolderCache) -> None:
    size = ROOM // 3
    for age, key in enumerate("abc"):
        add(cache, key, bytes(size - 200))
        os.utime(cache.root / key, (1e9 + age, 1e9 + age))
    cache.find("a")

    add(cache, "d", bytes(size - 200))

    assert {entry.folder.name for entry in cache.entries()} == {"c", "a", "d"}
    assert sum(entry.size_bytes for entry in cache.entries()) <= ROOM
    assert cache.entries()[-1].used_at == datetime.fromtimestamp(1e9 + 2, UTC)


def test_an_entry_beyond_the_limit_is_not_kept_and_costs_no_other(cache: FolderCache) -> None:
    add(cache, "small")

    add(cache, "large", bytes(ROOM + 1))

    assert content(cache, "large") is None
    assert content(cache, "small") == b"content"


def test_of_several_that_make_the_same_entry_at_once_one_is_kept_whole(cache: FolderCache) -> None:
    with ThreadPoolExecutor(4) as writers:
        list(writers.map(lambda _: add(cache, "a", bytes(1000)), range(20)))

    assert content(cache, "a") == bytes(1000)
    assert [path.name for path in cache.root.iterdir()] == ["a"]


def test_a_write_that_fails_leaves_nothing(cache: FolderCache) -> None:
    def fail(folder: Path) -> None:
        (folder / "file").write_bytes(b"half")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        cache.add("a", fail)

    assert list(cache.root.iterdir()) == []


def test_a_draft_of_a_killed_process_is_removed_and_one_that_is_being_written_stays(cache: FolderCache) -> None:
    old, new = cache.root / ".a.1.tmp", cache.root / ".a.2.tmp"
    for draft in (old, new):
        draft.mkdir(parents=True)
    os.utime(old, (1e9, 1e9))

    add(cache, "b")

    assert new.exists()
    assert not old.exists()
    assert [entry.folder.name for entry in cache.entries()] == ["b"]


def test_a_cleared_cache_is_empty_and_an_open_file_stays_readable(cache: FolderCache) -> None:
    add(cache, "a")
    add(cache, "b")
    with (cache.root / "a" / "file").open("rb") as file:
        cache.clear()

        assert file.read() == b"content"
    assert cache.entries() == []
    cache.clear()
