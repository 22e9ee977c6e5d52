from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from ktrdr.bootstrap import build_lanes, build_services
from ktrdr.errors import ConflictError, SeriesNotFound
from ktrdr.executors.inline import InlineExecutor
from ktrdr.payloads.jobs import DataLoadJob
from ktrdr.settings import Settings
from ktrdr.timeframe import Timeframe
from tests.api.conftest import AAPL, Wait
from tests.api.test_app import API, assert_problem

pytestmark = pytest.mark.anyio

CSV = b"""timestamp,open,high,low,close,volume
2024-01-02,10,11,9,10.5,100
2024-01-03,10.5,12,10,11.5,200
"""


async def test_a_load_is_an_operation_with_results(client: httpx.AsyncClient, loaded: dict[str, Any]) -> None:
    results = (await client.get(f"{API}/operations/{loaded['operation_id']}/results")).json()

    assert (loaded["operation_type"], loaded["status"]) == ("DATA_LOAD", "COMPLETED")
    assert loaded["progress"]["percentage"] == 100.0
    assert loaded["progress"]["items_processed"] == 1509
    assert (results["status"], results["provider"]) == ("success", "sample")
    assert (results["rows_new"], results["rows_total"]) == (1509, 1509)


async def test_bars_are_the_last_in_range(client: httpx.AsyncClient, loaded: dict[str, Any]) -> None:
    answer = await client.get(f"{API}/data/aapl/1d", params={"start": "2023-01-01", "end": "2023-06-30", "limit": 2})

    body = answer.json()
    assert (body["symbol"], body["total"]) == ("AAPL", 124)
    assert [bar["timestamp"] for bar in body["bars"]] == ["2023-06-29T00:00:00Z", "2023-06-30T00:00:00Z"]
    assert round(body["bars"][-1]["close"], 2) == 193.97


async def test_the_list_shows_range_and_provider(client: httpx.AsyncClient, loaded: dict[str, Any]) -> None:
    (series,) = (await client.get(f"{API}/data")).json()["series"]

    assert (series["symbol"], series["timeframe"], series["rows"]) == ("AAPL", "1d", 1509)
    assert series["provider"] == "sample"
    assert series["first"].startswith("2019-01-02")


async def test_a_second_load_changes_nothing(client: httpx.AsyncClient, loaded: dict[str, Any], wait: Wait) -> None:
    again = await client.post(f"{API}/data/load", json=AAPL)
    await wait(again.json()["operation_id"])

    results = (await client.get(f"{API}/operations/{again.json()['operation_id']}/results")).json()
    assert (results["rows_new"], results["rows_changed"], results["rows_total"]) == (0, 0, 1509)


@pytest.mark.parametrize("provider", ["synthetic", "yahoo"])
async def test_another_provider_is_refused_at_once(
    client: httpx.AsyncClient, loaded: dict[str, Any], provider: str
) -> None:
    answer = await client.post(f"{API}/data/load", json=AAPL | {"provider": provider})

    problem = assert_problem(answer, 409, "provider_conflict")
    assert problem["detail"].startswith("AAPL 1d is stored from sample (1,509 bars, 2019-01-02 to 2024-12-30)")
    assert "--replace" in problem["hint"]
    answer = await client.post(f"{API}/data/AAPL/1d/import", params={"filename": "aapl.csv"}, content=CSV)
    assert_problem(answer, 409, "provider_conflict")
    assert (await client.get(f"{API}/data/AAPL/1d")).json()["total"] == 1509


async def test_auto_goes_on_with_the_provider_of_the_series(
    client: httpx.AsyncClient, loaded: dict[str, Any], wait: Wait
) -> None:
    answer = await client.post(f"{API}/data/load", json=AAPL | {"provider": "auto"})

    ended = await wait(answer.json()["operation_id"])

    assert (ended["status"], ended["metadata"]["provider"]) == ("COMPLETED", "sample")


async def test_replacing_starts_a_series_anew(client: httpx.AsyncClient, loaded: dict[str, Any], wait: Wait) -> None:
    load = AAPL | {"provider": "synthetic", "start_date": "2023-01-01", "end_date": "2023-01-31", "replace": True}
    await wait((await client.post(f"{API}/data/load", json=load)).json()["operation_id"])
    (series,) = (await client.get(f"{API}/data")).json()["series"]
    assert (series["provider"], series["rows"]) == ("synthetic", 22)

    query = {"filename": "aapl.csv", "replace": "true"}
    answer = await client.post(f"{API}/data/AAPL/1d/import", params=query, content=CSV)
    await wait(answer.json()["operation_id"])

    (series,) = (await client.get(f"{API}/data")).json()["series"]
    assert (series["provider"], series["rows"]) == ("csv", 2)


