from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ktrdr.api.schemas.data import DataLoad, Import
from ktrdr.cli.client import Client
from ktrdr.errors import ConflictError, InputError, KtrdrError, NotFoundError, ServerUnreachable
from tests.cli.conftest import BROKEN, problem, started

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


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ktrdr.cli.client.REPEAT_AFTER_S", 0)


@pytest.mark.usefixtures("at_once")
def test_a_start_whose_answer_is_lost_is_sent_again_under_the_same_key(server: FakeServer, tmp_path: Path) -> None:
    file = tmp_path / "bars.csv"
    file.write_bytes(b"timestamp,open\n")
    load = DataLoad(symbol="AAPL", timeframe="1d")
    server.on("POST", "/data/load", BROKEN, started(), started())
    server.on("POST", "/data/ACME/1d/import", BROKEN, started())

    with closing(Client(server.url)) as client:
        client.load(load)
        client.load(load)
        client.import_file(file, "ACME", "1d", Import(filename=file.name))

    keys = [asked.headers["idempotency-key"] for asked in server.asked]
    assert keys[0] == keys[1]
    assert keys[3] == keys[4]
    assert len(set(keys)) == 3
    assert server.asked[3].body == server.asked[4].body == b"timestamp,open\n"


@pytest.mark.usefixtures("at_once")
def test_a_start_is_repeated_once_and_nothing_else_is(server: FakeServer) -> None:
    server.on("POST", "/operations/op_x/resume", BROKEN)
    server.on("POST", "/operations/op_x/cancel", BROKEN)

    with closing(Client(server.url)) as client:
        for ask in (client.resume, client.cancel):
            with pytest.raises(ServerUnreachable):
                ask("op_x")

    assert server.paths("POST") == ["/operations/op_x/resume"] * 2 + ["/operations/op_x/cancel"]
