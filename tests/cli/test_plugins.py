from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.cli.conftest import FakeServer, Run

GAP: dict[str, Any] = {
    "kind": "feature",
    "name": "gap",
    "function": "gap",
    "line": 3,
    "parameters": [{"name": "window", "type": "integer", "default": 20}],
}


def test_list_shows_what_files_declare(server: FakeServer, ktrdr: Run) -> None:
    server.on(
        "GET", "/plugins", {"files": [{"path": "/srv/plugins/mine.py", "sha256": "0123456789abcdef", "plugins": [GAP]}]}
    )

    ran = ktrdr("plugins", "list")

    assert ran.code == 0
    assert ran.out.splitlines()[1].split() == ["gap", "feature", "window=20", "mine.py", "0123456789ab"]


def test_list_ends_with_1_where_a_file_cannot_be_used(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", "/plugins", {"files": [{"path": "/bad.py", "error": "bad.py, line 3: NameError: x"}]})

    ran = ktrdr("plugins", "list")

    assert (ran.code, ran.err) == (1, "warning: bad.py, line 3: NameError: x\n")


def test_list_says_where_none_is_named(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", "/plugins", {"files": []})

    assert ktrdr("plugins", "list").err == "The server's setting KTRDR_PLUGINS names no file.\n"


def test_check_becomes_the_program_that_checks(ktrdr: Run, commands: list[list[str]]) -> None:
    assert ktrdr("plugins", "check", "mine.py", "--symbols", "AAPL", "--timeframe", "1h", "--json").code == 0

    program = [sys.executable, "-P", "-m", "ktrdr.plugin_check"]
    assert commands == [[*program, "--file", "mine.py", "--symbols", "AAPL", "--timeframe", "1h", "--json"]]
