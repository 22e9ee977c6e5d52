"""One registry serves one home: the id that both hold, and the lock of the server that uses them."""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path

from sqlalchemy import Connection, insert, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ktrdr.errors import RegistryInUse, StorageError
from ktrdr.files import write_atomically
from ktrdr.home import Home
from ktrdr.registry.tables import HomeRow

_ID = re.compile(r"[0-9a-f]{32}")
# Locks are per database; the schema is part of the key because each may hold a registry.
_TRY_LOCK = text("SELECT pg_try_advisory_lock(hashtext('ktrdr'), hashtext(current_schema()))")
_OWN_REGISTRY = "give this home a registry of its own with KTRDR_DATABASE_URL"


def claim(connection: Connection, home: Home, *, is_inside: bool) -> None:
    """Let the registry serve `home`, the first one that asks; an id in both says so from then on.

    `is_inside` means that the registry's file lies in the home. The two are then copied and moved together, and stay
    a pair wherever they are. Raises RegistryInUse when the registry serves another home, and StorageError.
    """
    row = connection.execute(select(HomeRow.home_id, HomeRow.location)).one_or_none()
    known = read_id(home)
    if row is None:
        connection.execute(insert(HomeRow).values(home_id=known or _new_id(home), location=str(home.root)))
        return
    if known is None and is_inside:
        _write_id(home, row.home_id)
    elif known != row.home_id:
        raise _other_home(home, row.home_id, row.location)
    elif not is_inside and _is_copied(home, row.location):
        raise RegistryInUse(
            f"{home.root} is a copy of {row.location}, which the registry serves; both would change the same records",
            hint=f"{_OWN_REGISTRY}, or remove the other folder",
            home_id=row.home_id,
        )
    connection.execute(update(HomeRow).values(location=str(home.root)))


def read_id(home: Home) -> str | None:
    """The id of a home; None where it has none yet. Raises StorageError."""
    try:
        content = home.id_file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StorageError(f"{home.id_file} cannot be read: {error}", hint="fix its permissions") from error
    if not _ID.fullmatch(content):
        raise StorageError(f"{home.id_file} holds no id: {content!r}", hint="put it back, or delete it")
    return content


def _new_id(home: Home) -> str:
    return _write_id(home, uuid.uuid4().hex)


def _write_id(home: Home, home_id: str) -> str:
    try:
        write_atomically(home.id_file, f"{home_id}\n".encode("ascii"))
    except OSError as error:
        raise StorageError(f"{home.id_file} cannot be written: {error.strerror}", hint="make room") from error
    return home_id


def _other_home(home: Home, home_id: str, location: str) -> RegistryInUse:
    return RegistryInUse(
        f"the registry serves another home, {location} (id {home_id}), and not {home.root}",
        hint=f"{_OWN_REGISTRY}; only if both are the same home: echo {home_id} > {home.id_file}",
        home_id=home_id,
    )


def _is_copied(home: Home, location: str) -> bool:
    """Whether the home that was there still is, and is another folder; one that was moved is gone from there."""
    original = Home(Path(location))
    try:
        is_there = original.root.is_dir() and not os.path.samefile(original.root, home.root)
        return is_there and read_id(original) == read_id(home)
    except (OSError, StorageError):
        return False


class ServerLock:
    """The lock of the one server that uses a PostgreSQL registry, held by a connection and released with it.

    Thread safety: called from one event loop.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._connection: AsyncConnection | None = None

    async def take(self) -> None:
        """Take the lock, also after the connection was lost. Raises RegistryInUse, SQLAlchemyError."""
        connection = await self._engine.connect()
        try:
            alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
            is_taken = (await alone.execute(_TRY_LOCK)).scalar_one()
        except BaseException:
            await connection.invalidate()
            raise
        if not is_taken:
            await connection.close()
            raise RegistryInUse(
                "another server uses the registry that KTRDR_DATABASE_URL names",
                hint=f"stop that one, or {_OWN_REGISTRY}",
            )
        self._connection = alone

    async def check(self) -> None:
        """Check that the lock is still held. Raises RegistryInUse when another server has it now, SQLAlchemyError."""
        if self._connection:
            try:
                await self._connection.execute(text("SELECT 1"))
                return
            except SQLAlchemyError:
                await self.release()
        await self.take()

    async def release(self) -> None:
        if self._connection:
            await self._connection.invalidate()
            await self._connection.close()
        self._connection = None