async def test_a_file_is_imported(client: httpx.AsyncClient, wait: Wait, tmp_path: Path) -> None:
    answer = await client.post(f"{API}/data/ACME/1d/import", params={"filename": "acme.csv"}, content=CSV)

    ended = await wait(answer.json()["operation_id"])

    assert ended["status"] == "COMPLETED"
    assert (await client.get(f"{API}/data/ACME/1d")).json()["total"] == 2
    assert not list((tmp_path / "home" / "uploads").iterdir())


async def test_a_file_that_comes_again_is_read_whole(client: httpx.AsyncClient, wait: Wait) -> None:
    corrected = CSV.replace(b"2024-01-02,", b"2024-01-01,9,10,8,9,50\n2024-01-02,").replace(b",100\n", b",101\n")
    ended = []
    for content in (CSV, CSV, corrected):
        answer = await client.post(f"{API}/data/ACME/1d/import", params={"filename": "acme.csv"}, content=content)
        operation_id = (await wait(answer.json()["operation_id"]))["operation_id"]
        ended.append((await client.get(f"{API}/operations/{operation_id}/results")).json())

    assert [(each["rows_new"], each["rows_total"]) for each in ended] == [(2, 2), (0, 2), (1, 3)]
    assert [each["rows_changed"] > 0 for each in ended] == [False, False, True]


async def test_a_wrong_row_refuses_the_file_whole(client: httpx.AsyncClient, wait: Wait) -> None:
    content = CSV + b"2024-01-04,10,9,11,10,100\n"
    answer = await client.post(f"{API}/data/ACME/1d/import", params={"filename": "acme.csv"}, content=content)

    ended = await wait(answer.json()["operation_id"])

    assert (ended["status"], ended["error"]["code"]) == ("FAILED", "invalid_bars")
    assert "acme.csv, line 4, '2024-01-04,10,9,11,10,100': high is below" in ended["error"]["detail"]
    assert_problem(await client.get(f"{API}/data/ACME/1d"), 404, "series_not_found")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"provider": "yaho"}, "yaho"),
        ({"timeframe": "1x"}, "1x"),
        ({"symbol": "../x"}, "../x"),
        ({"start_date": "2024-02-01", "end_date": "2024-01-01"}, "2024-02-01"),
        ({"calendar": "XLOM"}, "XLOM"),
        ({"calendar": "ASEX"}, "fails to build it"),
    ],
)
async def test_what_cannot_be_right_is_refused_at_once(
    client: httpx.AsyncClient, change: dict[str, str], says: str
) -> None:
    answer = await client.post(f"{API}/data/load", json={**AAPL, **change})

    assert says in assert_problem(answer, 422, "invalid_input")["detail"]
    assert (await client.get(f"{API}/operations")).json()["total"] == 0


