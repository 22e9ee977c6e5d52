"""The SQLAlchemy engine of a registry's URL."""

from __future__ import annotations

from sqlalchemy import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ktrdr.errors import StorageError

# A server whose machine is gone must not hold its lock for the hours after which TCP alone would notice.
_KEEPALIVES = {"tcp_keepalives_idle": "15", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}


def open_engine(url: str | URL, *, named: str = "KTRDR_DATABASE_URL") -> AsyncEngine:
    """An engine that is not connected yet. Raises StorageError, with the name of the setting that the URL is from."""
    try:
        address = make_url(url)
        options = {"server_settings": _KEEPALIVES} if address.drivername == "postgresql+asyncpg" else {}
        # A connection that the database has ended is replaced before it is used.
        return create_async_engine(address, pool_pre_ping=True, connect_args=options)
    except (SQLAlchemyError, ImportError) as error:
        raise StorageError(
            f"{named} cannot be used: {error}",
            hint="for example sqlite+aiosqlite:////srv/registry.sqlite or postgresql+asyncpg://user@host/ktrdr",
        ) from error
