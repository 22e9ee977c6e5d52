from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.cli.conftest import problem

if TYPE_CHECKING:
    from tests.cli.conftest import FakeServer, Run

FIRST, SECOND = "look_20230630_k3x9ab", "look_20230701_p2c8de"


def look(look_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "look_id": look_id,
        "operation_id": "op_training_20230630_abc123",
        "door": "server",
        "kind": "training",
        "part": "validation",
        "strategy_name": "a_strategy_with_quite_a_long_name_that_nobody_types",
        "inputs_sha256": "0" * 64,
        "whole_sha256": None,
        "label": "direction",
        "timeframe": "1d",
        "symbols": ["AAPL"],
        "from": "2022-01-04T21:00:00Z",
        "to": "2023-05-04T21:00:00Z",
        "samples": 334,
        "opened_at": "2023-06-30T10:00:00Z",
        "closed_at": None,
        "figures": None,
        "has_series": False,
        **changes,
    }


def account(**changes: Any) -> dict[str, Any]:
    return {
        "account_id": FIRST,
        "tries": 1012,
        "looks": 1015,
        "without_series": 3,
        "bars": 334,
        "timeframes": ["1d"],
        "symbols": ["AAPL", "APPLE"],
        "strategies": ["test_e2e"],
        "from": "2022-01-04T21:00:00Z",
        "to": "2023-05-04T21:00:00Z",
        "first_opened_at": "2023-06-30T10:00:00Z",
        "last_opened_at": "2023-07-01T10:00:00Z",
        "openings": [],
        **changes,
    }


def test_accounts_are_listed_in_lines_of_80_characters(server: FakeServer, ktrdr: Run) -> None:
    opening = {"look_id": SECOND, "number": 1, "level": 0.025, "opened_at": "2023-07-01T10:00:00Z", "by": "Ada"}
    server.on("GET", "/ledger", {"accounts": [account(openings=[opening])], "total": 5})

    ran = ktrdr("ledger", "list", "--limit", "1")

    heading, row = ran.out.splitlines()
    assert heading.split() == ["account", "tries", "opened", "bars", "from", "to", "of"]
    assert row.split() == [FIRST, "1,012", "1", "334", "2022-01-04", "2023-05-04", "AAPL,APPLE", "1d"]
    assert len(row) <= 80
    assert ran.err == "1 of 5 accounts; see more with --limit\n"
    assert server.asked[0].query == {"limit": "1"}


def test_an_empty_ledger_says_what_fills_it(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", "/ledger", {"accounts": [], "total": 0})

    assert ktrdr("ledger", "list").err == "No looks yet. Every training records one: ktrdr models train --help\n"


def test_an_account_is_shown_with_the_figures_of_its_looks(server: FakeServer, ktrdr: Run) -> None:
    figures = {"accuracy": 0.561, "over": "majority", "lead": 0.031, "p_value": 0.1234, "total_return": 0.12}
    numbers = {"accuracy": 0.5, "ic": 0.02, "over": "mean", "lead": -0.0123, "p_value": 0.9, "total_return": -0.3}
    entries = [look(FIRST, figures=figures), look(SECOND, figures=numbers), look(SECOND)]
    server.on("GET", f"/ledger/{SECOND}", account(entries=entries))

    ran = ktrdr("ledger", "show", SECOND)

    lines = ran.out.splitlines()
    assert "without figures  3" in lines
    rows = [line.split() for line in lines[-3:]]
    assert [row[0] for row in rows] == [FIRST, SECOND, SECOND]
    assert [row[-4:] for row in rows] == [
        ["56.1%", "+3.1", "0.1234", "+12.0%"],
        ["50.0%", "-0.0123", "0.9000", "-30.0%"],
        ["-", "-", "-", "-"],
    ]
    assert ktrdr("ledger", "show", SECOND, "--json").json["entries"][-1] == entries[-1]


def test_an_unknown_look_is_wrong_use(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", "/ledger/look_x", problem(404, "not_found", "the ledger has no look look_x", "see the ledger"))

    ran = ktrdr("ledger", "show", "look_x")

    assert (ran.code, ran.err) == (2, "error: the ledger has no look look_x\nhint: see the ledger\n")


def verdict(**changes: Any) -> dict[str, Any]:
    return {
        "look_id": FIRST,
        "operation_id": "op_training_20230630_abc123",
        "strategy_name": "test_e2e",
        "selection": {
            "tries": 1043,
            "without_series": 3,
            "over": "majority",
            "lead": 0.031,
            "rank": 2,
            "single_p_value": 0.004,
            "p_value": 0.09,
            "level": 0.025,
            "beats_baselines": False,
            "luckiest": {"median": 0.02, "upper": 0.034, "quantiles": [0.0, 0.05]},
            "overfitting": 0.41,
            "verdict": "It is ahead of the majority baseline by 3.1 points.",
        },
        "backtest": None,
        **changes,
    }


def test_a_verdict_over_all_tries_says_first_whether_the_model_beats_its_baselines(
    server: FakeServer, ktrdr: Run
) -> None:
    backtest = {
        "tries": 1043,
        "without_series": 3,
        "zero_p_value": 0.5,
        "holding_p_value": 0.8,
        "effective_trials": 12.3,
        "expected_sharpe": 1.1,
        "deflated_sharpe": None,
    }
    server.on("GET", f"/ledger/{FIRST}/verdict", verdict(backtest=backtest))

    ran = ktrdr("ledger", "verdict", FIRST)

    fields = dict(line.split("  ", 1) for line in ran.out.splitlines())
    shown = {name: value.strip() for name, value in fields.items()}
    assert next(iter(shown)) == "beats its baselines"
    assert shown["beats its baselines"] == "no"
    assert (shown["tries"], shown["without a result"]) == ("1,043", "3")
    assert (shown["p, single run"], shown["p, all tries"], shown["overfitting"]) == ("0.004", "0.09", "41.0%")
    assert (shown["independent tries"], shown["luckiest Sharpe ratio"]) == ("12.3", "1.10")
    assert shown["deflated Sharpe ratio"] == "-"
    assert ran.err == "note: It is ahead of the majority baseline by 3.1 points.\n"
    assert ktrdr("ledger", "verdict", FIRST, "--json").json["selection"]["p_value"] == 0.09


def test_a_look_without_returns_has_none_to_show(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", f"/ledger/{FIRST}/verdict", verdict())

    assert "Sharpe" not in ktrdr("ledger", "verdict", FIRST).out
