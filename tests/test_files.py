"""A file is there whole, or as it was."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ktrdr.files import drafts_within, make_folder, remove_drafts, write_atomically


def test_what_is_written_replaces_what_was(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.json"
    make_folder(path.parent)

    write_atomically(path, b"old")
    write_atomically(path, b"new")

    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_no_draft(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.json"
    write_atomically(path, b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_drafts_of_the_killed_are_removed_and_nothing_else(tmp_path: Path) -> None:
    path, neighbour = tmp_path / "1d.parquet", tmp_path / ".11d.parquet.abc.tmp"
    (tmp_path / ".1d.parquet.abc.tmp").write_bytes(b"half")
    neighbour.write_bytes(b"half")

    remove_drafts(path)

    assert list(tmp_path.iterdir()) == [neighbour]


def test_drafts_are_found_in_every_folder_below(tmp_path: Path) -> None:
    drafts = [tmp_path / "a" / ".1d.parquet.abc.tmp", tmp_path / "a" / "b" / "bridge.new"]
    drafts[1].parent.mkdir(parents=True)
    for path in (*drafts, tmp_path / "a" / "1d.parquet"):
        path.write_bytes(b"half")

    assert drafts_within(tmp_path) == drafts
