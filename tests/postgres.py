"""A PostgreSQL of the tests' own: one cluster for all of them, on a Unix socket, with a database for each."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import psutil

BINARIES = next((path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None)
WHY_NOT = (
    "there is no PostgreSQL in /usr/lib/postgresql"
    if BINARIES is None
    else "asyncpg is not installed"
    if find_spec("asyncpg") is None
    else "only root may run PostgreSQL as another user"
    if os.geteuid() == 0 and shutil.which("setpriv") is None
    else ""
)
"""Why there is no PostgreSQL to test with; empty where there is."""


class Cluster:
    """A running PostgreSQL whose data may be lost, but for what its processes have written when they are killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = itertools.count()

    def initialise(self) -> None:
        self._run("initdb", "-D", self._data, "-A", "trust", "-U", "ktrdr", "-N", "--no-locale", "-E", "UTF8")

    def start(self) -> None:
        options = f"-c listen_addresses='' -c fsync=off -c full_page_writes=off -k {self._folder}"
        self._run("pg_ctl", "-D", self._data, "-w", "-o", options, "-l", str(self._folder / "log"), "start")

    def kill(self) -> None:
        """SIGKILL to all of its processes."""
        server = psutil.Process(int((self._folder / "data" / "postmaster.pid").read_text().split()[0]))
        for process in (server, *server.children()):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        server.wait()

    def new_database(self) -> str:
        """The URL of an empty one."""
        name = f"ktrdr_{next(self._names)}"
        self.query(f"CREATE DATABASE {name} STRATEGY FILE_COPY")
        return f"postgresql+asyncpg://ktrdr@/{name}?host={self._folder}"

    def query(self, statement: str, url: str = "/postgres?") -> str:
        """What a statement returns, as psql prints it: columns by a bar, without a header."""
        database = url.partition("?")[0].rpartition("/")[2]
        return self._run("psql", "-h", str(self._folder), "-U", "ktrdr", "-At", "-c", statement, database).strip()

    def end_connections(self) -> None:
        self.query("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _run(self, program: str, *arguments: str) -> str:
        assert BINARIES
        # PostgreSQL refuses to run as root.
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        with tempfile.TemporaryFile("w+") as out:  # and no pipe, which its server would hold open
            command = [*user, str(BINARIES / program), *arguments]
            subprocess.run(command, check=True, cwd="/", stdout=out, stderr=subprocess.STDOUT)
            out.seek(0)
            return out.read()


@contextmanager
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="ktrdr-pg-", ignore_cleanup_errors=True) as name:
        if os.geteuid() == 0:
            shutil.chown(name, "postgres")
        running = Cluster(Path(name))
        running.initialise()
        running.start()
        try:
            yield running
        finally:
            with suppress(FileNotFoundError, psutil.NoSuchProcess):
                running.kill()
