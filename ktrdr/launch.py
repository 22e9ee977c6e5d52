"""How `ktrdr serve` and `ktrdr doctor` become programs of their own, and what options these take.

The command line has to start fast, so it imports nothing that serves or examines; the server has no use for what the
command line has imported, and would hold it in memory. So Typer reads the options, explains them and refuses wrong
ones, and then the process becomes `python -m ktrdr.server` or `ktrdr.doctor`, which parses them again. Each program's
options are the fields of one dataclass here, from which both the arguments and the second parser are made: a field
`port: int | None` is `--port 8000`, a field `insecure: bool` is `--insecure`.
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
    """A program that a command of `ktrdr` becomes; each field is an option, absent where it is None or False."""

    command: ClassVar[str]
    module: ClassVar[str]

    @classmethod
    def parse(cls, arguments: Sequence[str] | None = None) -> Self:
        """Reads `arguments`, by default those of this process. Raises SystemExit where they are wrong."""
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
        """What `parse` reads as this."""
        for option in fields(self):
            value = getattr(self, option.name)
            if value is True:
                yield f"--{option.name}"
            elif value is not None and value is not False:
                yield from (f"--{option.name}", str(value))

    def launch(self) -> None:
        """Become the program; on Windows, which knows no such thing, run it. Raises SystemExit with its exit code."""
        command = [sys.executable, "-P", "-m", self.module, *self.arguments()]
        if sys.platform == "win32":
            raise SystemExit(subprocess.run(command, check=False).returncode)
        os.execv(sys.executable, command)


@dataclass(frozen=True, slots=True)
class Server(Program):
    """The server.

    host, port: where to listen; None for what the settings say
    insecure: whether to listen beyond this machine without a token
    """

    command = "serve"
    module = "ktrdr.server"

    host: str | None = None
    port: int | None = None
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class Doctor(Program):
    """The examination of a home.

    home: the folder; None for that of the settings
    repair: whether to repair what can be
    json: whether to print JSON
    """

    command = "doctor"
    module = "ktrdr.doctor"

    home: Path | None = None
    repair: bool = False
    json: bool = False
