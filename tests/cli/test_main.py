from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import FakeServer, Run

HEAVY = ("pydantic", "httpx", "polars", "numpy", "torch", "fastapi", "sqlalchemy", "pandas", "ktrdr.settings")


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ktrdr.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, **options)  # type: ignore[call-overload, no-any-return]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.processes
def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from ktrdr.cli import main; code = main(['--help']); "
        f"print(code, [name for name in {HEAVY!r} if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)

    assert done.stdout.splitlines()[-1] == "0 []"
    for noun in ("data", "models", "operations", "strategies", "indicators", "serve", "config"):
        assert noun in done.stdout


def test_version(ktrdr: Run) -> None:
    from ktrdr import __version__

    assert ktrdr("--version").out == f"ktrdr {__version__}\n"


@pytest.mark.parametrize(
    "command",
    [
        ["data", "load", "AAPL", "1d"],
        ["data", "show", "AAPL", "1d"],
        ["models", "list"],
        ["operations", "watch", "op_training_20230630_abc123"],
        ["indicators", "list"],
    ],
)
def test_an_absent_server_is_exit_code_3_and_says_how_to_start_one(ktrdr: Run, command: list[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    ran = ktrdr("--api-url", url, *command)

    assert ran.code == 3
    assert ran.out == ""
    assert ran.err == f"error: no ktrdr server answers at {url}\nhint: start one with: ktrdr serve\n"


@pytest.mark.parametrize("answer", [(200, b"<html>hello</html>"), (404, {"detail": "Not Found"}), (200, {"a": 1})])
def test_a_stranger_at_the_address_is_told_from_a_server(
    server: FakeServer, ktrdr: Run, answer: tuple[int, object]
) -> None:
    server.on("GET", "/data", answer)

    ran = ktrdr("data", "list")

    assert ran.code == 3
    assert f"something answers at {server.url}, but not a ktrdr server" in ran.err


@pytest.mark.processes
def test_the_real_command_keeps_data_and_words_apart(server: FakeServer, tmp_path: Path) -> None:
    server.on("GET", "/data", {"series": []})

    done = run("data", "list", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "No bars yet. Load some with: ktrdr data load AAPL 1d\n"


@pytest.mark.parametrize(
    "command",
    [
        ["nonsense"],
        ["data", "show"],
        ["data", "show", "AAPL", "1d", "--limit", "0"],
        ["data", "show", "AAPL", "1d", "--start-date", "2023-13-01"],
        ["data", "show", "AAPL", "1d", "--start-date", "20230101"],
        ["data", "load", "AAPL", "1d", "--start-date", "2023-12-31", "--end-date", "2023-01-01"],
        ["data", "show", "../../x", "1d"],
        ["data", "show", "..", "1d"],
        ["data", "import", "nowhere.csv", "AAPL", "1d"],
        ["models", "train", "--strategy", "nowhere.yaml", "--symbols", "AAPL", "--timeframes", "1d"],
        ["operations", "show", ""],
        ["--api-url", "ftp://host", "data", "list"],
        ["--api-url", "http://host:port", "data", "list"],
    ],
)
def test_wrong_use_is_exit_code_2(server: FakeServer, ktrdr: Run, command: list[str]) -> None:
    ran = ktrdr(*command)

    assert ran.code == 2
    assert ran.out == ""
    assert ran.err
    assert server.asked == []


@pytest.mark.parametrize(("status", "code"), [(400, 2), (404, 2), (409, 2), (413, 2), (422, 2), (500, 1), (503, 1)])
def test_a_problem_becomes_error_hint_and_exit_code(server: FakeServer, ktrdr: Run, status: int, code: int) -> None:
    body = {"title": "t", "status": status, "code": "c", "detail": "the matter [x]", "hint": "the cure", "extra": 1}
    server.on("GET", "/data", (status, body))

    ran = ktrdr("data", "list")

    assert (ran.code, ran.out) == (code, "")
    assert ran.err == "error: the matter [x]\nhint: the cure\n"


def test_nobody_sees_a_stack_trace_unless_asked(
    server: FakeServer, ktrdr: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("ktrdr.cli.client.Client.series", broken)

    ran = ktrdr("data", "list")

    assert ran.code == 1
    assert "RuntimeError: a defect" in ran.err
    assert "Traceback" not in ran.err
    with pytest.raises(RuntimeError):
        ktrdr("--debug", "data", "list")


@pytest.mark.processes
def test_a_closed_pipe_is_met_in_silence(server: FakeServer, tmp_path: Path) -> None:
    series = {"symbol": "A", "timeframe": "1d", "rows": 1, "first": "2023-01-03T00:00:00Z", "provider": "csv"}
    series |= {"last": "2023-01-03T00:00:00Z", "size_bytes": 1}
    server.on("GET", "/data", {"series": [series] * 2000})
    command = [sys.executable, "-m", "ktrdr.cli", "data", "list"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.processes
def test_colours_stay_off_a_pipe_and_an_old_encoding_is_no_error(server: FakeServer, tmp_path: Path) -> None:
    server.on("GET", "/data", (409, {"title": "t", "status": 409, "code": "c", "detail": "50 → 60 €", "hint": ""}))
    command = [sys.executable, "-X", "utf8=0", "-m", "ktrdr.cli", "data", "list"]
    environment = {"KTRDR_API_URL": server.url, "PYTHONIOENCODING": "ascii"}

    done = subprocess.run(command, capture_output=True, env=environment, cwd=tmp_path, check=False, timeout=30)

    assert done.returncode == 2
    assert done.stderr.startswith(b"error: 50 ? 60 ?")
    assert b"\x1b" not in done.stderr
