"""Nothing that is sent breaks the server, and every answer is a documented one.

`python -m tests.api.mutations` and `python -m tests.api.survey` send far more.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.known_requests import known_requests
from tests.api.live import API, Live, furnished
from tests.api.mutations import mutate
from tests.api.survey import survey
from tests.e2e.system import until
from tests.refusals import everything

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with furnished(tmp_path_factory.mktemp("home")) as server:
        yield server


def test_reading_changes_nothing(server: Live) -> None:
    until(lambda: not [*server.home.glob("models/*/checkpoints")])  # they go after the end is recorded
    before = everything(server.home)

    answers = [
        (path, server.http.request(method, path, params=query).status_code)
        for path, query in _reads(server)
        for method in ("GET", "HEAD", "OPTIONS")
    ]

    assert everything(server.home) == before
    answered = {path for path, status in answers if status == 200}
    without_content = {
        f"{API}/models/compare",
        f"{API}/operations/{server.load}/strategy",
        f"{API}/models/{server.load}/bundle",
        f"{API}/models/{server.load}/verification",
        f"{API}/runs/{server.load}",
    }
    assert {path for path, _ in answers} - answered == without_content
    assert len(answered) > 30


def _reads(server: Live) -> Iterator[tuple[str, dict[str, str]]]:
    """Path and query of every GET that there is, such that it is answered."""
    known = known_requests(server)
    for route, methods in server.http.get("/openapi.json").json()["paths"].items():
        for request in known.get(f"GET {route}", [{}]) if "get" in methods else ():
            query = request.get("query", {})
            path = route.format(**request.get("path_parameters", {}))
            yield path, query
            if "quality" in path:
                yield path, query | {"calendar": "24/7"}
    yield from ((path, {}) for path in ("/", "/docs", "/metrics", "/openapi.json"))


def test_wrong_documents_are_refused_in_words(server: Live) -> None:
    answers = mutate(server, examples=240)

    assert not answers.failures, "\n".join(answers.failures)
    assert {200, 202, 422} <= {status for _, status in answers.statuses}
    assert not server.end_all(within_s=60, loads_may_take_s=0.5)
    assert not [*server.stack_traces(), *server.crashes()]


def test_every_answer_is_documented(server: Live) -> None:
    found = survey(server, examples=5)

    assert not found.failures, "\n".join(found.failures)
    assert {200, 202, 404, 409, 422} <= {status for _, status in found.answers}
    assert not server.end_all(within_s=60, loads_may_take_s=0.5)
    assert not [*server.stack_traces(), *server.crashes()]
