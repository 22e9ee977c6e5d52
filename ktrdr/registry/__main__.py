"""The program `python -m ktrdr.registry`, which `ktrdr registry move` becomes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import URL, make_url

from ktrdr.errors import InputError, KtrdrError
from ktrdr.findings import BACKUP
from ktrdr.formatting import counted
from ktrdr.home import Home, HomeLock
from ktrdr.launch import RegistryMove
from ktrdr.masking import masked
from ktrdr.registry.engine import open_engine
from ktrdr.registry.moving import move
from ktrdr.registry.sqlite_file import log_files
from ktrdr.registry.store import SqlOperationStore, sqlite_url
from ktrdr.settings import read_settings
from ktrdr.terminal import escaped, json_text, write_error


def main(arguments: Sequence[str] | None = None) -> int:
    """Move the registry; the exit code is 0 for done, 2 for wrong use and for what could not be done."""
    chosen = RegistryMove.parse(arguments)
    try:
        moved = _run(chosen.to or "")
    except KtrdrError as error:
        write_error(error, as_json=chosen.json)
        return 2
    if chosen.json:
        sys.stdout.write(json_text(asdict(moved), indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{escaped(line)}\n" for line in _lines(moved)))
    return 0


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move came to.

    registry_before: the file or address that the records were copied from
    database_url: where they are now, as KTRDR_DATABASE_URL names it; passwords are masked
    """

    operations: int
    metrics: int
    registry_before: str
    database_url: str


def _lines(moved: Moved) -> Iterator[str]:
    yield f"Moved {counted(moved.operations, 'operation')} and {counted(moved.metrics, 'metric')}; all compared."
    yield f"The registry as it was: {moved.registry_before}"
    yield f"From now on set: KTRDR_DATABASE_URL={moved.database_url}"


def _run(to: str) -> Moved:
    settings = read_settings()
    home = Home(settings.ktrdr_home)
    is_inside = not settings.ktrdr_database_url
    if is_inside and not home.registry.is_file():
        raise InputError(f"there is no registry in {home.root}", hint="see KTRDR_HOME with: ktrdr config show")
    source = sqlite_url(home.registry) if is_inside else make_url(settings.ktrdr_database_url)
    with HomeLock(home):
        rows = asyncio.run(_move(source, to, home))
        before = _put_away(home.registry) if is_inside else masked(settings.ktrdr_database_url)
    return Moved(rows["operations"], rows["metrics"], str(before), masked(to))


async def _move(source: URL, to: str, home: Home) -> dict[str, int]:
    target = open_engine(to, named="--to")
    if target.url == source:
        raise InputError("--to names the registry that is in use", hint="name another database")
    # Opened as a server opens it: an older layout is brought up to date, one of another home or server is refused.
    store = SqlOperationStore(source)
    await store.open(home)
    engine = open_engine(source)
    try:
        return await move(engine, target)
    finally:
        for opened in (engine, target):
            await opened.dispose()
        await store.close()


def _put_away(registry: Path) -> Path:
    """Move the file into the folder `backup`, so that no server goes on with it; SQLite's log has been written back."""
    place = registry.parent / BACKUP / f"{registry.stem}-moved-{datetime.now(UTC):%Y%m%dT%H%M%SZ}{registry.suffix}"
    place.parent.mkdir(exist_ok=True)
    for log, kept in zip(log_files(registry), log_files(place), strict=True):
        if log.exists():
            os.rename(log, kept)
    os.rename(registry, place)
    return place


if __name__ == "__main__":
    sys.exit(main())
