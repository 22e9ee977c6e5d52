"""No secret of the settings is written, logged, shown or named in a command line, and no other user reads the home."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.e2e.system import System, needs_linux

URL = "http://hunter1:hunter2@127.0.0.1:1/x?token=hunter3"
TOKEN = "hunter4"

pytestmark = needs_linux


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("secrets") / "it", KTRDR_YAHOO_URL=URL, KTRDR_API_TOKEN=TOKEN)
    system.home.mkdir(mode=0o755)
    system.start(before=("sh", "-c", 'umask 022; exec "$@"', "sh"))
    yield system
    system.close()


@pytest.fixture(scope="module")
def operation(system: System) -> str:
    """A load of the provider at the secret address, which fails, as clients see it."""
    with httpx.Client(
        base_url=f"{system.url}/api/v1", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=90
    ) as http:
        started = http.post("/data/load", json={"symbol": "AAPL", "timeframe": "1d", "provider": "yahoo"}).json()
        ended = http.get(f"/operations/{started['operation_id']}", params={"wait": 60})
        assert ended.json()["status"] == "FAILED", ended.text
        return ended.text + http.get(f"/operations/{started['operation_id']}/results").text


def test_no_secret_is_shown_or_kept(system: System, operation: str) -> None:
    files = [path for path in system.home.rglob("*") if path.is_file()]
    commands = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]

    assert "hunter" not in operation
    assert any("ktrdr" in command for command in commands)
    assert [command for command in commands if "hunter" in command] == []
    assert [path for path in files if b"hunter" in path.read_bytes()] == []
    assert {"job.json", "registry.sqlite", "ktrdr.log"} <= {path.name for path in files}


def test_only_the_owner_reads_the_home(system: System, operation: str) -> None:
    opened = [path for path in (system.home, *system.home.rglob("*")) if path.stat().st_mode & 0o077]

    assert [str(path.relative_to(system.home)) for path in opened] == []
    assert system.lines("was open to other users")


def test_the_doctor_names_an_open_home(system: System, tmp_path: Path) -> None:
    (home := tmp_path / "open home").mkdir(mode=0o755)

    done = system.ktrdr("doctor", "--home", str(home))

    assert done.code == 0
    assert f"chmod -R go= '{home}'" in done.out
