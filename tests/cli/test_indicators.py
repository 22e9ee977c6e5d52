from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cli.conftest import problem

if TYPE_CHECKING:
    from tests.cli.conftest import FakeServer, Run

RSI = {
    "name": "RSI",
    "title": "Relative Strength Index",
    "group": "Momentum Indicators",
    "inputs": ["close"],
    "parameters": [{"name": "timeperiod", "default": 14, "integer": True}],
    "outputs": ["real"],
    "price_scale": False,
    "enters_as": ["real"],
    "warmup": 14,
}
SMA = {**RSI, "name": "SMA", "title": "Simple Moving Average", "group": "Overlap Studies", "price_scale": True}


def test_list_takes_a_word(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", "/indicators", {"indicators": [RSI, SMA]})

    assert [row.split()[0] for row in ktrdr("indicators", "list").out.splitlines()] == ["name", "RSI", "SMA"]
    assert [row.split()[0] for row in ktrdr("indicators", "list", "MOMENTUM").out.splitlines()] == ["name", "RSI"]
    assert ktrdr("indicators", "list", "--json").json["indicators"] == [RSI, SMA]


def test_list_names_what_expressions_may_hold_below(server: FakeServer, ktrdr: Run) -> None:
    mean = {"name": "mean", "call": "mean(x, n)", "title": "mean of the last n bars"}
    server.on("GET", "/indicators", {"indicators": [RSI], "expression_names": [mean]})

    assert "mean(x, n)" in ktrdr("indicators", "list").out
    assert ktrdr("indicators", "list", "expression").out.splitlines()[-1].startswith("mean(x, n)  ")
    assert "mean(x, n)" not in ktrdr("indicators", "list", "momentum").out
    assert ktrdr("indicators", "list", "mean", "--json").json == {"indicators": [], "expression_names": [mean]}


def test_show_gives_the_lines_for_a_strategy(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", "/indicators/rsi", RSI)

    out = ktrdr("indicators", "show", "rsi").out

    assert out.endswith("indicators:\n  - name: rsi\n    timeperiod: 14\n")


def test_an_unknown_name_gets_the_nearest(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", "/indicators/rsii", problem(404, "not_found", "no indicator 'rsii'", "did you mean 'rsi'?"))

    ran = ktrdr("indicators", "show", "rsii")

    assert (ran.code, ran.err) == (2, "error: no indicator 'rsii'\nhint: did you mean 'rsi'?\n")
