"""The dashboard in a real browser: first paint, frames of a long live run and of a long chart, cost to a training.

Needs a Chromium. The live run is made up, so that it is always as long and always grows; all else is the real server.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import psutil

from benchmarks.minutes import minutes
from benchmarks.outcome import Figure, at_least, below
from benchmarks.system import HOST, Server
from ktrdr.home import Home
from ktrdr.market.store import BarStore
from ktrdr.operations.operation import INITIAL_PROGRESS, Operation, new_operation_id
from ktrdr.operations.status import OperationStatus
from ktrdr.registry.store import SqlOperationStore, sqlite_url
from ktrdr.web.site import load_site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Page, Route

OPERATIONS, METRICS_EACH = 1000, 20
PAINTS = 5
EPOCHS, NEW_EPOCHS = 10_000, 40
WATCHED_S = 60.0
DASHBOARDS, ROUNDS, WINDOW_S = 10, 8, 5.0
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]

SYMBOL, BARS = "MINUTES", 100_000
DRAGS, DRAG_STEPS = 12, 30
LABELLER = """name: many bars
timeframes: [1m]
model: {type: mlp, layers: 1, hidden_size: 8, sequence_length: 2}
training: {epochs: 1, batch_size: 4096}
indicators: [{name: sma, period: 20}, {name: rsi, period: 14}, {name: macd}]
"""

LIVE_ID = "op_training_20250101_live00"


def run(watched_s: float = WATCHED_S) -> list[Figure]:
    site = load_site()
    weight = len(site.page.compressed) + sum(len(file.compressed) for file in site.files.values())
    figures = [Figure("dashboard: everything it loads, compressed", weight / 1000, "kB", below(1000))]
    with Server() as server:
        asyncio.run(_fill(Path(server.home)))
        with _browser() as browser:
            figures += _first_paint(browser, server)
            figures += _live_run(browser, server, watched_s)
            figures += _long_chart(browser, server)
        figures += _cost_to_a_training(server)
    return figures


@contextmanager
def _browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise RuntimeError("there is no Chromium here")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()


# -- the list ---------------------------------------------------------------------------------------------------------


async def _fill(home: Path) -> None:
    """Trainings that have ended, straight into the registry."""
    store = SqlOperationStore(sqlite_url(Home(home).registry))
    await store.open()
    instant = datetime.now(UTC) - timedelta(days=1)
    for number in range(OPERATIONS):
        operation = _ended(instant + timedelta(seconds=number), number)
        if await store.add(operation):
            metrics = [_metric(epoch) for epoch in range(1, METRICS_EACH + 1)]
            await store.finish(operation, {"status": "success"}, metrics)
    await store.close()


def _ended(instant: datetime, number: int) -> Operation:
    return Operation(
        operation_id=new_operation_id("TRAINING"),
        operation_type="TRAINING",
        status=OperationStatus.COMPLETED,
        created_at=instant,
        updated_at=instant,
        started_at=instant,
        completed_at=instant + timedelta(seconds=30),
        progress={**INITIAL_PROGRESS, "percentage": 100.0, "message": "Training completed"},
        metadata={
            "symbols": ["AAPL"],
            "timeframes": ["1d"],
            "strategy": f"strategy_{number % 17}",
            "model_type": "lstm",
            "best_val_loss": 0.69,
        },
    )


def _metric(epoch: int) -> dict[str, Any]:
    loss = 0.5 + 0.3 / (1 + epoch / 200) + 0.01 * ((epoch * 7919) % 100) / 100
    return {
        "epoch": epoch,
        "train_loss": loss,
        "train_accuracy": 1 - loss,
        "val_loss": loss + 0.05,
        "val_accuracy": 0.95 - loss,
        "learning_rate": 0.001,
        "duration": 0.02,
        "timestamp": "2025-01-01T10:00:00.000Z",
    }


_FIRST_ROW = """() => new Promise((resolve) => {
  const look = () => {
    if (document.querySelector(".op")) requestAnimationFrame(() => resolve(performance.now()));
    else requestAnimationFrame(look);
  };
  look();
})"""


def _first_paint(browser: Browser, server: Server) -> list[Figure]:
    """From the navigation to the first row, in a browser that has nothing of it yet."""
    seen = []
    for _ in range(PAINTS):
        page = browser.new_context().new_page()
        page.goto(f"http://{HOST}:{server.port}/", wait_until="commit")
        seen.append(float(page.evaluate(_FIRST_ROW)))
        page.context.close()
    return [Figure(f"dashboard: first row of {OPERATIONS:,} operations", median(seen), "ms", below(1000))]


# -- a long live run --------------------------------------------------------------------------------------------------


class _MadeUpRun:
    """A training that the page believes in: so many epochs at first, and more with each look."""

    def __init__(self) -> None:
        self.epochs = EPOCHS
        self.looks = 0

    def answer(self, route: Route) -> None:
        address = urlsplit(route.request.url)
        if address.path.endswith("/metrics"):
            route.fulfill(json=self._metrics(int(parse_qs(address.query).get("cursor", ["0"])[0])))
        elif address.path.endswith("/strategy"):
            route.fulfill(body="name: live", content_type="application/yaml")
        else:
            route.fulfill(json=self._operation())

    def _metrics(self, cursor: int) -> dict[str, Any]:
        if cursor:
            self.epochs += NEW_EPOCHS
            self.looks += 1
        return {"metrics": [_metric(each) for each in range(cursor + 1, self.epochs + 1)], "new_cursor": self.epochs}

    def _operation(self) -> dict[str, Any]:
        progress = {"percentage": 40.0, "message": f"Epoch {self.epochs}", "current_step": self.epochs}
        return {
            "operation_id": LIVE_ID,
            "status": "RUNNING",
            "operation_type": "TRAINING",
            "created_at": "2025-01-01T10:00:00.000Z",
            "updated_at": "2025-01-01T10:00:00.000Z",
            "started_at": "2025-01-01T10:00:00.000Z",
            "completed_at": None,
            "progress": {**progress, "items_processed": 1, "epoch_index": self.epochs, "total_epochs": 25_000},
            "metadata": {"symbols": ["AAPL"], "timeframes": ["1d"], "strategy": "live", "model_type": "lstm"},
            "error": None,
            "parent_id": None,
        }


_COUNT_FRAMES = """() => {
  window.frames_ = 0;
  const count = () => { window.frames_ += 1; requestAnimationFrame(count); };
  requestAnimationFrame(count);
}"""


def _live_run(browser: Browser, server: Server, watched_s: float) -> list[Figure]:
    page, made_up = browser.new_context().new_page(), _MadeUpRun()
    page.route(f"**/operations/{LIVE_ID}**", made_up.answer)
    page.goto(f"http://{HOST}:{server.port}/#/operations/{LIVE_ID}")
    page.wait_for_selector(".legend-value:not(:empty)")
    page.wait_for_timeout(3000)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")
    page.evaluate(_COUNT_FRAMES)
    before, looks, heap = _measured(page, devtools), made_up.looks, _heap_mb(devtools)
    epochs = made_up.epochs
    page.wait_for_timeout(watched_s * 1000)
    after, heap_after = _measured(page, devtools), _heap_mb(devtools)
    updates = max(1, made_up.looks - looks)
    busy_ms = 1000 * (after["TaskDuration"] - before["TaskDuration"])
    frames = after["frames"] - before["frames"]
    page.context.close()
    where = f"dashboard, {EPOCHS:,} epochs live"
    return [
        Figure(f"{where}: main thread busy a frame", busy_ms / frames, "ms", below(16)),
        Figure(f"{where}: time between frames", 1000 * watched_s / frames, "ms"),
        Figure(f"{where}: main thread busy an update", busy_ms / updates, "ms"),
        Figure(f"{where}: memory at the beginning", heap, "MB"),
        Figure(f"{where}: memory {watched_s:.0f} s later, {updates} updates", heap_after, "MB"),
        Figure(f"{where}: memory an epoch that comes", 1000 * (heap_after - heap) / (made_up.epochs - epochs), "kB"),
    ]


def _measured(page: Page, devtools: CDPSession) -> dict[str, float]:
    metrics = {each["name"]: float(each["value"]) for each in devtools.send("Performance.getMetrics")["metrics"]}
    return metrics | {"frames": float(page.evaluate("window.frames_"))}


def _heap_mb(devtools: CDPSession) -> float:
    devtools.send("HeapProfiler.collectGarbage")
    used: float = devtools.send("Runtime.getHeapUsage")["usedSize"]
    return used / 1e6


# -- a long chart -----------------------------------------------------------------------------------------------------

_COUNT_LONG_TASKS = """() => {
  window.longest_ = 0;
  new PerformanceObserver((list) => {
    for (const task of list.getEntries()) window.longest_ = Math.max(window.longest_, task.duration);
  }).observe({ type: "longtask" });
}"""


def _long_chart(browser: Browser, server: Server) -> list[Figure]:
    """Dragged through its bars by a mouse, with indicators, labels and predictions, close by and from afar."""
    BarStore(Home(Path(server.home)).bars).merge(SYMBOL, "1m", minutes(BARS), "made up", replace=True)
    started = server.post("/training/start", strategy=LABELLER, symbols=[SYMBOL], timeframes=["1m"])
    training = server.wait_for_end(started["operation_id"])["operation_id"]
    page = browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()
    page.goto(f"http://{HOST}:{server.port}/#/market?symbol={SYMBOL}&timeframe=1m&training={training}")
    page.get_by_text(f"of {BARS:,} bars loaded").wait_for()  # a part of them; the drags load the others
    page.wait_for_timeout(2000)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")
    page.evaluate(_COUNT_FRAMES)
    page.evaluate(_COUNT_LONG_TASKS)
    figures = []
    for where, notches in (("close by", 0), ("from afar", 40)):
        _zoom_out(page, notches)
        page.evaluate("window.longest_ = 0")
        before = _measured(page, devtools)
        _drag(page)
        after = _measured(page, devtools)
        busy_ms, frames = 1000 * (after["TaskDuration"] - before["TaskDuration"]), after["frames"] - before["frames"]
        name = f"dashboard, a series of {BARS:,} bars dragged, {where}: main thread"
        figures.append(Figure(f"{name} busy a frame", busy_ms / frames, "ms", below(16)))
        figures.append(Figure(f"{name} busy at a stretch, at most", float(page.evaluate("window.longest_")), "ms"))
    page.context.close()
    return figures


def _zoom_out(page: Page, notches: int) -> None:
    for _ in range(notches):
        page.mouse.wheel(0, 240)
        page.wait_for_timeout(100)
    page.wait_for_timeout(1000)


def _drag(page: Page) -> None:
    box = page.get_by_role("img", name=f"Candles of {SYMBOL}").bounding_box()
    assert box
    left, width, height = box["x"], box["width"], box["y"] + box["height"] / 3
    for drag in range(DRAGS):
        page.mouse.move(left + 0.2 * width, height)
        page.mouse.down()
        for step in range(DRAG_STEPS):
            page.mouse.move(left + (0.2 + 0.6 * step / DRAG_STEPS) * width, height)
            page.wait_for_timeout(16)
        page.mouse.up()
        page.wait_for_timeout(300 if drag % 4 else 800)


# -- what it costs a training -----------------------------------------------------------------------------------------


def _cost_to_a_training(server: Server) -> list[Figure]:
    """Half of the dashboards look at the list, half at the training; their requests are made without their browsers."""
    with server.endless_training() as operation_id:
        quiet, watched, busy = [], [], []
        for _ in range(ROUNDS):
            quiet.append(_samples_per_second(server, operation_id))
            with _dashboards(server.port, operation_id):
                time.sleep(1)
                before, began = psutil.Process(server.process.pid).cpu_times(), time.perf_counter()
                watched.append(_samples_per_second(server, operation_id))
                after = psutil.Process(server.process.pid).cpu_times()
                spent = after.user + after.system - before.user - before.system
                busy.append(spent / (time.perf_counter() - began))
    ratio = median(a / b for a, b in zip(watched, quiet, strict=True))
    return [
        Figure("a training that nobody watches: samples/s", median(quiet), "1/s"),
        Figure(f"under {DASHBOARDS} dashboards: samples/s ÷ unwatched", ratio, "×", at_least(0.98)),
        Figure(f"under {DASHBOARDS} dashboards: the server's share of a core", median(busy), "×"),
    ]


@contextmanager
def _dashboards(port: int, operation_id: str) -> Iterator[None]:
    is_over = threading.Event()
    views = [_watch_list if number % 2 else _watch_training for number in range(DASHBOARDS)]
    threads = [threading.Thread(target=view, args=(port, operation_id, is_over)) for view in views]
    for thread in threads:
        thread.start()
    yield
    is_over.set()
    for thread in threads:
        thread.join()


def _watch_list(port: int, operation_id: str, is_over: threading.Event) -> None:
    """operations.js while something runs."""
    looks = 0
    with closing(HTTPConnection(HOST, port)) as server:
        while not is_over.wait(1):
            looks += 1
            if looks % 3:
                _ask(server, f"/operations/{operation_id}")
            else:
                _ask(server, "/operations?limit=50")
                _ask(server, f"/charts/curves?operation={operation_id}&points=48")


def _watch_training(port: int, operation_id: str, is_over: threading.Event) -> None:
    """operation.js while it runs, with its log open."""
    metrics, log = 0, ""
    path = f"/operations/{operation_id}"
    with closing(HTTPConnection(HOST, port)) as server:
        while not is_over.wait(1):
            _ask(server, path)
            metrics = _ask(server, f"{path}/metrics?cursor={metrics}&limit=20000")["new_cursor"]
            log = f"?cursor={_ask(server, f'{path}/log{log}')['new_cursor']}"


def _ask(server: HTTPConnection, path: str) -> dict[str, Any]:
    server.request("GET", f"/api/v1{path}")
    with server.getresponse() as answer:
        assert answer.status == 200, path
        found: dict[str, Any] = json.load(answer)
        return found


def _samples_per_second(server: Server, operation_id: str) -> float:
    first, began = _samples_seen(server, operation_id), time.perf_counter()
    time.sleep(WINDOW_S)
    return (_samples_seen(server, operation_id) - first) / (time.perf_counter() - began)


def _samples_seen(server: Server, operation_id: str) -> int:
    operation = server.get(f"/operations/{operation_id}", force_refresh=True)
    seen: int = operation["progress"]["items_processed"]
    return seen