async def test_only_files_of_bars_are_imported(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{API}/data/ACME/1d/import", params={"filename": "acme.xlsx"}, content=b"x")

    assert "acme.xlsx" in assert_problem(answer, 422, "invalid_input")["detail"]


HEADERLESS = b"01/02/2024 09:30;10,5;11,5;9,5;10,5;1.000\n01/02/2024 10:30;10,5;11,5;9,5;10,5;2.000\n"


async def test_what_the_query_says_of_a_file_is_heeded_and_told(client: httpx.AsyncClient, wait: Wait) -> None:
    query = {"filename": "a.csv", "date_format": "DMY", "timezone": "America/New_York", "no_header": "true"}

    refused = await client.post(f"{API}/data/ACME/1h/import", params={"filename": "a.csv"}, content=HEADERLESS)
    failed = await wait(refused.json()["operation_id"])
    answer = await client.post(f"{API}/data/ACME/1h/import", params=query, content=HEADERLESS)
    ended = await wait(answer.json()["operation_id"])

    assert "may be 1 February 2024 or 2 January 2024" in failed["error"]["detail"]
    assert "--date-format DMY" in failed["error"]["hint"]
    results = (await client.get(f"{API}/operations/{ended['operation_id']}/results")).json()
    assert results["note"] == (
        "imported from a.csv; read as: semicolon-separated, no header (time, open, high, low, close, volume by "
        "position), times as day/month/year, America/New_York, decimal comma, thousands by '.'"
    )
    (bar, _) = (await client.get(f"{API}/data/ACME/1h")).json()["bars"]
    assert bar == {
        "timestamp": "2024-02-01T14:30:00Z",
        "open": 10.5,
        "high": 11.5,
        "low": 9.5,
        "close": 10.5,
        "volume": 1000.0,
    }


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"format": "metatrader"}, "metatrader"),
        ({"date_format": "dd/mm/yyyy"}, "%d/%m/%Y"),
        ({"delimiter": "ab"}, "delimiter"),
        ({"encoding": "klingon"}, "klingon"),
        ({"decimal": ",", "thousands": ","}, "two different marks"),
        ({"decimal": "x"}, "decimal"),
        ({"bad_rows": "guess"}, "bad_rows"),
        ({"skip": "-1"}, "skip"),
        ({"colum": "close=Last"}, "colum"),
        ({"calendar": "XLOM"}, "did you mean XLON"),
    ],
)
async def test_what_can_be_right_for_no_file_is_refused_at_once(
    client: httpx.AsyncClient, query: dict[str, str], says: str
) -> None:
    answer = await client.post(f"{API}/data/ACME/1d/import", params={"filename": "a.csv", **query}, content=CSV)

    problem = answer.json()
    assert answer.status_code == 422
    assert says in f"{problem['detail']} {problem['hint']} {problem.get('errors', '')}"


MIDNIGHTS_OF_TOKYO = b"""timestamp,open,high,low,close,volume
2024-01-09T15:00:00Z,10,11,9,10.5,100
2024-01-10T15:00:00Z,10.5,12,10,11.5,200
"""


async def test_an_import_goes_by_the_calendar_that_it_names_and_stores_it(
    client: httpx.AsyncClient, wait: Wait
) -> None:
    async def import_days(**query: str) -> tuple[list[str], dict[str, Any]]:
        params = {"filename": "a.csv", "replace": "true", **query}
        answer = await client.post(f"{API}/data/ACME/1d/import", params=params, content=MIDNIGHTS_OF_TOKYO)
        assert (await wait(answer.json()["operation_id"]))["status"] == "COMPLETED"
        results = (await client.get(f"{API}/operations/{answer.json()['operation_id']}/results")).json()
        bars = (await client.get(f"{API}/data/ACME/1d")).json()["bars"]
        return [bar["timestamp"][:10] for bar in bars], results["quality"]["calendar"]

    guessed = await import_days()
    named = await import_days(calendar="jpx")
    again = await import_days()
    forgotten = await import_days(calendar="guess")

    assert guessed[0] == ["2024-01-09", "2024-01-10"]
    assert named == (["2024-01-10", "2024-01-11"], {"name": "XTKS", "why": "named for ACME", "is_guess": False})
    assert (again, forgotten) == (named, guessed)


async def test_a_series_is_removed_with_what_is_known_of_it(
    client: httpx.AsyncClient, loaded: dict[str, Any], tmp_path: Path
) -> None:
    removed = await client.delete(f"{API}/data/aapl/1d")

    assert removed.json() == {"symbol": "AAPL", "timeframes": ["1d"], "rows": 1509}
    assert (await client.get(f"{API}/data")).json()["series"] == []
    assert not list((tmp_path / "home" / "bars").glob("AAPL/*1d*json"))
    assert_problem(await client.delete(f"{API}/data/AAPL/1d"), 404, "series_not_found")
    assert_problem(await client.delete(f"{API}/data/AAPL"), 404, "series_not_found")


async def test_bars_that_an_operation_uses_are_not_removed(tmp_path: Path) -> None:
    settings = Settings(ktrdr_home=tmp_path / "home")
    services = build_services(settings, InlineExecutor(build_lanes(settings)))
    await services.start()
    job = DataLoadJob(symbol="AAPL", timeframe=Timeframe.DAY, provider="sample")
    waiting, _ = await services.operations.create_operation(
        "DATA_LOAD", metadata=job.describe(), payload=job.model_dump(mode="json")
    )

    with pytest.raises(ConflictError, match=f"AAPL 1d is in use by {waiting.operation_id}") as refused:
        await services.data.remove("AAPL", "1d")
    with pytest.raises(SeriesNotFound):
        await services.data.remove("AAPL", "1h")
    await services.close()

    assert refused.value.hint.endswith(f"ktrdr operations cancel {waiting.operation_id}")
