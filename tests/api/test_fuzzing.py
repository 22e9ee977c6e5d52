"""Nothing that is sent breaks the server, and every answer is a documented one.

`python -m tests.api.mutations` and `python -m tests.api.survey` send far more.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.live import Live, furnished
from tests.api.mutations import mutate
from tests.api.survey import survey

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with furnished(tmp_path_factory.mktemp("home")) as server:
        yield server


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
