from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ktrdr.errors import HomeInUse, StorageError
from ktrdr.home import Home, HomeLock

HOLD = """
import sys, time
from pathlib import Path
from ktrdr.home import Home, HomeLock
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
