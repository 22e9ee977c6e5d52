"""A real browser on a real server. Without a Chromium these tests are skipped; pictures of what they saw are kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.system import System, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LAPTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
STRATEGY = """name: {name}
model: {{type: mlp, layers: 1, hidden_size: 8, sequence_length: 5}}
training: {{epochs: {epochs}, batch_size: 256, seed: {seed}}}
indicators: [{{name: sma, period: 20}}, {{name: rsi, period: 14}}]
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Of one module, since Playwright keeps an event loop running, beside which no other test could run its own."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def system(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A server with nothing in it; `browser` first, so that it is not started for nothing."""
    system = System(tmp_path_factory.mktemp("dashboard"), LOG_LEVEL="INFO")
    try:
        system.start()
        yield system
        system.stop()
    finally:
        system.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("screenshots")


class Tab:
    """One page at the dashboard, and everything that its console complained of."""

    def __init__(self, context: BrowserContext, system: System, pictures: Path) -> None:
        self.page: Page = context.new_page()
        self.page.set_default_timeout(30_000)
        self.complaints: list[str] = []
        self._system = system
        self._pictures = pictures
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._listen)

    def _listen(self, message: Any) -> None:
        # A refused request is a line in the console whatever the page makes of it.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def open(self, view: str) -> Page:
        self.page.goto(f"{self._system.url}/#/{view}")
        self.page.wait_for_selector("h1")
        return self.page

    def picture(self, name: str) -> None:
        self.page.screenshot(path=self._pictures / f"{name}.png", full_page=True)


OpenTab = Callable[..., Tab]


@pytest.fixture
def open_tab(browser: Browser, system: System, pictures: Path) -> Iterator[OpenTab]:
    """Tabs whose consoles must stay clean, of the page's own policy too."""
    contexts: list[BrowserContext] = []
    tabs: list[Tab] = []

    def open_tab(**options: Any) -> Tab:
        contexts.append(browser.new_context(**{"viewport": LAPTOP, **options}))
        tabs.append(Tab(contexts[-1], system, pictures))
        return tabs[-1]

    yield open_tab
    complaints = [complaint for tab in tabs for complaint in tab.complaints]
    for context in contexts:
        context.close()
    assert not complaints


@pytest.fixture
def tab(open_tab: OpenTab) -> Tab:
    return open_tab()


@pytest.fixture(scope="module")
def bars(system: System) -> None:
    """The sample's bars, whoever loaded them."""
    if not system.get("/data").json()["series"]:
        system.load_sample()


@pytest.fixture(scope="module")
def trainings(system: System, bars: None) -> list[str]:
    """Two that have ended and differ by their seed and their epochs."""
    texts = [STRATEGY.format(name=f"Run {number}", epochs=6 * number, seed=number) for number in (1, 2)]
    started = [start(system, text) for text in texts]
    return [system.ended(each)["operation_id"] for each in started]


@pytest.fixture
def long_training(system: System, bars: None) -> Iterator[str]:
    yield from _until_it_is_cancelled(system, STRATEGY.format(name="A long one", epochs=20_000, seed=3))


@pytest.fixture
def long_folds(system: System, bars: None) -> Iterator[str]:
    text = STRATEGY.format(name="Long folds", epochs=20_000, seed=4)
    yield from _until_it_is_cancelled(system, text + "validation: {type: walk_forward, folds: 3}\n")


def _until_it_is_cancelled(system: System, strategy: str) -> Iterator[str]:
    operation_id = start(system, strategy)
    until(lambda: system.operation(operation_id)["status"] == "RUNNING")
    yield operation_id
    system.post(f"/operations/{operation_id}/cancel")
    system.wait_for_end(operation_id)


def start(system: System, strategy: str, route: str = "/training/start", until: str | None = None) -> str:
    answer = system.post(
        route,
        {
            "strategy": strategy,
            "symbols": ["AAPL"],
            "timeframes": ["1d"],
            "start_date": "2022-01-01",
            "end_date": until,
        },
    )
    assert answer.status_code == 202, answer.text
    operation_id: str = answer.json()["operation_id"]
    return operation_id
