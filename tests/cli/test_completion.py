"""What a shell offers: names that the server has, and nothing where none answers."""

from __future__ import annotations

import pytest

from ktrdr.cli import main
from tests.cli.conftest import FakeServer, operation

INDICATOR = {
    "name": "rsi",
    "title": "Relative Strength Index",
    "group": "Momentum",
    "inputs": ["close"],
    "parameters": [],
    "outputs": ["rsi"],
    "price_scale": False,
    "enters_as": ["level"],
    "warmup": 14,
}
SERIES = {
    "symbol": "AAPL",
    "timeframe": "1d",
    "rows": 1,
    "first": "2023-01-03T00:00:00Z",
    "last": "2023-01-03T00:00:00Z",
    "provider": "sample",
    "size_bytes": 1,
}


def offered(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str) -> list[str]:
    """The words that a bash offers at the end of this command line."""
    words = line.split(" ")
    monkeypatch.setenv("_KTRDR_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    assert main([]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out.split()


def test_ids_symbols_timeframes_and_indicators_are_offered(
    server: FakeServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = operation("COMPLETED")
    whole, ending = done["operation_id"], done["operation_id"].rpartition("_")[2]
    server.on("GET", "/operations", {"operations": [done], "total": 1})
    server.on("GET", "/data", {"series": [SERIES, SERIES | {"symbol": "MSFT"}]})
    server.on("GET", "/indicators", {"indicators": [INDICATOR, INDICATOR | {"name": "roc"}]})

    assert offered(capsys, monkeypatch, "ktrdr operations show ") == ["last", ending]
    assert offered(capsys, monkeypatch, f"ktrdr models show {ending[:2]}") == [ending]
    assert offered(capsys, monkeypatch, "ktrdr operations show op_") == [whole]
    assert offered(capsys, monkeypatch, "ktrdr models train --symbols AAPL,M") == ["AAPL,MSFT"]
    assert offered(capsys, monkeypatch, "ktrdr data check AAPL 1h") == ["1h"]
    assert offered(capsys, monkeypatch, "ktrdr indicators show rs") == ["rsi"]


def test_without_a_server_nothing_is_offered(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KTRDR_API_URL", "http://127.0.0.1:9")

    assert offered(capsys, monkeypatch, "ktrdr operations show ") == []
