from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from ktrdr.cli.client import Client
from ktrdr.errors import ConflictError, InputError, KtrdrError, NotFoundError
from tests.cli.conftest import problem

if TYPE_CHECKING:
    from tests.cli.conftest import FakeServer


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, NotFoundError), (409, ConflictError), (400, InputError), (422, InputError), (500, KtrdrError)],
)
def test_a_problem_becomes_an_error_that_carries_its_data(
    server: FakeServer, status: int, kind: type[KtrdrError]
) -> None:
    server.on("GET", "/data", problem(status, "some_code", "the matter", "the cure", rows=[3, 7]))

    with closing(Client(server.url)) as client, pytest.raises(KtrdrError) as raised:
        client.series()

    assert type(raised.value) is kind
    assert (raised.value.detail, raised.value.hint) == ("the matter", "the cure")
    assert raised.value.context == {"status": status, "problem": "some_code", "rows": [3, 7]}


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server.on("GET", "/data", {"series": []})

    with closing(Client(server.url)) as client:
        assert client.series().series == []


@pytest.mark.parametrize("template", ["{}", "{}/", " {} "])
def test_an_address_may_lack_its_scheme(server: FakeServer, template: str) -> None:
    server.on("GET", "/data", {"series": []})

    with closing(Client(template.format(server.url.removeprefix("http://")))) as client:
        assert client.series().series == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../../x", "a\\b"])
def test_names_never_leave_their_place_in_the_path(server: FakeServer, name: str) -> None:
    with closing(Client(server.url)) as client, pytest.raises(InputError):
        client.operation(name)

    assert server.asked == []


def test_names_are_quoted(server: FakeServer) -> None:
    server.on("GET", "/data/BTC=F?#%/1d", {"symbol": "BTC=F?#%", "timeframe": "1d", "total": 0, "bars": []})

    with closing(Client(server.url)) as client:
        assert client.bars("BTC=F?#%", "1d", {}).total == 0
