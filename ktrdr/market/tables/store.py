"""TableStore: tables as Parquet files, each with a typed description of its content."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from filelock import FileLock
from pydantic import ValidationError

from ktrdr.errors import ConflictError, InputError, StorageError, TableNotFound, nearest
from ktrdr.files import make_folder, remove_drafts, write_atomically
from ktrdr.formatting import counted
from ktrdr.market.tables.known_rows import KNOWN_AT, PERIOD, SYMBOL
from ktrdr.market.tables.reading import FileRows, read_rows
from ktrdr.market.tables.stored_table import StoredTable, content_sha256, keys_of, schema_of
from ktrdr.payloads.tables import NAME_PATTERN, TableInfo, TableReading

logger = logging.getLogger(__name__)

_METADATA_KEY = "ktrdr"


@dataclass(frozen=True, slots=True)
class TableStore:
    """All tables under one folder, `<root>/<name>.parquet`.

    Thread safety: any number of threads and processes may read and import at once; imports of one table queue.
    Ownership: frames are copies that belong to the caller.
    Consistency: a reader sees a table before an import or after it, never between.
    Durability: an import that returned survives a crash; one that did not return left the old file or the new one.
    """

    root: Path

    def read(self, name: str) -> StoredTable:
        """Raises TableNotFound, and StorageError for a damaged file."""
        path = self._existing(name)
        with _storage_errors(path):
            content = path.read_bytes()
            info = _info(content)
            frame = pl.read_parquet(io.BytesIO(content))
            if content_sha256(frame) != info.sha256:
                raise ValueError("its content is not what was stored")
        return StoredTable(frame, info)

    def info(self, name: str) -> TableInfo:
        """Raises TableNotFound, and StorageError for a damaged file."""
        path = self._existing(name)
        with _storage_errors(path):
            return _info(path.read_bytes())

    def list(self) -> tuple[TableInfo, ...]:
        """All tables by name; damaged files are logged and left out. Raises StorageError."""
        with _storage_errors(self.root):
            names = sorted(path.stem for path in self.root.glob("*.parquet"))
        return tuple(info for name in names if (info := self._info_or_warning(name)))

    def import_file(
        self, name: str, content: bytes, filename: str, reading: TableReading, *, replace: bool = False
    ) -> TableInfo:
        """Add the rows of a file to a table; with `replace` it holds these alone afterwards. What is there stays.

        Raises:
            InputError: the file, the name, or what is said of the file cannot be right; nothing was stored.
            ConflictError: the table has other columns, or another number in a row; nothing was stored.
            StorageError: the disk is full, or the stored table is damaged.
        """
        path = self.root / f"{check_table_name(name)}.parquet"
        rows = read_rows(content, filename, reading)
        with _storage_errors(self.root):
            make_folder(self.root)
            with FileLock(path.with_name(f".{path.name}.lock")):
                remove_drafts(path)
                frame = rows.frame
                if path.exists() and not replace:
                    frame = _united(self.read(name), frame)
                frame = frame.sort(KNOWN_AT, PERIOD, *([SYMBOL] if SYMBOL in frame.columns else [])).rechunk()
                info = _describe(name, frame, filename, rows)
                write_atomically(path, _encoded(frame, info))
        return info

    def remove(self, name: str) -> TableInfo:
        """Remove a table, and say what it was. Raises TableNotFound and StorageError."""
        removed, path = self.info(name), self._existing(name)
        with _storage_errors(path):
            path.unlink()
        return removed

    def _info_or_warning(self, name: str) -> TableInfo | None:
        try:
            return self.info(name)
        except (InputError, StorageError) as error:
            logger.warning("%s: %s", name, error)
            return None

    def _existing(self, name: str) -> Path:
        path = self.root / f"{check_table_name(name)}.parquet"
        if path.is_file():
            return path
        similar = nearest(name, (each.stem for each in self.root.glob("*.parquet")))
        hint = "import it with: ktrdr data import-table FILE --known-at COLUMN --name " + name
        raise TableNotFound(
            f"no table {name} is stored", hint=f"{hint} (did you mean {similar}, which is stored?)" if similar else hint
        )


def check_table_name(name: str) -> str:
    """Raises InputError."""
    if re.fullmatch(NAME_PATTERN, name):
        return name
    raise InputError(
        f"a table cannot be called {name[:64]!r}",
        hint="begin with a letter and go on with letters, digits, - and _, at most 64: --name macro",
    )


def _united(stored: StoredTable, new: pl.DataFrame) -> pl.DataFrame:
    """The stored rows and the new ones, each once. Raises ConflictError."""
    name, old = stored.info.name, stored.frame
    if schema_of(new) != schema_of(old):
        raise ConflictError(
            f"the table {name} has the columns {', '.join(old.columns)}; the file gives {', '.join(new.columns)}",
            hint="give --replace to drop what is stored, or --name to store another table",
        )
    both = pl.concat([old, new.select(old.columns)]).unique(maintain_order=True)
    clashes = len(both) - both.n_unique(keys_of(both))
    if clashes:
        raise ConflictError(
            f"{counted(clashes, 'row')} of the file {'has' if clashes == 1 else 'have'} other numbers than the stored "
            f"ones of the same period that were known at the same time in {name}",
            hint="a revision has its own time since which it is known; or give --replace to drop what is stored",
        )
    return both


def _describe(name: str, frame: pl.DataFrame, filename: str, rows: FileRows) -> TableInfo:
    about = [each for each in (SYMBOL, PERIOD) if each in frame.columns]
    periods = frame.n_unique(about)
    stamps = {key: (frame[key].min(), frame[key].max()) for key in (PERIOD, KNOWN_AT)}
    return TableInfo.model_validate(
        {
            "name": name,
            "columns": tuple(each for each in frame.columns if each not in (KNOWN_AT, *about)),
            "rows": len(frame),
            "symbols": frame[SYMBOL].n_unique() if SYMBOL in frame.columns else 0,
            "periods": periods,
            "revisions": len(frame) - periods,
            "first_period": stamps[PERIOD][0],
            "last_period": stamps[PERIOD][1],
            "first_known": stamps[KNOWN_AT][0],
            "last_known": stamps[KNOWN_AT][1],
            "source": filename,
            "layout": rows.layout,
            "warnings": rows.warnings,
            "sha256": content_sha256(frame),
            "imported_at": datetime.now(UTC),
        }
    )


def _encoded(frame: pl.DataFrame, info: TableInfo) -> bytes:
    content = io.BytesIO()
    frame.write_parquet(content, compression="zstd", metadata={_METADATA_KEY: info.model_dump_json()})
    return content.getvalue()


def _info(content: bytes) -> TableInfo:
    return TableInfo.model_validate_json(pl.read_parquet_metadata(io.BytesIO(content)).get(_METADATA_KEY) or "{}")


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{error.filename or path} cannot be used: {error.strerror or error}",
            hint="check the free space and the permissions of that folder, or set KTRDR_HOME to another one",
        ) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValidationError, ValueError) as error:
        raise StorageError(
            f"{path} is damaged: {error}", hint="move the file away, and import the table again"
        ) from error
