"""The system as its users have it: the server as a process, the command line as processes, HTTP, and the log."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

REPOSITORY = Path(__file__).parents[2]
GUIDE = Path(__file__).parent / "guide"
STRATEGY = "config/strategies/test_e2e.yaml"

LOG_STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"
LOG_LINE = re.compile(rf"{LOG_STAMP} (DEBUG|INFO|WARNING|ERROR) \S.*")
TERMINAL = {"COMPLETED", "FAILED", "CANCELLED"}
PATIENCE_S = 120.0
"""How long a test waits for what must come; nothing is asserted about how long it took."""

HAS_SHELL = all(shutil.which(tool) for tool in ("bash", "curl", "jq", "grep"))
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
needs_shell = pytest.mark.skipif(not HAS_SHELL, reason="no bash, curl, jq or grep here")

_BINARIES = Path(sys.executable).parent
# Bytecode is kept as pip keeps it: without it every process compiles ktrdr anew.
_OURS = re.compile("KTRDR_|LOG_LEVEL$|OPERATIONS_CACHE_TTL$|NO_COLOR$|PYTHONDONTWRITEBYTECODE$")
_ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()  # noqa: TID251 (processes get this one, less the settings under test)
    if not _OURS.match(name)
}


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str


class System:
    """One server with a home of its own, and the ways to reach it.

    Its working folder holds `config` and `scripts`, so that commands read as they do in a fresh clone. `wrapper` is a
    command that every server is started by; it ends by running the rest of its arguments.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.port = 0
        self.python = sys.executable
        self.wrapper: Sequence[str] = ()
        self._stderr = folder / "stderr.log"
        self._settings = {"LOG_LEVEL": "DEBUG", "KTRDR_STANDBY_WORKERS": "1", **settings}
        self._process: subprocess.Popen[bytes] | None = None
        self._http = httpx.Client(trust_env=False, timeout=90.0)
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("config", "scripts"):
            (folder / name).symlink_to(REPOSITORY / name)

    # -- the server's life ---------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        settings = {"KTRDR_HOME": str(self.home), "KTRDR_API_PORT": str(self.port), **self._settings}
        return {**_ENVIRONMENT, **settings}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def exit_code(self) -> int | None:
        """How the server ended; None while it runs."""
        assert self._process
        return self._process.poll()

    def start(self, before: Sequence[str] = ()) -> None:
        """`before` is a command that ends by running the rest of its arguments."""
        seen = self.mark()
        self.spawn(before)
        until(lambda: self._is_serving(seen))

    def spawn(self, before: Sequence[str] = ()) -> None:
        """A server that may or may not come to serve."""
        command = [*self.wrapper, *before, self.python, "scripts/run_api_server.py"]
        with self._stderr.open("ab") as stderr:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr
            )

    def _is_serving(self, seen: int) -> bool:
        assert self._process
        if self._process.poll() is not None:
            raise AssertionError(f"the server ended with {self._process.returncode}:\n{self.log(seen)}")
        found = re.search(r"Serving on http://127\.0\.0\.1:(\d+)", self.log(seen))
        if found is None:
            return False
        self.port = int(found[1])
        with suppress(httpx.TransportError):
            return self.get("/health").status_code == 200
        return False

    def stop(self) -> None:
        """SIGTERM; what must follow is asserted here, so that every test that stops a server checks it."""
        assert self._process
        idle, seen = self.standby(), self.mark()
        self._process.terminate()
        assert self._process.wait(PATIENCE_S) == 0, self.log()[-3000:]
        assert gone(idle), "standby processes outlived the server"
        assert self.lines("INFO Stopping", seen)

    def kill(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End whatever of this system still runs, and nothing else."""
        self._http.close()
        if self._process and self._process.poll() is None:
            self.kill()
        for process in self.workers():
            with suppress(psutil.Error):
                process.kill()

    def workers(self) -> list[psutil.Process]:
        """Worker processes of this home, idle ones too."""
        log_file = str(self.home / "logs" / "ktrdr.log")
        return [process for process in psutil.process_iter() if log_file in _command_of(process)]

    def idle(self) -> list[psutil.Process]:
        """Workers that have no job yet: they still listen to the server that started them."""
        return [process for process in self.workers() if _listens(process)]

    def standby(self) -> list[psutil.Process]:
        """The idle workers of the server that runs."""
        return [process for process in self.idle() if self.is_parent_of(process)]

    def is_parent_of(self, process: psutil.Process) -> bool:
        try:
            return process.ppid() == self.pid
        except psutil.Error:
            return False

    def worker_of(self, operation_id: str) -> psutil.Process:
        """The process that has this operation's files open, as soon as there is one."""
        found: dict[str, psutil.Process] = {}

        def is_found() -> bool:
            found.update(self.at_work())
            return operation_id in found

        until(is_found)
        return found[operation_id]

    def at_work(self) -> list[tuple[str, psutil.Process]]:
        """Operations and the processes that work on them, which show by the files that they hold open."""
        folder = self.home / "operations"
        return [(name, process) for process in self.workers() for name in _folders_open(process, folder)]

    def wait_warm(self) -> None:
        """Until a standby worker is ready, so that what follows need not wait for imports."""
        until(lambda: self.get("/health/ready").json()["workers"]["training"]["warm"] > 0)

    # -- HTTP ----------------------------------------------------------------------------------------------------

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self._http.get(f"{self.url}/api/v1{path}", params=query or None)

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """`body` is sent as JSON, `content` as it is."""
        return self._http.post(f"{self.url}/api/v1{path}", json=body, **options)

    def operation(self, operation_id: str, **query: Any) -> dict[str, Any]:
        return self._found(f"/operations/{operation_id}", **query)

    def metrics(self, operation_id: str, cursor: int = 0) -> dict[str, Any]:
        return self._found(f"/operations/{operation_id}/metrics", cursor=cursor)

    def results(self, operation_id: str) -> dict[str, Any]:
        return self._found(f"/operations/{operation_id}/results")

    def _found(self, path: str, **query: Any) -> dict[str, Any]:
        response = self.get(path, **query)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def operations(self) -> list[dict[str, Any]]:
        """All, newest first."""
        page = self._found("/operations", limit=1000)
        found: list[dict[str, Any]] = page["operations"]
        while token := page["next_page_token"]:
            page = self._found("/operations", limit=1000, page_token=token)
            found += page["operations"]
        return found

    def ended(self, operation_id: str, status: str = "COMPLETED") -> dict[str, Any]:
        """The operation in the terminal state that it must reach."""
        operation = self.wait_for_end(operation_id)
        assert operation["status"] == status, operation
        return operation

    def wait_for_end(self, operation_id: str) -> dict[str, Any]:
        until(lambda: self.operation(operation_id, wait=20)["status"] in TERMINAL)
        return self.operation(operation_id)

    def wait_for_epochs(self, operation_id: str, epochs: int) -> None:
        def enough() -> bool:
            if len(self.metrics(operation_id)["metrics"]) >= epochs:
                return True
            operation = self.operation(operation_id)
            assert operation["status"] not in TERMINAL, operation
            return False

        until(enough)

    # -- commands ------------------------------------------------------------------------------------------------

    def ktrdr(self, *arguments: str | Path) -> Done:
        with self.popen(*arguments) as process:
            try:
                out, err = process.communicate(timeout=PATIENCE_S)
            finally:
                process.kill()  # nothing, where it has ended; else leaving this block would wait for it
        return Done(process.returncode, out, err)

    def popen(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [_BINARIES / "ktrdr", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def bash(self, script: str) -> str:
        """What a script prints, in which `docker logs` shows this server's log."""
        with self.bash_popen(script) as process:
            out, _ = process.communicate(timeout=PATIENCE_S)
        return out

    def guide_script(self, name: str, operation_id: str) -> subprocess.Popen[str]:
        """A script as the acceptance guide prints it, with this operation's id where it says to put one."""
        text = (GUIDE / name).read_text(encoding="utf-8")
        return self.bash_popen(text.replace("op_training_20250123_abc123", operation_id))

    def bash_popen(self, script: str) -> subprocess.Popen[str]:
        tools = self.folder / "tools"
        if not tools.exists():
            tools.mkdir()
            (tools / "docker").write_text(f'#!/bin/sh\n[ "$1 $2" = "logs ktrdr-backend" ] && cat "{self._stderr}"\n')
            (tools / "docker").chmod(0o755)
        path = f"{tools}:{_BINARIES}:{_ENVIRONMENT['PATH']}"
        return subprocess.Popen(
            ["bash", "-c", script.replace("localhost:8000", f"localhost:{self.port}")],
            cwd=self.folder,
            env={**self.environment, "PATH": path, "no_proxy": "localhost"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def load_sample(self, *dates: str) -> None:
        done = self.ktrdr("data", "load", "AAPL", "1d", "--provider", "sample", *dates)
        assert done.code == 0, done.err

    def train(self, strategy: str | Path = STRATEGY, *more: str) -> str:
        """Start a training by the command line; its id."""
        done = self.ktrdr("models", "train", "--strategy", strategy, "--symbols", "AAPL", "--timeframes", "1d", *more)
        assert done.code == 0, done.err
        operation_id: str = json.loads(done.out)["operation_id"]
        return operation_id

    # -- the log -------------------------------------------------------------------------------------------------

    def mark(self) -> int:
        """The log's length now, to look later at what came after it."""
        return self._stderr.stat().st_size if self._stderr.exists() else 0

    def log(self, since: int = 0) -> str:
        with self._stderr.open("rb") as file:
            file.seek(since)
            return file.read().decode("utf-8")

    def lines(self, pattern: str, since: int = 0) -> list[str]:
        """As `docker logs ktrdr-backend | grep -E PATTERN` would show."""
        return [line for line in self.log(since).splitlines() if re.search(pattern, line)]

    def wait_for_line(self, pattern: str, since: int = 0) -> str:
        until(lambda: bool(self.lines(pattern, since)))
        return self.lines(pattern, since)[0]


def until(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {patience_s:.0f} s in vain"
        time.sleep(0.05)


def gone(processes: Iterable[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(list(processes), timeout=PATIENCE_S)
    return not alive


def lengthened(folder: Path, epochs: int, name: str = "test_e2e") -> Path:
    """The shipped strategy with more epochs, as `<folder>/<name>.yaml`."""
    text = (REPOSITORY / STRATEGY).read_text(encoding="utf-8")
    longer, changed = re.subn(r"epochs: 10\b", f"epochs: {epochs}", text)
    assert changed == 1
    path = folder / f"{name}.yaml"
    path.write_text(longer, encoding="utf-8")
    return path


def _command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _folders_open(process: psutil.Process, parent: Path) -> set[str]:
    """The folders in `parent` of which the process has files open."""
    try:
        paths = [Path(file.path) for file in process.open_files()]
    except psutil.Error:
        return set()
    return {path.relative_to(parent).parts[0] for path in paths if path.is_relative_to(parent)}


def _listens(process: psutil.Process) -> bool:
    """Its standard input is a socket until it has a job, then /dev/null."""
    try:
        return os.readlink(f"/proc/{process.pid}/fd/0").startswith("socket:")
    except OSError:
        return False
