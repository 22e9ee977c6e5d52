"""Results as the API serves them: with the paths of this home, whoever wrote them, and documented leaf by leaf."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ktrdr.api.app import create_app
from ktrdr.api.services.services import Services
from ktrdr.bootstrap import build_services
from ktrdr.operations.operation import WorkerIdentity
from ktrdr.settings import Settings
from tests.api.test_app import API, assert_problem
from tests.sample_results import leak_gate, preflight_report, training

pytestmark = pytest.mark.anyio

ELSEWHERE = "/elsewhere/ktrdr/models/op_old"
METADATA = {"strategy": "test_e2e", "symbols": ["AAPL"], "timeframes": ["1d"], "model_type": "lstm"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
async def services(home: Path) -> AsyncIterator[Services]:
    services = build_services(Settings(ktrdr_home=home, ktrdr_standby_workers=0))
    await services.start()
    yield services
    await services.close()


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(services, version="0.0.0", token="", allowed_hosts=["ktrdr"])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ktrdr") as client:
        yield client


async def completed(services: Services, results: dict[str, Any]) -> str:
    """A training that ended with these results, as a registry keeps them."""
    operation, _ = await services.operations.create_operation("TRAINING", metadata=METADATA, payload={})
    await services.operations.start_operation(operation.operation_id, WorkerIdentity(1, 0.0))
    await services.operations.complete_operation(operation.operation_id, results)
    return operation.operation_id


def stored(folder: str = "models/op_old") -> dict[str, Any]:
    whole = training(folder, leak_gate=leak_gate(), preflight=preflight_report())
    document: dict[str, Any] = json.loads(whole.model_dump_json())
    return document


async def test_what_is_stored_relative_is_served_where_this_home_lies(
    services: Services, client: httpx.AsyncClient, home: Path
) -> None:
    operation_id = await completed(services, stored())

    served = (await client.get(f"{API}/operations/{operation_id}/results")).json()

    assert served == stored(str(home / "models" / "op_old"))
    (model,) = (await client.get(f"{API}/models")).json()["models"]
    assert model["results"] == served


async def test_results_of_0_1_0_in_a_home_that_has_moved_name_files_of_this_one(
    services: Services, client: httpx.AsyncClient, home: Path
) -> None:
    document = stored(ELSEWHERE)
    del document["version"]
    document["preflight"]["symbols"][0]["first"] = "2023-01-03T00:00:00+00:00"
    operation_id = await completed(services, document)
    plot = home / "models" / "op_old" / "metrics.png"
    plot.parent.mkdir(parents=True)
    plot.write_bytes(b"\x89PNG")

    served = (await client.get(f"{API}/operations/{operation_id}/results")).json()

    assert served == stored(str(home / "models" / "op_old"))
    assert (await client.get(f"{API}/operations/{operation_id}/artifacts/metrics_plot")).content == b"\x89PNG"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 2}, "the results were written by a newer ktrdr (version 2; this one reads 1)"),
        ({"final_metrics": {}}, "are damaged: final_metrics.best_epoch: Field required"),
    ],
)
async def test_what_cannot_be_read_is_told_by_itself_and_noted_in_a_list(
    services: Services, client: httpx.AsyncClient, change: dict[str, Any], says: str
) -> None:
    operation_id = await completed(services, stored() | change)

    refused = await client.get(f"{API}/operations/{operation_id}/results")

    assert says in assert_problem(refused, 503, "storage_failed")["detail"]
    (model,) = (await client.get(f"{API}/models")).json()["models"]
    assert says in model["results"]["note"]


async def test_every_leaf_of_results_has_a_description(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    answer = document["paths"][f"{API}/operations/{{operation_id}}/results"]["get"]["responses"]["200"]
    schema = answer["content"]["application/json"]["schema"]
    models = {reference.rsplit("/", 1)[-1] for reference in _references(schema)}
    assert {"TrainingResults", "FoldsResults", "PreflightResults", "AuditResults", "PredictionResults"} <= models

    schemas, bare = document["components"]["schemas"], []
    reached: set[str] = set()
    while models - reached:
        name = (models - reached).pop()
        reached.add(name)
        models |= {reference.rsplit("/", 1)[-1] for reference in _references(schemas[name])}
        fields = schemas[name].get("properties", {})
        bare += [f"{name}.{field}" for field, about in fields.items() if "description" not in about]

    assert len(reached) > 25
    assert bare == []


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref":
                yield value
            else:
                yield from _references(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _references(item)
