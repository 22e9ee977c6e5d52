"""The main job, whole, on real bars: serve, load, train while watching, show the results.

Everything it writes lies in `.demo`; it needs no network and no service beside it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".demo"
STRATEGY = Path("config") / "strategies" / "test_e2e.yaml"
PATIENCE_S = 60.0
NEUTRAL = {"KTRDR_DATABASE_URL": "", "KTRDR_API_TOKEN": ""}
"""Whatever the user has set for a server of their own, the demo leaves it alone."""


def main() -> int:
    HOME.mkdir(exist_ok=True)
    with _server() as url:
        environment = {**os.environ, **NEUTRAL, "KTRDR_API_URL": url}  # noqa: TID251 (handed on, not read)
        for command in (
            ("data", "load", "AAPL", "1d", "--provider", "sample"),
            ("data", "show", "AAPL", "1d", "--limit", "3"),
            ("models", "train", "--strategy", str(STRATEGY), "--symbols", "AAPL", "--timeframes", "1d", "--follow"),
            ("models", "list"),
        ):
            print(f"\n$ ktrdr {' '.join(command)}", flush=True)
            code = subprocess.call([sys.executable, "-m", "ktrdr.cli", *command], cwd=ROOT, env=environment)
            if code:
                return code
    print(f"\nLook at {_newest_plot().relative_to(ROOT)}; your own server starts with: .venv/bin/ktrdr serve")
    return 0


@contextmanager
def _server() -> Iterator[str]:
    """A server of its own, on a free port, for as long as the demo lasts."""
    settings = {"KTRDR_HOME": str(HOME), "KTRDR_API_HOST": "127.0.0.1", "KTRDR_API_PORT": "0", **NEUTRAL}
    environment = {**os.environ, **settings}  # noqa: TID251 (handed on, not read)
    with (HOME / "server.log").open("w+") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "ktrdr.server"], cwd=ROOT, env=environment, stderr=output, stdout=output
        )
        try:
            url = _address(server, HOME / "server.log")
            print(f"A ktrdr server is running at {url} with its data in {HOME.name}/")
            yield url
        finally:
            server.terminate()
            server.wait(PATIENCE_S)


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and server.poll() is None:
        _, found, rest = log.read_text().partition("Serving on ")
        if found and _answers(url := rest.split(",")[0]):
            return url
        time.sleep(0.1)
    sys.exit(f"the server did not start; it wrote:\n{log.read_text()}")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/api/v1/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False


def _newest_plot() -> Path:
    return max((HOME / "models").glob("*/metrics.png"), key=lambda path: path.stat().st_mtime)


if __name__ == "__main__":
    sys.exit(main())
