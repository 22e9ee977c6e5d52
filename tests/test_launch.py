"""What the command line hands over to the programs that it becomes."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from ktrdr.cli import command_line
from ktrdr.launch import Backup, Doctor, Follow, PluginCheck, Program, Server


@pytest.mark.parametrize(
    "program",
    [
        Server(),
        Server(host="0.0.0.0", port=0, insecure=True),
        Server(port=8000),
        Doctor(),
        Doctor(home=Path("a folder"), repair=True, json=True),
        Backup(to=Path("a folder"), home=Path("home"), json=True),
        PluginCheck(file=Path("a file.py"), symbols="AAPL,MSFT", timeframe="1d", json=True),
        Follow(model="op", symbols="A,B", every=90.0, no_load=True, exec="sh -c 'a b'", signals=Path("a folder")),
    ],
)
def test_a_program_parses_what_it_was_launched_with(program: Program) -> None:
    assert type(program).parse(list(program.arguments())) == program


@pytest.mark.parametrize("program", [Server, Doctor])
def test_the_command_and_its_program_take_the_same_options(program: type[Program]) -> None:
    commands = get_command(command_line())
    assert isinstance(commands, typer.core.TyperGroup)

    command = commands.commands[program.command]

    assert {option for parameter in command.params for option in parameter.opts} == {
        f"--{option.name}" for option in fields(program)
    }


def test_wrong_options_end_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        Server.parse(["--port", "x"])

    assert end.value.code == 2
    assert "ktrdr serve: error: argument --port: invalid int value: 'x'" in capsys.readouterr().err
