"""Text from outside reaches no terminal and no log as control characters, whatever a home holds."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main

from ktrdr import logs
from ktrdr.backup import __main__ as backup
from ktrdr.cli import command_line, main
from ktrdr.doctor import __main__ as doctor
from ktrdr.launch import Backup, Doctor, PluginCheck, RegistryMove
from ktrdr.plugin_check import __main__ as plugin_check
from ktrdr.registry import __main__ as registry
from ktrdr.terminal import escaped, json_text
from tests.api.live import Live, with_a_year
from tests.cli.refusal_cases import BAR, HEADER, STRATEGY

HOSTILE = "\x1b]0;PWNED\x07\x1b[2J\x1b[8m\x9b8m\u202e\x7f\u2028\u2066"
FILE = f"bars{HOSTILE}.csv"
# What rich writes itself: styles (8 hides text, and is none of them), the cursor's visibility, and its movements.
STYLES = re.compile(r"\x1b\[(?:[0-79]|\d\d)?(?:;\d+)*m|\x1b\[\?25[lh]|\x1b\[\d*[AK]|\r")
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

COMMANDS = [
    ["data", "load", f"AA{HOSTILE}", "1d", "--provider", "sample"],
    ["data", "load", "AAPL", "NOPE", "--timeframes", "1d", "--provider", "sample"],
    ["data", "import", FILE, "ACME", "1d"],
    ["data", "import", f"bad{HOSTILE}.csv", "ACME", "1d"],
    ["data", "import", FILE, f"bad{HOSTILE}.csv", "ACME", "1d"],
    ["data", "import-table", FILE, "--known-at", HOSTILE, "--name", "table"],
    ["data", "tables", "list"],
    ["data", "tables", "show", HOSTILE],
    ["data", "tables", "rm", HOSTILE, "--yes"],
    ["data", "providers", HOSTILE],
    ["data", "list"],
    ["data", "show", "ACME", f"1{HOSTILE}"],
    ["data", "check", "ACME", "1d", "--calendar", HOSTILE],
    ["data", "resample", "ACME", "1d", "1w", "--calendar", HOSTILE],
    ["data", "export", "ACME", "1d", "-o", f"{HOSTILE}.csv"],
    ["data", "rm", f"A{HOSTILE}", "--yes"],
    ["data", "watch", "ACME", "1d", "--every", HOSTILE],
    ["models", "train", "--strategy", f"bad{HOSTILE}.yaml", "--symbols", "AAPL", "--timeframes", "1d"],
    ["models", "list"],
    ["models", "show", "TRAINING"],
    ["models", "compare", "TRAINING", HOSTILE],
    ["models", "predict", "TRAINING", "AAPL", "1d", "--last", "1"],
    ["models", "export", "TRAINING", "--format", HOSTILE],
    ["models", "plot", "TRAINING", "-o", HOSTILE],
    ["models", "reproduce", HOSTILE],
    ["models", "backtest", "TRAINING", HOSTILE, "--report", HOSTILE],
    ["models", "backtest", "TRAINING", "--set", f"positions.rule={HOSTILE}"],
    ["models", "explain", HOSTILE],
    ["models", "explain", HOSTILE, "--drop-one"],
    ["models", "follow", HOSTILE, "--every", HOSTILE],
    ["models", "unseal", HOSTILE, "--yes"],
    ["models", "pack", HOSTILE],
    ["models", "unpack", HOSTILE],
    ["models", "verify", FILE],
    ["home", "backup", HOSTILE, "--home", HOSTILE],
    ["ledger", "list"],
    ["ledger", "show", "TRAINING"],
    ["ledger", "verdict", "TRAINING"],
    ["ledger", "show", HOSTILE],
    ["operations", "list"],
    ["operations", "show", "TRAINING"],
    ["operations", "show", "FAILED"],
    ["operations", "watch", "TRAINING"],
    ["operations", "watch", "FAILED"],
    ["operations", "metrics", "TRAINING"],
    ["operations", "results", "TRAINING"],
    ["operations", "cancel", HOSTILE],
    ["operations", "resume", HOSTILE],
    ["operations", "prune", "--older-than", HOSTILE],
    ["operations", "rm", HOSTILE, "--yes"],
    ["search", "start", f"bad{HOSTILE}.yaml", "--symbols", "AAPL", "--timeframes", "1d"],
    ["search", "show", HOSTILE],
    ["search", "watch", HOSTILE],
    ["search", "best", HOSTILE],
    ["search", "resume", HOSTILE],
    ["search", "cancel", HOSTILE],
    ["registry", "move", "--to", HOSTILE],
    ["runs", "note", "TRAINING", HOSTILE],
    ["runs", "tag", "TRAINING", f"+{HOSTILE}"],
    ["runs", "list"],
    ["runs", "list", HOSTILE, "--where", f"name~{HOSTILE}", "--sort", HOSTILE],
    ["runs", "list", "--columns", "*", "--csv"],
    ["strategies", "validate", f"s{HOSTILE}.yaml"],
    ["strategies", "validate", f"bad{HOSTILE}.yaml"],
    ["strategies", "audit", f"bad{HOSTILE}.yaml", "--symbols", "AAPL"],
    ["strategies", "schema"],
    ["indicators", "list"],
    ["plugins", "list"],
    ["plugins", "check", f"{HOSTILE}.py"],
    ["plugins", "check", "plugins.py", "--symbols", HOSTILE],
    ["indicators", "show", HOSTILE],
    ["cache"],
    ["cache", "clear"],
    ["config", "show"],
    ["doctor", "--home", f"home{HOSTILE}"],
    ["serve", f"--h{HOSTILE}"],
    [HOSTILE],
]


@pytest.fixture(scope="module")
def ids(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Of a training and of a failed load whose names, files and errors are hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        live = stack.enter_context(with_a_year(folder / "home"))
        patch.chdir(folder)
        patch.setenv("TERM", "xterm-256color")
        patch.setenv("COLUMNS", "200")
        patch.setenv("KTRDR_API_URL", live.url)
        patch.setenv("KTRDR_YAHOO_URL", f"http://proxy/{HOSTILE}")
        patch.setattr(typer.main, "get_command", cache(typer.main.get_command))
        patch.setattr(Backup, "launch", lambda chosen: typer.Exit(backup.main([*chosen.arguments()])))
        patch.setattr(PluginCheck, "launch", lambda chosen: typer.Exit(plugin_check.main([*chosen.arguments()])))
        patch.setattr(Doctor, "launch", lambda chosen: typer.Exit(doctor.main([*chosen.arguments()])))
        patch.setattr(RegistryMove, "launch", lambda chosen: typer.Exit(registry.main([*chosen.arguments()])))
        _write_files(folder)
        yield {"TRAINING": _training(live), "FAILED": _failed(live)}


def _write_files(folder: Path) -> None:
    named = STRATEGY.replace("A walk", _yaml_text(HOSTILE))
    contents = {
        f"{HOSTILE}.py": f"raise ValueError({HOSTILE!r})\n",
        "plugins.py": "x = 1\n",
        FILE: HEADER + BAR,
        f"bad{HOSTILE}.csv": f"{HEADER}{HOSTILE},10,11,9,10.5,100\n",
        f"s{HOSTILE}.yaml": named,
        f"bad{HOSTILE}.yaml": f"{named}{_yaml_text(HOSTILE)}: {_yaml_text(HOSTILE)}\n",
    }
    for name, content in contents.items():
        (folder / name).write_text(content, encoding="utf-8")
    (folder / f"home{HOSTILE}").mkdir()


def _yaml_text(text: str) -> str:
    """As YAML writes signs that it does not take raw."""
    return '"' + "".join(f"\\u{ord(sign):04x}" for sign in text) + '"'


def _training(live: Live) -> str:
    strategy = STRATEGY.replace("A walk", _yaml_text(HOSTILE))
    request = {"strategy": strategy, "strategy_name": HOSTILE, "symbols": ["AAPL"], "timeframes": ["1d"]}
    return live.complete("/training/start", request)


def _failed(live: Live) -> str:
    content = f"{HEADER}{HOSTILE},10,11,9,10.5,100\n".encode()
    started = live.post("/data/ACME/1d/import", content=content, params={"filename": f"{HOSTILE}.csv"}).json()
    assert live.end_of(started["operation_id"])["status"] == "FAILED"
    operation_id: str = started["operation_id"]
    return operation_id


def on_a_terminal(arguments: list[str]) -> str:
    """What this command line sends to a terminal."""
    master, slave = os.openpty()
    received: list[bytes] = []
    reader = threading.Thread(target=_read_all, args=(master, received))
    reader.start()
    with os.fdopen(slave, "w", encoding="utf-8") as terminal, redirect_stdout(terminal), redirect_stderr(terminal):
        main(arguments)
    reader.join()
    os.close(master)
    return b"".join(received).decode()


def _read_all(descriptor: int, received: list[bytes]) -> None:
    try:
        while content := os.read(descriptor, 65536):
            received.append(content)
    except OSError:  # how Linux tells that the other end is closed
        return


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: escaped(" ".join(command)))
def test_no_control_character_reaches_a_terminal(command: list[str], as_json: bool, ids: dict[str, str]) -> None:
    arguments = [ids.get(word, word) for word in command]

    shown = on_a_terminal([*arguments, "--json"] if as_json else arguments)

    assert shown
    assert RAW.findall(STYLES.sub("", shown)) == []


def test_every_command_is_tried() -> None:
    tried = {
        tuple(command[: len(name)])
        for name in _commands(typer.main.get_command(command_line()))
        for command in COMMANDS
    }

    assert [name for name in _commands(typer.main.get_command(command_line())) if name not in tried] == []


def _commands(command: Any, name: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if not (below := getattr(command, "commands", None)):
        yield name
        return
    for own, each in below.items():
        yield from _commands(each, (*name, own))


def test_the_title_is_shown_escaped(ids: dict[str, str]) -> None:
    assert "\\x1b]0;PWNED\\x07\\x1b[2J" in on_a_terminal(["operations", "show", ids["FAILED"]])


def test_no_control_character_reaches_the_log() -> None:
    formatter = logs.LineFormatter()
    error = ValueError(HOSTILE)
    record = logging.LogRecord("ktrdr", logging.INFO, "", 1, "%s\n", (HOSTILE,), (ValueError, error, None))

    lines = formatter.format(record).split("\n")

    assert not any(map(RAW.search, lines))
    assert "\\x9b8m\\u202e" in lines[0]


def test_json_means_the_same_escaped() -> None:
    import json

    assert json.loads(json_text({HOSTILE: [HOSTILE]}, indent=2)) == {HOSTILE: [HOSTILE]}
    assert not RAW.search(json_text({HOSTILE: [HOSTILE]}, indent=2))
