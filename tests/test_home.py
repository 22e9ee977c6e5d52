from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ktrdr.errors import HomeInUse, StorageError
from ktrdr.home import Home, HomeLock, is_held, read_holder

HOLD = """
import sys, time
from pathlib import Path
from ktrdr.home import Home, HomeLock, is_held, read_holder
with HomeLock(Home(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.processes
def test_one_server_at_a_time_holds_a_home_and_its_death_lets_go(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()

        with pytest.raises(HomeInUse, match=f"process {holder.pid}") as refused, HomeLock(Home(tmp_path)):
            pass

        assert refused.value.context["pid"] == holder.pid
        holder.kill()
        holder.wait()
        with HomeLock(Home(tmp_path)):
            pass


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(StorageError, match="file/home cannot be used as KTRDR_HOME"),
        HomeLock(Home(tmp_path / "file" / "home")),
    ):
        pass


def test_a_deleted_lock_file_lets_no_second_server_in_and_comes_back(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with HomeLock(home) as lock:
        home.lock_file.unlink()

        assert is_held(home)
        with pytest.raises(HomeInUse, match="a server is running"), HomeLock(home):
            pass
        lock.check()

        assert read_holder(home) == os.getpid()
    assert not is_held(home)


def test_a_replaced_lock_file_lets_no_second_server_in_either(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with HomeLock(home) as lock:
        home.lock_file.unlink()
        home.lock_file.write_text("1")

        with pytest.raises(HomeInUse), HomeLock(home):
            pass
        lock.check()

        assert read_holder(home) == os.getpid()


def test_a_server_of_an_earlier_version_holds_the_lock_file_alone(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home.lock_file.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        assert is_held(home)
        with pytest.raises(HomeInUse), HomeLock(home):
            pass


@pytest.mark.parametrize("has_successor", [True, False])
def test_a_server_notices_that_its_folder_was_moved_away(tmp_path: Path, has_successor: bool) -> None:
    home = Home(tmp_path / "home")
    with HomeLock(home) as lock:
        home.root.rename(tmp_path / "moved")
        if has_successor:
            home.root.mkdir()

        with pytest.raises(StorageError, match="is no longer the folder that this server was started on"):
            lock.check()
        assert is_held(Home(tmp_path / "moved"))
