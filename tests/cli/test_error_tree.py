"""Every error of the tree and every place that raises one, from the server's problem to the command line's words."""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from ktrdr import errors
from ktrdr.api import problems
from ktrdr.errors import Fault, KtrdrError, StrategyError, TrainingDataError, rebuild
from ktrdr.market.quality import enforce
from ktrdr.market.series_file import StoredBars
from ktrdr.strategy.spec import Data
from tests.features.series import made_bars
from tests.raise_sites import error_classes, raise_sites
from tests.refusals import check_refusal

if TYPE_CHECKING:
    from tests.cli.conftest import FakeServer, Run

RESERVED = {"type", "title", "status", "code", "detail", "hint", "instance", "self", "context"}
ODD_VALUES: tuple[object, ...] = (1, 0.5, None, "a word", ["a", "b"], [{"first": "x", "bars": 3}], {"a": {"b": 1}})
EXIT_CODES = {
    errors.InputError: 2,
    errors.NotFoundError: 2,
    errors.ConflictError: 2,
    errors.TrainingDataError: 2,
    errors.TrainingDiverged: 1,
    errors.ProviderError: 1,
    errors.StorageError: 1,
    errors.ServerUnreachable: 1,  # a server that cannot reach another one; the command line itself says 3
}


def exit_code_of(kind: type[KtrdrError]) -> int:
    return next((EXIT_CODES[each] for each in kind.__mro__ if each in EXIT_CODES), 1)


@cache
def places() -> Mapping[str, tuple[str, ...]]:
    """The places that add data to an error, with the keys of the data."""
    keys = {
        site.name: tuple(each.arg for each in site.call.keywords if each.arg and each.arg != "hint")
        for site in raise_sites()
    }
    return {place: own for place, own in keys.items() if own}


@cache
def lists_of_faults() -> frozenset[str]:
    """Places where `faults` is written as a list, and not as a count."""
    return frozenset(
        site.name
        for site in raise_sites()
        if any(each.arg == "faults" and isinstance(each.value, ast.List | ast.ListComp) for each in site.call.keywords)
    )


def served(error: KtrdrError) -> tuple[int, Any]:
    """The answer of a server in which this error is raised."""
    app = FastAPI()
    problems.install(app)

    @app.get("/")
    def fail() -> None:
        raise error

    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.get("/")

    response = asyncio.run(answer())
    return response.status_code, response.json()


def check_walk(error: KtrdrError, server: FakeServer, ktrdr: Run, *words: str) -> dict[str, Any]:
    """The command line tells this error in words and as JSON, with one exit code; the JSON's content."""
    server.on("GET", "/models", served(error))
    code = exit_code_of(type(error))
    check_refusal(ktrdr("models", "list"), code, *words)
    told = ktrdr("models", "list", "--json")
    assert (told.code, told.out) == (code, "")
    content: dict[str, Any] = json.loads(told.err)["error"]
    assert (content["code"], content["detail"], content["hint"]) == (error.code, error.detail, error.hint)
    return content


def test_every_error_is_told(server: FakeServer, ktrdr: Run) -> None:
    for kind in error_classes():
        error = rebuild(kind.code, "something is wrong", "mend it", {"rows": [3, 7], "status": 7, "detail": "no"})

        content = check_walk(error, server, ktrdr, "error: something is wrong", "hint: mend it")

        assert content["context"]["rows"] == [3, 7]


@pytest.mark.parametrize("value", ODD_VALUES, ids=str)
def test_an_error_is_told_whatever_its_data_hold(value: object, server: FakeServer, ktrdr: Run) -> None:
    every_key = {key: value for keys in places().values() for key in keys}

    check_walk(rebuild("training_data", "it is wrong", "", every_key), server, ktrdr, "it is wrong")


def test_every_place_that_adds_data_to_an_error_uses_keys_that_mean_one_thing() -> None:
    assert len(places()) > 30
    for place, keys in places().items():
        assert not RESERVED & set(keys), place
        assert "faults" not in keys or place in lists_of_faults(), place


def test_a_strategys_faults_are_a_line_each(server: FakeServer, ktrdr: Run) -> None:
    faults = [Fault("model.type", "is missing", line=3), Fault("training.epochs", "must be at least 1; it is 0", 0)]

    content = check_walk(StrategyError(faults), server, ktrdr, "2 faults:", "  line 3: model.type is missing\n")

    assert [fault["path"] for fault in content["context"]["faults"]] == ["model.type", "training.epochs"]


def test_a_limit_of_gaps_that_is_broken_says_which_bars_are_missing(server: FakeServer, ktrdr: Run) -> None:
    holed = made_bars(60).filter(~np.isin(np.arange(60), range(20, 27)))
    with pytest.raises(TrainingDataError) as refused:
        enforce(Data(max_gap=3), StoredBars(holed, "made"), "BTCUSDT", "1d")

    content = check_walk(refused.value, server, ktrdr, "lacks 7 bars in a row; data.max_gap allows 3", "(7)")

    assert content["context"]["quality"]["longest_gap"] == 7
    assert [gap["bars"] for gap in content["context"]["gaps"]] == [7]


def test_a_wrong_option_is_told_as_json_too(ktrdr: Run) -> None:
    told = ktrdr("models", "list", "--json", "--limt", "3")

    assert told.code == 2
    assert "--limt" in json.loads(told.err)["error"]["detail"]
