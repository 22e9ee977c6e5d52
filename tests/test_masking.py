from __future__ import annotations

import logging

import pytest

from ktrdr.errors import ProviderError, rebuild
from ktrdr.logs import LineFormatter
from ktrdr.masking import masked
from ktrdr.terminal import error_json

URLS = [
    "postgresql+asyncpg://me:hunter2@db:5432/ktrdr",
    "postgresql+asyncpg://me:sec%40ret@db/ktrdr?ssl=require&password=hunter2",
    "postgresql://db/ktrdr?user=me&password=hunter2",
    "postgresql://me:hun/ter2hunter2@db/ktrdr",
    "postgresql://me:p@hunter2@db/ktrdr",
    "postgresql://:hunter2@db/ktrdr",
    "http://hunter2@proxy/yahoo",
    "HTTPS://hunter2@proxy/yahoo",
    "https://proxy/yahoo?token=hunter2",
    "https://proxy/yahoo?a=1&api_key=hunter2&b=2",
    "https://proxy/yahoo?apikey=hunter2#part",
    "https://proxy/yahoo?X-Auth-Token=hunter2",
    "https://proxy/yahoo?access_token=hunter2;b=2",
    "https://proxy/yahoo?client_secret=hunter2",
    "redis://default:hunter2@cache",
]


@pytest.mark.parametrize("url", URLS)
def test_a_secret_is_masked_wherever_an_address_shows(url: str) -> None:
    shown = masked(f"the address {url} fails, and '{url}' too")

    assert "hunter2" not in shown
    assert shown.count("********") >= 2


@pytest.mark.parametrize("text", ["http://127.0.0.1:8000/x?limit=20", "postgresql://me@db/ktrdr", "a = b@c: d", "me@x"])
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert masked(text) == text


def test_errors_and_the_log_show_no_secret() -> None:
    url = URLS[1]
    error = ProviderError(f"{url} fails", hint=f"see {url}", asked=[url], by={"url": url})
    record = logging.LogRecord("ktrdr", logging.INFO, "", 1, "asking %s", (url,), None)

    for text in (error.whole, error_json(error), str(error), LineFormatter().format(record)):
        assert "hunter2" not in text
    assert "hunter2" not in error_json(rebuild("no_bars", url, url, {"url": url}))


def test_a_large_text_comes_to_an_end() -> None:
    assert masked("http://a:b/" * 100_000)
    assert masked("?key" * 100_000)
    assert masked("?" + "key" * 100_000)
