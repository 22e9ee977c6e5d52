from __future__ import annotations

import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import ClassVar

import pytest

from ktrdr.errors import InputError, ProviderConflict, ProviderError, ProviderUnreachable
from ktrdr.market import providers
from ktrdr.market.provider import Capabilities, Page, Pages, Wait
from ktrdr.market.provider import fetch as fetch_all
from ktrdr.market.providers import auto, create_provider, provider_for
from ktrdr.market.providers.auto import AutoProvider, yahoo_is_reachable
from ktrdr.market.providers.synthetic import SyntheticProvider
from ktrdr.market.series_file import SeriesInfo
from ktrdr.timeframe import Timeframe

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Failing:
    error: ProviderError
    name: str = "yahoo"
    capabilities: ClassVar[Capabilities] = Capabilities("yahoo", tuple(Timeframe), "no", "any")

    def pages(
        self, symbol: str, timeframe: str, start: date | None, end: date | None, wait: Wait = time.sleep
    ) -> Pages:
        raise self.error
        yield


def fetch(provider: AutoProvider, symbol: str = "AAPL", timeframe: str = "1d") -> Page:
    return fetch_all(provider, symbol, timeframe, date(2023, 1, 1), date(2023, 12, 31))


def test_what_the_first_source_serves_is_passed_on() -> None:
    fetched = fetch(AutoProvider(first=SyntheticProvider(), first_is_reachable=lambda: True))

    assert fetched.provider == "synthetic"


def test_without_a_network_the_sample_serves_and_says_so() -> None:
    fetched = fetch(AutoProvider(first_is_reachable=lambda: False))

    assert fetched.provider == "sample"
    assert fetched.note.startswith("yahoo cannot be reached; served by sample instead: real AAPL daily bars")


@pytest.mark.processes
def test_nothing_of_yahoo_is_imported_where_it_cannot_be_reached() -> None:
    script = """
import sys
from ktrdr.market.providers.auto import AutoProvider
list(AutoProvider(first_is_reachable=lambda: False).pages("AAPL", "1d", None, None))
print(sorted({"yfinance", "pandas", "curl_cffi"} & sys.modules.keys()))
"""
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert ran.stdout == "[]\n"


def test_a_failing_source_is_replaced_by_the_sample_with_its_reason() -> None:
    first = Failing(ProviderError("yahoo refuses for now: too many requests"))

    fetched = fetch(AutoProvider(first=first, first_is_reachable=lambda: True))

    assert fetched.provider == "sample"
    assert "too many requests" in fetched.note


def test_what_nobody_has_names_both_reasons_and_the_ways_out() -> None:
    with pytest.raises(ProviderUnreachable) as refused:
        fetch(AutoProvider(first_is_reachable=lambda: False), "MSFT")

    assert refused.value.detail == "yahoo cannot be reached, and the sample has AAPL 1d only, not MSFT 1d"
    assert "--provider" in refused.value.hint
    assert "ktrdr data import FILE MSFT 1d" in refused.value.hint


def test_an_answer_that_refuses_the_symbol_is_not_called_unreachable() -> None:
    first = Failing(ProviderError("yahoo has no 1d bars of NOPE"))

    with pytest.raises(ProviderError) as refused:
        fetch(AutoProvider(first=first, first_is_reachable=lambda: True), "NOPE")

    assert not isinstance(refused.value, ProviderUnreachable)


def test_a_name_that_never_resolves_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object, **__: object) -> socket.socket:
        time.sleep(1.0)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", hang)
    monkeypatch.setattr(auto, "PATIENCE_S", 0.05)
    began = time.monotonic()

    assert not yahoo_is_reachable()
    assert time.monotonic() - began < 0.5


def test_a_port_that_accepts_is_reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(auto, "getproxies", lambda: {"https": proxy})

        assert yahoo_is_reachable()


def test_an_unknown_provider_names_the_nearest() -> None:
    with pytest.raises(
        InputError, match="provider 'yaho' is not one of auto, yahoo, ib, sample, synthetic, ccxt:EXCHANGE"
    ) as refused:
        create_provider("yaho")

    assert refused.value.hint == "did you mean 'yahoo'?"


def stored_from(provider: str) -> SeriesInfo:
    first, last = datetime(2023, 1, 3, tzinfo=UTC), datetime(2023, 12, 29, tzinfo=UTC)
    return SeriesInfo("AAPL", Timeframe.DAY, 250, first, last, provider, 9000)


def answer(provider: str, stored: SeriesInfo | None) -> str:
    asked = provider_for(provider, stored)
    return fetch_all(asked, "AAPL", "1d", date(2023, 1, 1), date(2023, 12, 31)).provider


def test_auto_asks_the_provider_that_a_stored_series_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "yahoo_is_reachable", lambda: pytest.fail("yahoo was asked"))
    monkeypatch.setattr(providers, "yahoo_is_reachable", lambda: pytest.fail("yahoo was asked"))

    assert answer("auto", stored_from("sample")) == "sample"
    assert answer("auto", stored_from("synthetic")) == "synthetic"
    assert answer("sample", stored_from("sample")) == "sample"


def test_auto_does_not_mix_the_sample_into_a_series_of_yahoo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "yahoo_is_reachable", lambda: False)

    with pytest.raises(ProviderUnreachable) as refused:
        answer("auto", stored_from("yahoo"))

    assert refused.value.detail == (
        "yahoo cannot be reached; AAPL 1d is stored from yahoo, so no other provider was asked"
    )
    assert "--replace" in refused.value.hint


@pytest.mark.parametrize(
    ("provider", "stored"), [("synthetic", "sample"), ("sample", "synthetic"), ("auto", "csv"), ("auto", "unknown")]
)
def test_a_provider_that_may_not_join_is_refused_before_it_is_asked(provider: str, stored: str) -> None:
    with pytest.raises(ProviderConflict, match=f"is stored from {stored} .*; bars from {provider} cannot join it"):
        provider_for(provider, stored_from(stored))
