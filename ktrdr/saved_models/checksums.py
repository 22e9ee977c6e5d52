"""The checksums of a trained model's files, in the format of `sha256sum`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ktrdr.errors import StorageError
from ktrdr.files import checksum
from ktrdr.training.files import CHECKSUMS, write_file


def write_checksums(folder: Path, names: Iterable[str]) -> None:
    """Record the checksums of these files, once all are written. Raises OSError and StorageError."""
    lines = [f"{checksum(folder / name)}  {name}\n" for name in sorted(names)]
    write_file(folder / CHECKSUMS, "".join(lines).encode())


def read_checksums(folder: Path) -> dict[str, str]:
    """The recorded checksums by name; empty where none were recorded. Raises StorageError."""
    path = folder / CHECKSUMS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} cannot be read: {error}") from error
    listed = {name: recorded for recorded, _, name in (line.partition("  ") for line in lines)}
    if strangers := [name for name in listed if Path(name).name != name]:
        raise StorageError(f"{path} names {strangers[0]!r}, which is no file of the folder")
    return listed


def differences(folder: Path) -> list[str]:
    """A sentence for each file that is not as it was when its checksum was recorded. Raises StorageError."""
    compared = {name: _difference(folder / name, recorded) for name, recorded in read_checksums(folder).items()}
    return [f"{folder.name}/{name} {difference}" for name, difference in compared.items() if difference]


def _difference(path: Path, recorded: str) -> str:
    try:
        return "" if checksum(path) == recorded else "has another checksum"
    except FileNotFoundError:
        return "is gone"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
