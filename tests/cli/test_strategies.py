from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import FakeServer, Run

FAULT = {"path": "model.type", "message": "is unknown: 'lstn'", "value": "lstn", "suggestion": "lstm", "line": 2}


def test_a_valid_strategy_is_exit_code_0(server: FakeServer, ktrdr: Run, strategy: Path) -> None:
    server.on("POST", "/strategies/validate", {"valid": True, "faults": [], "strategy": {"name": "A strategy"}})

    ran = ktrdr("strategies", "validate", str(strategy))

    assert (ran.code, ran.out, ran.err) == (0, "", f"{strategy} is valid\n")
    assert server.asked[0].json == {"strategy": strategy.read_text()}


def test_a_valid_search_says_what_it_varies(server: FakeServer, ktrdr: Run, strategy: Path) -> None:
    keys = [{"path": path, "range": {"int": [1, 40]}} for path in ("model.layers", "labels.horizon")]
    outline = {"trials": 1000, "different": 1600, "sampler": "tpe", "objective": "lead", "keys": keys}
    server.on("POST", "/strategies/validate", {"valid": True, "faults": [], "strategy": {}, "search": outline})

    ran = ktrdr("strategies", "validate", str(strategy))

    assert ran.err == (
        f"{strategy} is valid: a search of 1,000 trials of 1,600 different ones over model.layers, labels.horizon\n"
    )


def test_faults_are_data_and_exit_code_2(server: FakeServer, ktrdr: Run, strategy: Path) -> None:
    server.on("POST", "/strategies/validate", {"valid": False, "faults": [FAULT]})

    ran = ktrdr("strategies", "validate", str(strategy))

    assert ran.code == 2
    assert ran.out == "line 2: model.type is unknown: 'lstn'; did you mean 'lstm'?\n"
    assert ran.err.startswith(f"error: {strategy} has 1 fault\nhint: ")
    assert ktrdr("strategies", "validate", str(strategy), "--json").json["faults"] == [FAULT]


def test_the_schema_goes_to_stdout(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", "/strategies/schema", {"type": "object"})

    assert ktrdr("strategies", "schema").json == {"type": "object"}


def test_a_key_that_does_nothing_is_warned_of(server: FakeServer, ktrdr: Run, strategy: Path) -> None:
    warning = "training.optimizer does nothing with model.type gradient_boosting"
    server.on("POST", "/strategies/validate", {"valid": True, "faults": [], "strategy": {}, "warnings": [warning]})

    ran = ktrdr("strategies", "validate", str(strategy))

    assert (ran.code, ran.err.splitlines()) == (0, [f"warning: {warning}", f"{strategy} is valid"])
