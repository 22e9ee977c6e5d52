"""What is drawn: charts, curves, log lines, the strategy of an operation, the system."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.strategy.sections.indicators import Indicator
from tests.api.conftest import Wait

pytestmark = pytest.mark.anyio

CHART = "/api/v1/charts/AAPL/1d"
STRATEGY = """name: Drawn
model: {type: mlp, layers: 1, hidden_size: 4, sequence_length: 3}
training: {epochs: 5, batch_size: 256}
indicators: [{name: ema, period: 50}, {name: rsi, period: 14}]
controls: {shuffled_labels: none}
"""


@pytest.fixture
async def training(client: httpx.AsyncClient, loaded: dict[str, Any], wait: Wait) -> str:
    body = {"strategy": STRATEGY, "symbols": ["AAPL"], "timeframes": ["1d"]}
    operation_id: str = (await client.post("/api/v1/training/start", json=body)).json()["operation_id"]
    assert (await wait(operation_id))["status"] == "COMPLETED"
    return operation_id


@pytest.mark.usefixtures("loaded")
async def test_pages_of_bars_follow_each_other_without_gap_or_overlap(client: httpx.AsyncClient) -> None:
    whole = (await client.get(CHART, params={"limit": 20_000})).json()

    pages: list[list[int]] = []
    before = None
    while not pages or before:
        query = {"limit": 400} | ({"before": before} if before else {})
        page = (await client.get(CHART, params=query)).json()
        pages.insert(0, page["time"])
        before = pl.from_epoch(pl.Series([page["time"][0]]))[0].isoformat() + "Z" if page["first_row"] else None

    assert [at for page in pages for at in page] == whole["time"]
    assert whole["total"] == len(whole["time"]) == 1509
    assert [len(whole[column]) for column in ("open", "high", "low", "close", "volume")] == [1509] * 5
    assert whole["indicators"] == []
    assert whole["labels"] is whole["predictions"] is None


async def test_what_a_training_saw_and_learnt_is_drawn(
    client: httpx.AsyncClient, training: str, tmp_path: Path
) -> None:
    await check_chart(client, training, tmp_path)
    await check_curves(client, training)
    assert (await client.get(f"/api/v1/operations/{training}/strategy")).text == STRATEGY


async def check_chart(client: httpx.AsyncClient, training: str, tmp_path: Path) -> None:
    chart = (await client.get(CHART, params={"limit": 100, "training": training})).json()

    # Of the whole series, not of the page: an average that remembers its beginning shows the difference.
    bars = pl.read_parquet(next((tmp_path / "home" / "bars").rglob("*.parquet")))
    ema = IndicatorCatalogue().compute(Indicator(name="ema", period=50), bars)["ema_50"][-100:]  # type: ignore[call-arg]
    lines = {line["name"]: line for line in chart["indicators"]}
    assert lines["ema_50"]["values"] == pytest.approx(ema.tolist(), rel=1e-6)
    assert (lines["ema_50"]["on_price"], lines["rsi_14"]["on_price"]) == (True, False)

    moves = [later > now for now, later in zip(chart["close"], chart["close"][1:], strict=False)]
    assert chart["labels"]["class_names"] == ["down", "up"]
    assert chart["labels"]["classes"] == [*map(int, moves), None]

    predictions = chart["predictions"]
    names = dict(zip(chart["time"], chart["labels"]["classes"], strict=True))
    assert set(predictions["predicted"]) <= {"down", "up"}
    assert predictions["label"] == [chart["labels"]["class_names"][names[at]] for at in predictions["time"]]
    assert all(0.5 <= confidence <= 1 for confidence in predictions["confidence"])


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v1/charts/AAPL/1h", 404, "series_not_found"),
        ("/api/v1/charts/AAPL/1x", 422, "invalid_input"),
        (f"{CHART}?before=2023-01-01", 422, "invalid_request"),
        (f"{CHART}?training=op_training_20230101_aaaaaa", 404, "operation_not_found"),
        ("/api/v1/operations/op_training_20230101_aaaaaa/log", 404, "operation_not_found"),
    ],
)
async def test_what_cannot_be_drawn_is_told(client: httpx.AsyncClient, path: str, status: int, code: str) -> None:
    answer = await client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def check_curves(client: httpx.AsyncClient, training: str) -> None:
    """Thinned, but for their ends."""
    metrics = (await client.get(f"/api/v1/operations/{training}/metrics")).json()["metrics"]

    query: dict[str, Any] = {"operation": [training, "op_training_20230101_aaaaaa"], "points": 3}
    answers = [(await client.get("/api/v1/charts/curves", params=query)).json() for _ in range(2)]

    assert answers[0] == answers[1]
    assert answers[0]["curves"].keys() == {training}
    curve = answers[0]["curves"][training]
    assert curve["steps"] == [1, 3, 5]
    assert curve["values"] == [metrics[step - 1]["val_loss"] for step in curve["steps"]]


async def test_the_log_of_an_operation_goes_on_from_a_cursor(
    client: httpx.AsyncClient, loaded: dict[str, Any], tmp_path: Path
) -> None:
    operation_id = loaded["operation_id"]
    log = tmp_path / "home" / "logs" / "ktrdr.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text(f"one [{operation_id}]\nanother [op_x]\n{operation_id} two\nhalf a line of {operation_id}")
    path = f"/api/v1/operations/{operation_id}/log"
    first = (await client.get(path)).json()
    assert first["lines"] == [f"one [{operation_id}]", f"{operation_id} two"]
    with log.open("a") as file:
        file.write(" done\n")
    assert (await client.get(path, params={"cursor": first["new_cursor"]})).json()["lines"] == [
        f"half a line of {operation_id} done"
    ]
    log.write_text(f"rotated [{operation_id}]\n")
    assert (await client.get(path, params={"cursor": first["new_cursor"]})).json()["lines"] == [
        f"rotated [{operation_id}]"
    ]


async def test_a_load_has_no_strategy(client: httpx.AsyncClient, loaded: dict[str, Any]) -> None:
    answer = await client.get(f"/api/v1/operations/{loaded['operation_id']}/strategy")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_the_system_tells_what_it_runs_on(client: httpx.AsyncClient, loaded: dict[str, Any]) -> None:
    system = (await client.get("/api/v1/system")).json()

    assert system["health"]["status"] == "ready"
    assert system["operations"]["COMPLETED"] == 1
    assert system["disk"]["parts"]["bars"] > 10_000
    assert 0 < system["disk"]["free_bytes"] <= system["disk"]["total_bytes"]
    assert {"python", "ktrdr", "torch"} <= system["versions"].keys()
