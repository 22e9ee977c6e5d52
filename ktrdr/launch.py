"""Turns commands such as `ktrdr serve` into separate programs, and defines the options of these.

The command line must start fast, so it does not import the server or the doctor; the server does not need the command
line's imports, which would occupy memory. Typer therefore reads and checks the options, and then the process becomes
`python -m ktrdr.server` or `ktrdr.doctor`, which parses them again. The options of a program are the fields of one
dataclass here, which produces both the arguments and the second parser: a field `port: int | None` is `--port 8000`,
a field `insecure: bool` is `--insecure`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar, Self, get_args, get_type_hints


@dataclass(frozen=True, slots=True)
class Program:
    """A program that a command of `ktrdr` becomes; each field is an option, omitted where it is None or False."""

    command: ClassVar[str]
    module: ClassVar[str]

    @classmethod
    def parse(cls, arguments: Sequence[str] | None = None) -> Self:
        """Parse `arguments`, by default those of this process. Raises SystemExit for wrong ones."""
        command = f"ktrdr {cls.command}"
        parser = argparse.ArgumentParser(prog=command, epilog=f"{command} --help explains the options.")
        types = get_type_hints(cls)
        for option in fields(cls):
            if types[option.name] is bool:
                parser.add_argument(f"--{option.name}", action="store_true")
            else:
                parser.add_argument(f"--{option.name}", type=get_args(types[option.name])[0])
        return cls(**vars(parser.parse_args(arguments)))

    def arguments(self) -> Iterator[str]:
        """The arguments from which `parse` makes an equal object."""
        for option in fields(self):
            value = getattr(self, option.name)
            if value is True:
                yield f"--{option.name}"
            elif value is not None and value is not False:
                yield from (f"--{option.name}", str(value))

    def launch(self) -> None:
        """Replace this process by the program; on Windows, run it and raise SystemExit with its exit code."""
        command = [sys.executable, "-P", "-m", self.module, *self.arguments()]
        if sys.platform == "win32":
            raise SystemExit(subprocess.run(command, check=False).returncode)
        os.execv(sys.executable, command)


@dataclass(frozen=True, slots=True)
class Server(Program):
    """The server.

    host, port: where to listen; None for the setting
    insecure: whether to allow other machines without a token
    """

    command = "serve"
    module = "ktrdr.server"

    host: str | None = None
    port: int | None = None
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class Doctor(Program):
    """The examination of a home.

    home: the folder; None for the setting
    repair: whether to make possible repairs
    json: whether to print JSON
    """

    command = "doctor"
    module = "ktrdr.doctor"

    home: Path | None = None
    repair: bool = False
    json: bool = False


@dataclass(frozen=True, slots=True)
class Backup(Program):
    """The backup of a home.

    to: the new folder
    home: the folder to back up; None for the setting
    json: whether to print JSON
    """

    command = "home backup"
    module = "ktrdr.backup"

    to: Path | None = None
    home: Path | None = None
    json: bool = False


@dataclass(frozen=True, slots=True)
class PluginCheck(Program):
    """The check of a file of plugins.

    file: the file
    symbols: names, separated by commas, of stored series that are checked too
    timeframe: of these
    json: whether to print JSON
    """

    command = "plugins check"
    module = "ktrdr.plugin_check"

    file: Path | None = None
    symbols: str | None = None
    timeframe: str | None = None
    json: bool = False


@dataclass(frozen=True, slots=True)
class RegistryMove(Program):
    """The move of a home's registry into another database.

    to: the URL of that database
    json: whether to print JSON
    """

    command = "registry move"
    module = "ktrdr.registry"

    to: str | None = None
    json: bool = False


@dataclass(frozen=True, slots=True)
class Follow(Program):
    """A model that is followed, or whose follow is shown or verified.

    model: operation that trained it
    symbols: separated by commas; None for those of its training
    every: seconds between two looks for bars
    no_load: whether something else loads the bars
    exec, url, signals: command, address and folder that signals go to
    show, verify: whether to do that instead
    replay: a folder for rows of stored bars, which are replayed instead
    home: the folder that holds the model; None for the setting
    json: whether to print JSON
    """

    command = "models follow"
    module = "ktrdr.follows"

    model: str | None = None
    symbols: str | None = None
    every: float | None = None
    no_load: bool = False
    exec: str | None = None
    url: str | None = None
    signals: Path | None = None
    show: bool = False
    verify: bool = False
    replay: Path | None = None
    home: Path | None = None
    json: bool = False
