from __future__ import annotations

import io
from typing import Any

import httpx
import polars as pl
import pytest

from ktrdr.market.files.frames import conform
from tests.api.conftest import Wait
from tests.api.test_app import API, assert_problem

pytestmark = pytest.mark.anyio

SERIES = f"{API}/data/AAPL/1d"


async def test_a_loaded_series_shows_its_verdict_and_a_check_says_why(
    client: httpx.AsyncClient, loaded: dict[str, Any]
) -> None:
    (listed,) = (await client.get(f"{API}/data")).json()["series"]

    report = (await client.get(f"{SERIES}/quality")).json()

    results = (await client.get(f"{API}/operations/{loaded['operation_id']}/results")).json()
    assert results["quality"]["score"] == listed["quality"]["score"] == report["score"] == 100.0
    assert (report["verdict"], report["expected"], report["missing"]) == ("sound", 1509, 0)
    assert report["calendar"] == {"name": "XNYS", "why": "nothing speaks for another exchange", "is_guess": True}


async def test_by_another_calendar_bars_are_missing_and_lie_on_holidays(
    client: httpx.AsyncClient, loaded: dict[str, Any]
) -> None:
    report = (await client.get(f"{SERIES}/quality", params={"calendar": "XLON"})).json()

    assert {"missing", "closed_days"} <= {fault["kind"] for fault in report["faults"]}
    assert report["gaps"][0]["first"] == "2019-01-21T00:00:00Z"  # a holiday of New York's alone
    answer = await client.get(f"{SERIES}/quality", params={"calendar": "XLOM"})
    assert "XLON" in assert_problem(answer, 422, "invalid_input")["hint"]


async def test_a_calendar_is_named_by_put_and_by_no_get(client: httpx.AsyncClient, loaded: dict[str, Any]) -> None:
    async def calendar() -> Any:
        return (await client.get(f"{SERIES}/quality")).json()["calendar"]

    guess = await calendar()
    await client.get(f"{SERIES}/quality", params={"calendar": "24/7"})
    await client.get(f"{SERIES}/quality.png", params={"calendar": "24/7"})
    (listed,) = (await client.get(f"{API}/data")).json()["series"]
    assert (await calendar(), listed["quality"]["calendar"]) == (guess, "XNYS")

    answer = await client.put(f"{API}/data/AAPL/calendar", json={"calendar": "lse"})
    assert (answer.status_code, answer.json()) == (200, {"calendar": "XLON"})
    (listed,) = (await client.get(f"{API}/data")).json()["series"]
    assert (listed["quality"]["calendar"], listed["quality"]["verdict"]) == ("XLON", "faulty")
    assert await calendar() == {"name": "XLON", "why": "named for AAPL", "is_guess": False}

    assert (await client.put(f"{API}/data/AAPL/calendar", json={"calendar": None})).json() == {"calendar": None}
    assert await calendar() == guess
    assert_problem(await client.put(f"{API}/data/AAPL/calendar", json={"calendar": "XLOM"}), 422, "invalid_input")
    assert_problem(await client.put(f"{API}/data/NONE/calendar", json={"calendar": "XNYS"}), 404, "series_not_found")


async def test_the_picture_is_a_png(client: httpx.AsyncClient, loaded: dict[str, Any]) -> None:
    answer = await client.get(f"{SERIES}/quality.png")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.content.startswith(b"\x89PNG")


async def test_weeks_are_made_of_days_and_are_a_series_of_their_own(
    client: httpx.AsyncClient, loaded: dict[str, Any]
) -> None:
    made = (await client.post(f"{SERIES}/resample", json={"to": "1w"})).json()

    assert (made["source"], made["provider"], made["calendar"]) == ("1d", "resampled from 1d (sample)", "XNYS")
    assert "the first and last 1w bar was not whole" in made["note"]
    again = (await client.post(f"{SERIES}/resample", json={"to": "1w"})).json()
    assert (again["rows_new"], again["rows_changed"], again["rows_total"]) == (0, 0, made["rows_new"])
    weeks = (await client.get(f"{API}/data")).json()["series"][1]
    assert (weeks["timeframe"], weeks["quality"]["verdict"]) == ("1w", "sound")


async def test_what_cannot_be_resampled_is_refused(client: httpx.AsyncClient, loaded: dict[str, Any]) -> None:
    answer = await client.post(f"{SERIES}/resample", json={"to": "1h"})
    assert_problem(answer, 422, "invalid_input")
    answer = await client.post(f"{API}/data/MSFT/1d/resample", json={"to": "1w"})
    assert_problem(answer, 404, "series_not_found")
    answer = await client.post(f"{API}/data/load", json={"symbol": "AAPL", "timeframe": "1w", "provider": "synthetic"})
    assert answer.status_code == 202


@pytest.mark.parametrize("kind", ["csv", "parquet"])
async def test_an_export_holds_the_bars_in_range_and_can_be_imported(
    client: httpx.AsyncClient, loaded: dict[str, Any], wait: Wait, kind: str
) -> None:
    query = {"format": kind, "start": "2023-01-01", "end": "2023-12-31"}
    answer = await client.get(f"{SERIES}/export", params=query)

    assert answer.headers["content-disposition"] == f'attachment; filename="AAPL_1d.{kind}"'
    content = io.BytesIO(answer.content)
    frame = pl.read_csv(content, infer_schema=False) if kind == "csv" else pl.read_parquet(content)
    assert conform(frame)["close"].round(2).to_list()[-1] == 192.53
    sent = await client.post(f"{API}/data/COPY/1d/import", params={"filename": f"x.{kind}"}, content=answer.content)
    await wait(sent.json()["operation_id"])
    bars = [(await client.get(f"{API}/data/{name}/1d", params=query)).json()["bars"] for name in ("COPY", "AAPL")]
    assert bars[0] == bars[1]
    assert len(bars[0]) == 250


async def test_an_export_of_nothing_is_refused(client: httpx.AsyncClient, loaded: dict[str, Any]) -> None:
    answer = await client.get(f"{SERIES}/export", params={"start": "2035-01-01"})
    assert_problem(answer, 422, "invalid_input")
    answer = await client.get(f"{SERIES}/export", params={"format": "xlsx"})
    assert_problem(answer, 422, "invalid_request")
