"""What checks of all rooms share: findings, repairs and their backup."""

from __future__ import annotations

from pathlib import Path

import pytest

from ktrdr.findings import Backup, Finding, Level, check_each, check_json, damage, damaged_file, subfolders, summarised

NOTE, FAULT = (Finding(level, "bars", "x") for level in (Level.NOTE, Level.FAULT))


def test_a_part_without_faults_is_sound() -> None:
    assert summarised("bars", "2 series", [NOTE]) == [Finding(Level.OK, "bars", "2 series"), NOTE]
    assert summarised("bars", "2 series", [NOTE, FAULT]) == [NOTE, FAULT]


def test_findings_of_many_items_come_in_the_order_of_the_items() -> None:
    findings = check_each(lambda number: [Finding(Level.NOTE, "bars", str(number))] * (number % 3), range(50))

    assert [finding.what for finding in findings] == [str(n) for n in range(50) for _ in range(n % 3)]


def test_a_backup_keeps_paths_and_is_made_when_it_is_needed(tmp_path: Path) -> None:
    backup = Backup(tmp_path)
    moved, copied = tmp_path / "a" / "moved", tmp_path / "copied"
    moved.parent.mkdir()
    for path in (moved, copied):
        path.write_text(path.name)

    assert backup.move(tmp_path / "missing") == f"moved to backup/{backup.folder.name}"
    assert not backup.folder.exists()
    backup.move(moved)
    backup.copy(copied, tmp_path / "missing")

    assert not moved.exists()
    assert copied.exists()
    assert (backup.folder / "a" / "moved").read_text() == "moved"
    assert (backup.folder / "copied").read_text() == "copied"


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"{}", ""), (b"[1]", "not a JSON object"), (b"{", "Expecting"), (b"\xff", "decode"), (None, "")],
)
def test_damage_says_why_a_file_cannot_be_read(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "job.json"
    if content is not None:
        path.write_bytes(content)

    found = damage(check_json, path)

    assert found is None if not words else found and words in found.reason and found.is_certain


def test_what_cannot_be_read_just_now_is_not_moved_away(tmp_path: Path) -> None:
    def refuse(path: Path) -> None:
        raise OSError(5, "Input/output error")

    found = damage(refuse, tmp_path / "a" / "bridge")
    assert found

    finding = damaged_file("operations", tmp_path / "a" / "bridge", tmp_path, found, "never mind")

    assert finding.what == "a/bridge cannot be read just now: [Errno 5] Input/output error"
    assert (finding.level, finding.repair) == (Level.FAULT, None)


def test_subfolders_are_sorted_and_leave_files_out(tmp_path: Path) -> None:
    for name in "ba":
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_text("")

    assert list(subfolders(tmp_path)) == ["a", "b"]
    assert subfolders(tmp_path / "none") == {}
