"""Where signals go: a command, an address or a folder."""

from __future__ import annotations

import hashlib
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from ktrdr.errors import InputError, KtrdrError
from ktrdr.files import make_folder, write_atomically
from ktrdr.payloads.follows import Signal
from ktrdr.settings import inherited_environment

PATIENCE_S = 10.0
SIGNAL_ID = "KTRDR_SIGNAL_ID"
_SHOWN_CHARACTERS = 200


class Receiver(Protocol):
    """Takes one signal after the other, from one thread.

    key: the same for the same receiver in every process; it says nothing of secrets
    """

    @property
    def key(self) -> str: ...

    def send(self, signal: Signal) -> None:
        """Hand over a signal, at most PATIENCE_S long. Raises KtrdrError where it was not taken."""


@dataclass(frozen=True, slots=True)
class CommandReceiver:
    """Runs a command for each signal: JSON on its standard input, the id in KTRDR_SIGNAL_ID; no shell reads it."""

    command: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> CommandReceiver:
        """Raises InputError."""
        try:
            words = tuple(shlex.split(text))
        except ValueError as error:
            raise InputError(f"--exec {text!r} cannot be read: {error}", hint="close its quotes") from None
        if not words:
            raise InputError("--exec names no command", hint="for example: --exec 'python order.py'")
        return cls(words)

    @property
    def key(self) -> str:
        return _key("exec", shlex.join(self.command))

    def send(self, signal: Signal) -> None:
        try:
            ended = subprocess.run(
                self.command,
                input=signal.model_dump_json().encode(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=inherited_environment({SIGNAL_ID: signal.id}),
                timeout=PATIENCE_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise KtrdrError(f"{self.command[0]} did not end within {PATIENCE_S:g} s") from None
        except OSError as error:
            raise KtrdrError(f"{self.command[0]} cannot be run: {error.strerror}") from None
        if ended.returncode:
            words = ended.stderr.decode(errors="replace").strip()[-_SHOWN_CHARACTERS:]
            raise KtrdrError(
                f"{self.command[0]} ended with exit code {ended.returncode}" + (f": {words}" if words else "")
            )


@dataclass(frozen=True, slots=True)
class AddressReceiver:
    """Posts each signal as JSON, with the id in the header Idempotency-Key; an answer of 2xx takes it."""

    address: str

    @classmethod
    def parse(cls, text: str) -> AddressReceiver:
        """Raises InputError."""
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"--url {text!r} is no address", hint="for example: --url https://example.org/signals")
        return cls(text)

    @property
    def key(self) -> str:
        return _key("url", self.address)

    def send(self, signal: Signal) -> None:
        import httpx

        headers = {"content-type": "application/json", "idempotency-key": signal.id}
        try:
            answer = httpx.post(self.address, content=signal.model_dump_json(), headers=headers, timeout=PATIENCE_S)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise KtrdrError(f"{self.address} cannot be reached: {error or type(error).__name__}") from None
        if not answer.is_success:
            raise KtrdrError(f"{self.address} answered with status {answer.status_code}")


@dataclass(frozen=True, slots=True)
class FolderReceiver:
    """Writes a file `<id>.json` for each signal, whole or not at all."""

    folder: Path

    @property
    def key(self) -> str:
        return _key("signals", str(self.folder.absolute()))

    def send(self, signal: Signal) -> None:
        path = self.folder / f"{signal.id}.json"
        try:
            make_folder(self.folder.absolute())
            write_atomically(path, signal.model_dump_json(indent=2).encode() + b"\n")
        except OSError as error:
            raise KtrdrError(f"{path} cannot be written: {error.strerror}") from None


def parse_receivers(command: str | None, address: str | None, folder: Path | None) -> Iterator[Receiver]:
    """Those that are named. Raises InputError."""
    if command is not None:
        yield CommandReceiver.parse(command)
    if address is not None:
        yield AddressReceiver.parse(address)
    if folder is not None:
        yield FolderReceiver(folder)


def _key(kind: str, place: str) -> str:
    return f"{kind}-{hashlib.sha256(place.encode()).hexdigest()[:16]}"
