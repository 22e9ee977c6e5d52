"""The README's pictures of the dashboard: a server of its own, real bars, a real training, a real browser.

    .venv/bin/python scripts/screenshots.py

Needs a Chromium; writes docs/images/*.png.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
LARGEST_BYTES = 200_000
PATIENCE_S = 120.0
STRATEGY = """name: Momentum
description: Whether tomorrow closes higher, from trend and momentum.
model: {type: gru, layers: 1, hidden_size: 24, sequence_length: 20}
training: {epochs: 40, batch_size: 64, learning_rate: 0.0005}
indicators:
  - {name: sma, period: 20}
  - {name: bbands, period: 20}
  - {name: rsi, period: 14}
"""


def main() -> int:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("there is no Chromium here; on Debian: apt-get install chromium")
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home, _server(Path(home)) as url, sync_playwright() as playwright:
        training = _train(url)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        light = browser.new_context(viewport={"width": 1280, "height": 860}, color_scheme="light")
        dark = browser.new_context(viewport={"width": 1280, "height": 860}, color_scheme="dark")
        _take(light, f"{url}/#/operations/{training}", IMAGES / "training.png")
        _take(dark, f"{url}/#/market?symbol=AAPL&timeframe=1d&training={training}", IMAGES / "market.png")
        browser.close()
    return 0


def _take(context: BrowserContext, address: str, path: Path) -> None:
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector(".canvas canvas")
    page.wait_for_timeout(2500)
    page.screenshot(path=path)
    size = path.stat().st_size
    print(f"{path.relative_to(ROOT)}: {size / 1000:.0f} kB")
    assert size < LARGEST_BYTES


def _train(url: str) -> str:
    _ended(url, _post(url, "/data/load", symbol="AAPL", timeframe="1d", provider="sample"))
    return _ended(url, _post(url, "/training/start", strategy=STRATEGY, symbols=["AAPL"], timeframes=["1d"]))


def _post(url: str, path: str, **body: Any) -> str:
    request = urllib.request.Request(
        f"{url}/api/v1{path}", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return str(json.load(answer)["operation_id"])


def _ended(url: str, operation_id: str) -> str:
    while True:
        with urllib.request.urlopen(f"{url}/api/v1/operations/{operation_id}?wait=30") as answer:
            operation = json.load(answer)
        if operation["completed_at"]:
            assert operation["status"] == "COMPLETED", operation
            return operation_id


@contextmanager
def _server(home: Path) -> Iterator[str]:
    ours = {"KTRDR_HOME": str(home), "KTRDR_API_PORT": "0", "KTRDR_DATABASE_URL": "", "KTRDR_API_TOKEN": ""}
    environment = {**os.environ, **ours}  # noqa: TID251 (handed on, not read)
    log = home / "server.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "ktrdr.server"]
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        try:
            yield _address(server, log)
        finally:
            server.terminate()
            server.wait(PATIENCE_S)


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and server.poll() is None:
        _, found, rest = log.read_text().partition("Serving on ")
        if found and "," in rest:
            time.sleep(1)
            return rest.split(",")[0]
        time.sleep(0.1)
    sys.exit(f"the server did not start; it wrote:\n{log.read_text()}")


if __name__ == "__main__":
    sys.exit(main())
