from __future__ import annotations

import httpx
import pytest

from tests.api.test_app import API, assert_problem

pytestmark = pytest.mark.anyio

EPS = b"symbol,quarter,filed,eps\naapl,2024Q1,2024-05-02,1.53\nmsft,2024Q1,2024-04-25,\naapl,2024Q1,2024-06-02,1.5\n"
QUERY = {"known_at": "filed", "filename": "eps.csv", "timezone": "America/New_York"}


async def test_a_table_is_imported_listed_shown_and_removed(client: httpx.AsyncClient) -> None:
    imported = await client.post(f"{API}/tables/eps/import", content=EPS, params=QUERY)

    assert imported.status_code == 200
    assert (await client.get(f"{API}/tables")).json() == {"tables": [imported.json()]}
    shown = (await client.get(f"{API}/tables/eps", params={"limit": 2})).json()
    assert shown == {
        "table": imported.json(),
        "rows": [
            {"known_at": "2024-05-03T04:00:00Z", "period": "2024-01-01T00:00:00Z", "symbol": "AAPL", "values": [1.53]},
            {"known_at": "2024-06-03T04:00:00Z", "period": "2024-01-01T00:00:00Z", "symbol": "AAPL", "values": [1.5]},
        ],
    }
    assert (imported.json()["symbols"], imported.json()["revisions"]) == (2, 1)

    assert (await client.delete(f"{API}/tables/eps")).json() == imported.json()
    assert_problem(await client.get(f"{API}/tables/eps"), 404, "table_not_found")


async def test_what_cannot_be_right_is_refused(client: httpx.AsyncClient) -> None:
    wrong = await client.post(f"{API}/tables/eps/import", content=EPS, params=QUERY | {"known_at": "fled"})
    assert_problem(wrong, 422, "invalid_input")
    await client.post(f"{API}/tables/eps/import", content=EPS, params=QUERY)

    other = EPS.replace(b"1.53", b"2.53")
    assert_problem(await client.post(f"{API}/tables/eps/import", content=other, params=QUERY), 409, "conflict")
    replaced = await client.post(f"{API}/tables/eps/import", content=other, params=QUERY | {"replace": True})
    assert replaced.json()["rows"] == 3
