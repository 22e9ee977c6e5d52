"""What a person does with the dashboard, done in a real browser."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.system import System, until
from tests.web.conftest import LAPTOP, PHONE, STRATEGY, OpenTab, Tab, start

if TYPE_CHECKING:
    from playwright.sync_api import Browser

AXE = find_spec("axe_playwright_python")
VIEWS = (
    "operations",
    "operations/{0}",
    "compare?ids={0},{1}",
    "market?symbol=AAPL&timeframe=1d&training={0}",
    "start",
    "system",
    "runs",
    "ledger",
    "ledger/{0}",
)


def test_an_empty_server_says_what_to_do_first(tab: Tab, system: System) -> None:
    if system.operations():
        pytest.skip("another test was quicker to fill it")

    page = tab.open("operations")

    page.get_by_text("Nothing has been started yet").wait_for()
    page.get_by_role("link", name="Load bars").click()
    page.get_by_text("No bars yet").wait_for()
    tab.picture("empty")


def test_bars_are_loaded_and_drawn(tab: Tab) -> None:
    page = tab.open("market")
    form = page.locator("details.load")
    if form.get_attribute("open") is None:
        form.locator("summary").click()

    page.get_by_label("Symbol", exact=True).fill("aapl")
    page.get_by_label("Provider", exact=True).fill("sample")
    page.get_by_role("button", name="Load bars").click()

    page.get_by_role("img", name="Candles of AAPL 1d").wait_for()
    page.get_by_text("1,509 of 1,509 bars loaded").wait_for()
    assert page.locator(".canvas canvas").count() > 1


def test_what_went_wrong_is_told_with_reason_and_hint(tab: Tab, system: System, bars: None) -> None:
    page = tab.open("market")
    page.get_by_text("Load more bars").click()
    page.get_by_label("Symbol", exact=True).fill("NOPE")
    page.get_by_label("Provider", exact=True).fill("sample")
    page.get_by_role("button", name="Load bars").click()

    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "NOPE" in alert.locator(".problem-detail").inner_text()
    assert alert.locator(".problem-hint").inner_text()

    page = tab.open("operations?status=FAILED")
    page.locator(".op[data-status=FAILED]", has_text="NOPE").first.wait_for()
    tab.picture("error")


def test_a_file_is_imported_as_the_form_says_that_it_is_written(tab: Tab, bars: None) -> None:
    page = tab.open("market")
    page.locator("details.load > summary").click()
    page.get_by_label("Symbol", exact=True).fill("DAX")
    page.get_by_label("Calendar", exact=True).fill("XETR")
    page.get_by_label("Or import a file").set_input_files(
        {
            "name": "dax.csv",
            "mimeType": "text/csv",
            "buffer": b"01/02/2024;10,5;11;10;10,5;9\n02/02/2024;10;11;10;11;9\n",
        }
    )
    page.get_by_role("button", name="Load bars").click()
    assert "--date-format DMY" in page.get_by_role("alert").locator(".problem-hint").inner_text()

    page.get_by_text("How the file is written").click()
    page.get_by_label("Date format").fill("DMY")
    page.get_by_label("No header line").check()
    tab.picture("import")
    page.get_by_role("button", name="Load bars").click()

    page.get_by_role("img", name="Candles of DAX 1d").wait_for()
    page.get_by_text("by the calendar XETR").wait_for()
    page.get_by_text("2024-02-01 to 2024-02-02").wait_for()


def test_a_training_is_started_from_the_form_and_watched_to_its_end(tab: Tab, system: System, bars: None) -> None:
    page = tab.open("start")
    page.get_by_text("A valid strategy").wait_for()

    page.get_by_label("Name", exact=True).fill("From the form")
    page.get_by_label("Type", exact=True).first.select_option("mlp")
    page.get_by_label("Epochs", exact=True).fill("8")
    page.get_by_role("button", name="Add an indicator").click()
    page.get_by_role("button", name="Add a formula").click()
    page.get_by_role("group", name="Formula").get_by_label("Expr").fill("close / lag(close, n) - 1")

    text = page.get_by_label("Strategy as YAML", exact=True).input_value()
    assert "name: From the form" in text
    assert "type: mlp" in text
    assert "epochs: 8" in text
    assert "{expr: close / lag(close, n) - 1, as: gap, n: 20}" in text.replace('"', "").replace("'", "")
    command = page.get_by_label("Command", exact=True).inner_text()
    until(lambda: "--strategy from_the_form.yaml" in page.get_by_label("Command", exact=True).inner_text())
    assert "--symbols AAPL" in command

    page.locator("button:has-text('Start the training'):not([disabled])").click()
    page.wait_for_url(re.compile(r"#/operations/op_training_"))
    page.locator(".state.completed").wait_for()
    page.get_by_role("region", name="Verdict").wait_for()

    for panel in ("Loss", "Accuracy", "Against the baselines", "Class balance", "Confusion", "Calibration", "Files"):
        assert page.get_by_role("region", name=panel, exact=True).count() == 1, panel
    assert "name: From the form" in page.get_by_label("Strategy as YAML", exact=True).inner_text()
    page.get_by_text("Show the lines that name this operation").click()
    until(lambda: "Training completed successfully" in page.get_by_label("Log lines").inner_text())
    with page.expect_download() as download:
        page.get_by_role("button", name="Download model.json").click()
    assert json.loads(Path(download.value.path()).read_text())["strategy"]["training"]["epochs"] == 8
    tab.picture("training")


def test_a_faulty_strategy_is_told_as_one_types(tab: Tab, bars: None) -> None:
    page = tab.open("start")
    page.get_by_text("A valid strategy").wait_for()

    page.get_by_label("Epochs", exact=True).fill("0")

    page.locator("#f-training-epochs-fault", has_text="at least 1").wait_for()
    assert page.get_by_label("Epochs", exact=True).get_attribute("aria-invalid") == "true"
    assert page.get_by_role("button", name="Start the training").is_disabled()
    page.get_by_label("Strategy as YAML", exact=True).fill("name: x\nmodel: {type: lstmm}\n")
    page.locator("#verdict").get_by_text("did you mean lstm").wait_for()
    tab.picture("faulty")


def test_the_preflight_tells_what_a_training_would_meet(tab: Tab, bars: None) -> None:
    page = tab.open("start")
    page.locator("button:has-text('Run a preflight'):not([disabled])").click()

    page.get_by_role("region", name="Preflight").get_by_text("Memory", exact=True).wait_for()
    page.get_by_role("region", name="Class balance").wait_for()
    tab.picture("preflight")


def test_trainings_are_compared(tab: Tab, trainings: list[str]) -> None:
    page = tab.open("operations")
    for training in trainings:
        page.locator(f".op[data-id={training}] input").check()
    page.get_by_role("link", name="Compare 2").click()

    verdict = page.get_by_role("region", name="Winner")
    verdict.wait_for()
    until(lambda: "validation rows" in verdict.inner_text() and "confidence" in verdict.inner_text())
    row = page.get_by_role("row", name=re.compile("training.epochs"))
    row.wait_for()
    assert row.inner_text().split()[1:] == ["6", "12"]
    assert page.get_by_role("row", name=re.compile("training.optimizer")).count() == 0
    page.get_by_label("Also what is the same").check()
    assert page.get_by_role("row", name=re.compile("training.optimizer")).count() == 1
    tab.picture("compare")


def test_a_running_training_is_live_and_can_be_cancelled_resumed_and_removed(
    tab: Tab, system: System, long_training: str
) -> None:
    page = tab.open(f"operations/{long_training}")
    message = page.locator(".progress-line span").first
    until(lambda: "Epoch" in message.inner_text())
    seen = message.inner_text()
    until(lambda: message.inner_text() != seen)

    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Keep as it is").click()
    assert page.locator(".state.running").count() == 1
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel it").click()
    page.locator(".state.cancelled").wait_for()
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("button", name="Resume it").click()
    page.get_by_text("goes on from").wait_for()
    resumed = page.url.rsplit("/", 1)[-1]
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel it").click()
    page.locator(".state.cancelled").wait_for()
    assert resumed != long_training

    page.get_by_role("button", name="Remove").click()
    page.get_by_text("go for good").wait_for()
    page.get_by_role("button", name="Remove it").click()
    page.wait_for_url(re.compile(r"#/operations$"))
    until(lambda: resumed not in {operation["operation_id"] for operation in system.operations()})


FOLDS = """name: In folds
model: {type: mlp, layers: 1, hidden_size: 8, sequence_length: 5}
training: {epochs: 3, batch_size: 256}
validation: {type: walk_forward, folds: 3}
indicators: [{name: rsi, period: 14}]
"""
RETURNS = """name: Returns
model: {type: gradient_boosting, leaves: 7}
training: {epochs: 10, learning_rate: 0.1}
validation: {test: 0.2}
labels: {type: forward_return, horizon: 2}
indicators: [{name: rsi, period: 14}, {name: atr}]
"""


def test_a_training_in_folds_is_live(tab: Tab, long_folds: str) -> None:
    page = tab.open(f"operations/{long_folds}")

    losses = page.get_by_role("region", name="Validation loss")
    value = losses.locator(".legend-item", has_text="Fold 1").locator(".legend-value")
    until(lambda: value.count() == 1 and value.inner_text() != "")
    seen = value.inner_text()
    until(lambda: value.inner_text() != seen)
    assert page.locator(".state.running").count() == 1
    running = page.locator(".running-parts li")
    until(lambda: "Epoch" in running.first.inner_text())
    assert running.first.get_by_role("link", name="Fold ").count() == 1
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel it").click()
    page.locator(".state.cancelled").wait_for()


def test_a_training_in_folds_shows_each_fold(tab: Tab, system: System, bars: None) -> None:
    whole = system.ended(start(system, FOLDS))["operation_id"]

    page = tab.open(f"operations/{whole}")

    folds = page.get_by_role("region", name="Folds", exact=True)
    folds.get_by_role("row").nth(3).wait_for()
    page.get_by_role("region", name="Verdict").wait_for()
    page.get_by_role("region", name="Validation loss").get_by_text("Fold 3").wait_for()
    page.get_by_role("region", name="All folds against the baselines").wait_for()
    page.get_by_role("region", name="Backtest of all folds in order of time").wait_for()
    tab.picture("folds")
    folds.get_by_role("link", name="Fold 2").click()
    page.get_by_role("region", name="Class balance").wait_for()

    page = tab.open(f"compare?ids={whole}")
    page.get_by_role("region", name="Differences").get_by_role("link", name="in_folds fold 3").wait_for()
    page.get_by_role("region", name="Validation loss").get_by_text("in_folds fold 3").wait_for()


def test_a_regression_shows_signs_and_its_test_part_once_that_is_opened(tab: Tab, system: System, bars: None) -> None:
    operation_id = system.ended(start(system, RETURNS))["operation_id"]

    page = tab.open(f"operations/{operation_id}")

    sealed = page.get_by_role("region", name="Test part")
    sealed.get_by_text("Sealed: nobody has evaluated the model on it.").wait_for()
    assert page.get_by_role("region", name="On the opened test part").count() == 0
    sealed.get_by_role("button", name="Open it…").click()
    page.get_by_text("cannot be undone").wait_for()
    page.get_by_role("button", name="Open it", exact=True).click()
    page.get_by_role("region", name="Opened").get_by_text("It is opening 1 of these bars").wait_for()
    page.get_by_role("link", name="The training").click()
    page.get_by_role("region", name="On the opened test part").get_by_text("Mean", exact=True).first.wait_for()
    assert "IC" in page.locator(".tiles").inner_text()
    assert page.get_by_role("region", name="Confusion").count() == 0
    tab.picture("regression")


def test_a_model_is_backtested_and_explained_from_its_page(tab: Tab, system: System, bars: None) -> None:
    strategy = STRATEGY.format(name="Backtested", epochs=1, seed=7)
    operation_id = start(system, strategy, until="2023-12-31")
    system.ended(operation_id)

    page = tab.open(f"operations/{operation_id}")
    page.get_by_role("button", name="Backtest…").click()
    page.get_by_label("From").fill("2024-03-01")
    page.get_by_role("button", name="Start it").click()
    page.wait_for_url(re.compile("op_backtest_"))
    system.ended(page.url.rpartition("/")[2])
    page.get_by_role("region", name="Predicted bars", exact=True).get_by_text("2024-03-01").wait_for()
    stress = page.get_by_role("region", name="What the return depends on")
    assert stress.locator(".plot").count() == 3
    stress.get_by_text("By weekday").click()
    stress.get_by_role("rowheader", name="Monday").wait_for()
    tab.picture("backtest")

    page.get_by_role("link", name="The training").click()
    page.get_by_role("button", name="Explain").click()
    page.wait_for_url(re.compile("op_explanation_"))
    system.ended(page.url.rpartition("/")[2])
    page.get_by_role("region", name="What shuffling costs").wait_for()

    page.get_by_role("link", name="The training").click()
    page.get_by_role("button", name="Leave out each…").click()
    page.get_by_role("button", name="Start it").click()
    page.wait_for_url(re.compile("op_ablation_"))
    system.ended(page.url.rpartition("/")[2])
    page.get_by_role("region", name="What is lost without each indicator").get_by_text("returns").wait_for()


SEARCH = """name: Few variants
search: {trials: 4, sampler: random, objective: accuracy}
model: {type: mlp, layers: 1, hidden_size: {int: [4, 8]}, sequence_length: 5}
training: {epochs: 2, batch_size: 256, learning_rate: {log: [1e-4, 1e-2]}}
indicators: [{name: rsi, period: 14}]
"""


@pytest.fixture(scope="module")
def search(system: System, bars: None) -> str:
    return start(system, SEARCH, "/search")


def test_a_search_shows_its_trials_as_they_come_and_the_winner_beside_luck(
    tab: Tab, system: System, search: str
) -> None:
    page = tab.open(f"operations/{search}")
    page.get_by_role("img", name="accuracy of each training, and the best so far").wait_for()

    system.ended(search)
    verdict = page.get_by_role("region", name="Verdict")
    verdict.get_by_text("tries counted").wait_for()
    trials = page.get_by_role("region", name="Trials", exact=True)
    assert trials.get_by_role("row").count() == 5
    assert re.search(r"hidden_size\s+learning_rate", trials.inner_text())
    scores = [float(row.split()[2].rstrip("%")) for row in trials.get_by_role("row").all_inner_texts()[1:]]
    assert scores == sorted(scores, reverse=True)
    luck = page.get_by_role("region", name="How much luck reaches")
    assert luck.locator("rect").count() == 20
    assert luck.locator(".winner").count() == 1
    assert page.get_by_role("region", name="Score by parameter").locator("circle.main").count() == 2
    assert page.get_by_role("region", name="All parameters together").locator("path").count() == 4
    tab.picture("search")
    trials.get_by_role("link").first.click()
    page.get_by_text("of the search").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download metrics.png").click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    page.go_back()
    verdict.get_by_role("link", name="trained in full").click()
    page.get_by_role("region", name="How much luck reaches").wait_for()


def test_the_ledger_counts_tries_and_lists_looks(tab: Tab, trainings: list[str]) -> None:
    page = tab.open("ledger")
    accounts = page.get_by_role("region", name="Accounts")
    accounts.get_by_role("row").nth(1).wait_for()
    tab.picture("ledger")

    page = tab.open(f"operations/{trainings[0]}")
    page.get_by_role("link", name="All tries").click()

    looks = page.get_by_role("region", name="Looks")
    for training in trainings:
        looks.locator(f"a[href='#/operations/{training}']").first.wait_for()
    tries = int(page.locator(".tile", has_text="Tries").locator(".value").inner_text())
    assert 2 <= tries < looks.get_by_role("row").count()
    tab.picture("account")


def test_runs_are_sorted_filtered_tagged_and_saved(tab: Tab, trainings: list[str]) -> None:
    page = tab.open("runs?columns=name,training.epochs,tags&q=run_")
    rows = page.locator("table.runs tbody tr")
    epochs = page.get_by_role("button", name="epochs", exact=True)

    epochs.click()
    page.wait_for_url(re.compile("sort=-training.epochs"))
    until(lambda: rows.first.get_attribute("data-id") == trainings[1])
    assert page.evaluate("document.activeElement.dataset.key") == "training.epochs"
    page.get_by_label("Condition", exact=True).fill("training.epochs<10")
    page.keyboard.press("Enter")
    until(lambda: page.locator(f"tr[data-id={trainings[1]}]").count() == 0)
    page.get_by_label("Search", exact=True).fill(trainings[0])
    until(lambda: rows.count() == 1)

    rows.get_by_role("checkbox").check()
    page.get_by_role("button", name="Tags and note").click()
    page.get_by_label("Tags to add").fill("promising")
    page.get_by_role("button", name="Write").click()
    rows.locator(".tag", has_text="promising").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    assert Path(download.value.path()).read_text().splitlines() == ["name,training.epochs,tags", "run_1,6,promising"]
    tab.picture("runs")

    page.reload()
    rows.locator(".tag", has_text="promising").wait_for()
    page.get_by_label("Condition", exact=True).fill("nonsense<1")
    page.keyboard.press("Enter")
    assert "nonsense" in page.get_by_role("alert").inner_text()
    page.get_by_role("button", name="Remove the condition nonsense<1").click()
    page.get_by_role("alert").wait_for(state="detached")


def test_the_token_is_asked_for_until_it_is_right(browser: Browser, pictures: Path, tmp_path: Path) -> None:
    system = System(tmp_path, KTRDR_API_TOKEN="open-sesame", KTRDR_STANDBY_WORKERS="0")
    try:
        system.start()
        tab = Tab(browser.new_context(), system, pictures)
        page = tab.open("operations")
        field = page.get_by_label("Token", exact=True)
        field.fill("open-barley")
        tab.picture("token")
        page.get_by_role("button", name="Use it").click()
        until(lambda: field.count() == 1 and not field.input_value())
        field.fill("open-sesame")
        page.keyboard.press("Enter")

        page.get_by_text("Nothing has been started yet").wait_for()
        page.reload()
        page.get_by_text("Nothing has been started yet").wait_for()
        assert field.count() == 0
        assert not tab.complaints
        page.context.close()
        system.stop()
    finally:
        system.close()


def test_colours_follow_the_system_until_one_chooses(tab: Tab) -> None:
    page = tab.open("system")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)

    page.emulate_media(color_scheme="dark")
    until(lambda: page.evaluate(background) != light)
    page.get_by_role("button", name="Use light colours").click()
    assert page.evaluate(background) == light
    page.reload()
    page.get_by_role("button", name="Use dark colours").wait_for()
    assert page.evaluate(background) == light


def test_the_reference_needs_no_other_host(tab: Tab, system: System) -> None:
    page = tab.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.goto(f"{system.url}/docs")
    page.get_by_text("/api/v1/operations/{operation_id}/metrics").first.wait_for()
    page.wait_for_load_state("networkidle")
    tab.picture("reference")

    assert [url for url in asked if not url.startswith((system.url, "data:", "blob:"))] == []


def test_nothing_is_asked_for_while_hidden(tab: Tab, trainings: list[str]) -> None:
    page = tab.open("operations")
    page.locator(".op").first.wait_for()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_event("request")

    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page.wait_for_timeout(2200)
    asked.clear()
    page.wait_for_timeout(2200)

    assert not asked


def test_a_list_can_be_filtered_and_searched(tab: Tab, trainings: list[str]) -> None:
    page = tab.open("operations")
    page.locator(".op").first.wait_for()

    page.get_by_label("Type", exact=True).select_option("TRAINING")
    page.wait_for_url(re.compile("type=TRAINING"))
    page.locator(".op").first.wait_for()
    until(lambda: page.locator(".op", has_text="Data load").count() == 0)
    page.get_by_label("Search", exact=True).fill(trainings[0])

    until(lambda: page.locator(".op").count() == 1)


def test_what_is_chosen_and_focused_stays_so_as_the_list_grows(tab: Tab, system: System, trainings: list[str]) -> None:
    page = tab.open("operations")
    row = page.locator(f".op[data-id={trainings[0]}]")
    row.get_by_role("checkbox").check()
    row.get_by_role("checkbox").focus()

    newer = start(system, STRATEGY.format(name="A newer one", epochs=1, seed=5))
    page.locator(f".op[data-id={newer}]").wait_for()

    assert row.get_by_role("checkbox").is_checked()
    assert page.evaluate("document.activeElement.closest('.op')?.dataset.id") == trainings[0]
    assert page.locator(".op").first.get_attribute("data-id") == newer


def test_every_view_can_be_used_by_keyboard_alone(tab: Tab, trainings: list[str]) -> None:
    page = tab.open("operations")
    page.locator(".op").first.wait_for()

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator(f".op[data-id={trainings[0]}] a").focus()
    page.keyboard.press("Enter")
    page.get_by_role("region", name="Verdict").wait_for()
    chart = page.get_by_role("img", name="Loss by epoch")
    chart.focus()
    page.keyboard.press("+")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "img"


@pytest.mark.skipif(AXE is None, reason="axe is not installed")
@pytest.mark.parametrize(("theme", "viewport"), [("light", LAPTOP), ("dark", PHONE)], ids=["laptop", "phone"])
def test_axe_finds_nothing_serious_and_all_fits(
    open_tab: OpenTab, trainings: list[str], theme: str, viewport: dict[str, int]
) -> None:
    assert AXE
    axe = Path(str(AXE.origin)).with_name("axe.min.js").read_text(encoding="utf-8")
    tab = open_tab(viewport=viewport, color_scheme=theme)
    found: list[str] = []
    for view in VIEWS:
        page = tab.open(view.format(*trainings))
        page.wait_for_load_state("networkidle")
        # Through the debugger's door: the page's own policy lets no foreign script in.
        page.evaluate(axe)
        results: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert results["passes"] or results["violations"]
        found += [
            f"{view} {each['id']} {node['target']} {node.get('failureSummary', '')}"
            for each in results["violations"]
            if each["impact"] in {"serious", "critical"}
            for node in each["nodes"]
        ]
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], view
        tab.picture(f"{view.split('?')[0].replace('/{0}', '-one')}-{theme}")
    assert not found
