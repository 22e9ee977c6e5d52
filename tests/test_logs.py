from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ktrdr import logs
from ktrdr.errors import StorageError

LINE = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} INFO "


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    root = logging.getLogger()
    before = root.handlers[:]
    path = tmp_path / "logs" / "ktrdr.log"
    logs.configure(path, "INFO", rotates=True)
    yield path
    for handler in root.handlers[:]:
        if handler not in before:
            root.removeHandler(handler)
            handler.close()
    root.handlers[:] = before
    logging.raiseExceptions = True


def test_a_line_has_its_form_and_names_on_whose_behalf_it_is(log_file: Path) -> None:
    token = logs.on_behalf_of.set("req-1f")
    logging.getLogger("ktrdr.test").info("Created operation %s", "op_x")
    logs.on_behalf_of.reset(token)
    logging.getLogger("ktrdr.test").info("alone")

    with_source, alone = log_file.read_text().splitlines()
    assert with_source[24:] == "INFO Created operation op_x [req-1f]"
    assert alone[24:] == "INFO alone"


def test_nobody_writes_a_line_of_their_own(log_file: Path) -> None:
    logging.getLogger("ktrdr.test").info("GET %s", "/x\n2026-01-01 00:00:00.000 ERROR forged\r\x1b[31m")

    (line,) = log_file.read_text().splitlines()
    assert "\\x0a2026-01-01" in line
    assert "\x1b" not in line


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match=r"file/logs/ktrdr\.log cannot be written"):
        logs.configure(tmp_path / "file" / "logs" / "ktrdr.log", "INFO", rotates=True)


def write(text: str) -> None:
    logging.getLogger("ktrdr.test").info(text)


def test_a_log_that_was_removed_is_opened_anew(log_file: Path) -> None:
    write("before")
    log_file.unlink()
    write("after")

    assert [line[24:] for line in log_file.read_text().splitlines()] == ["INFO after"]


def test_a_log_that_was_rotated_from_outside_is_left_behind(log_file: Path) -> None:
    write("before")
    rotated = log_file.rename(log_file.with_name("ktrdr.log.old"))
    write("after")

    assert (rotated.read_text()[24:], log_file.read_text()[24:]) == ("INFO before\n", "INFO after\n")


def test_a_folder_of_logs_that_was_removed_comes_back(log_file: Path) -> None:
    shutil.rmtree(log_file.parent)
    write("after")

    assert log_file.read_text()[24:] == "INFO after\n"


def test_a_home_that_was_removed_does_not_come_back_and_stops_nobody(tmp_path: Path, log_file: Path) -> None:
    log_file.parent.rename(tmp_path.parent / f"{tmp_path.name}-logs")
    tmp_path.rename(tmp_path.with_name(f"{tmp_path.name}-gone"))
    write("nobody reads this")

    assert not tmp_path.exists()
