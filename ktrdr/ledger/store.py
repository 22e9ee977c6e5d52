"""The ledger of a home: every look at held-out rows, recorded before its figures are shown."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from ktrdr.evaluation.significance import opening_level
from ktrdr.ledger import rows, tracks
from ktrdr.ledger.account import Account, describe, distinct_tries
from ktrdr.ledger.database import Database, explained
from ktrdr.ledger.footprint import Footprint
from ktrdr.ledger.recorder import LookRequest
from ktrdr.ledger.series import LookSeries
from ktrdr.ledger.stored_look import StoredLook
from ktrdr.payloads.looks import Door, LedgerAccountDetail, Look, LookFigures, Opening


class Ledger:
    """The looks in the file at `path`, which is made by the first of them.

    Any number of processes and threads may read and write at once: every call is one short transaction. What a call has
    written is durable when it returns, and a process that is killed leaves the row or none.
    A missing file is an empty ledger.

    Every method raises StorageError when the file is damaged, of a newer version, or cannot be read or written.
    """

    def __init__(self, path: Path, door: Door = Door.SERVER) -> None:
        """`door` is where the looks of this process come from."""
        self.path = path
        self.door = door
        self._database = Database(path)

    def close(self) -> None:
        """Let go of the file; the next call opens it again."""
        self._database.close()

    def open_look(self, request: LookRequest) -> str:
        """Record a look before any of its figures is shown, and return its id."""
        with self._database.writing() as connection:
            return rows.insert_look(connection, request, self.door)

    def close_look(self, look_id: str, figures: LookFigures, series: LookSeries | None) -> None:
        """Record what a look came to. Raises NotFoundError for a look that was never opened."""
        with self._database.writing() as connection:
            rows.close_look(connection, look_id, figures, series)

    def record_opening(self, request: LookRequest, by: str) -> Opening:
        """Record that a look opens sealed test rows, and what of the significance level of their bars that spends.

        The same inputs on the same bars are one opening, however often they are asked for: it is returned again.
        """
        with self._database.writing() as connection:
            footprint = tracks.add_footprint(connection, request.footprint)
            earlier = rows.opening_rows(connection, tracks.overlapping_number(connection, footprint))
            for row in earlier:
                if row["inputs_sha256"] == request.inputs_sha256:
                    return rows.parse_opening(row)
            opening = Opening(
                look_id=rows.insert_look(connection, request, self.door),
                number=len(earlier) + 1,
                level=opening_level(len(earlier) + 1),
                opened_at=datetime.now(UTC),
                by=by,
            )
            rows.insert_opening(connection, opening)
            return opening

    def openings_of(self, bars: Footprint | str) -> tuple[Opening, ...]:
        """Openings of sealed rows among those of a footprint, or of the look with this id, in their order."""
        if not self.path.exists():
            return ()
        with self._database.reading() as connection:
            return rows.read_openings(connection, _overlapping(connection, bars))

    def looks(self, operation_ids: Iterable[str] | None = None) -> tuple[Look, ...]:
        """All looks, or those of some operations, in the order in which they were opened."""
        if not self.path.exists():
            return ()
        with self._database.reading() as connection:
            return rows.all_looks(connection) if operation_ids is None else rows.looks_of(connection, operation_ids)

    def stored(self, operation_ids: Iterable[str]) -> tuple[StoredLook, ...]:
        """All that is stored of the looks of some operations."""
        looks = self.looks(operation_ids)
        if not looks:
            return ()
        with self._database.reading() as connection:
            return tuple(rows.read_stored(connection, look) for look in looks)

    def merge(self, looks: Iterable[StoredLook]) -> int:
        """Add looks of another ledger, and return how many were not here already; others stay as they are."""
        looks = list(looks)
        known = {look.look_id for look in self.looks({each.look.operation_id for each in looks})}
        new = [each for each in looks if each.look.look_id not in known]
        if new:
            with self._database.writing() as connection:
                for each in new:
                    rows.insert_stored(connection, each)
        return len(new)

    def copy_to(self, target: Path) -> None:
        """Write the ledger as it is at one instant to a new file; writers go on."""
        with self._database.reading() as connection, explained(target), closing(sqlite3.connect(target)) as copy:
            target.chmod(0o600)
            connection.backup(copy)

    def footprint_of(self, look_id: str) -> Footprint:
        """The bars that a look has evaluated. Raises NotFoundError."""
        self._check_exists(look_id)
        with self._database.reading() as connection:
            return tracks.read_footprint(connection, rows.read_look(connection, look_id)["footprint"])

    def account_of(self, bars: Footprint | str) -> Account:
        """All looks whose bars overlap with a footprint's, or with those of the look with this id.

        Raises NotFoundError for an unknown look.
        """
        if isinstance(bars, str):
            self._check_exists(bars)
        if not self.path.exists():
            return Account((), (), {})
        with self._database.reading() as connection:
            footprints = _overlapping(connection, bars)
            looks = rows.looks_at(connection, footprints)
            tries = distinct_tries(looks, bars if isinstance(bars, str) else None)
            series = rows.read_series(connection, [look.look_id for look in tries if look.has_series])
            return Account(looks, tries, series, rows.read_openings(connection, footprints))

    def accounts(self) -> tuple[LedgerAccountDetail, ...]:
        """Every account with its looks, the one with the newest look first.

        Here an account is all that overlaps directly or through other looks.
        """
        if not self.path.exists():
            return ()
        with self._database.reading() as connection:
            details = [_describe(connection, group) for group in tracks.components(connection)]
        return tuple(sorted(details, key=lambda account: account.last_opened_at, reverse=True))

    def look(self, name: str) -> Look:
        """The look with this id, or the newest one of this operation. Raises NotFoundError.

        An ending stands for the one id that has it, and `last` for the newest look. Raises ConflictError for several.
        """
        self._check_exists(name)
        with self._database.reading() as connection:
            return rows.find_look(connection, name)

    def account(self, name: str) -> LedgerAccountDetail:
        """The account, as in `accounts`, that holds `look(name)`. Raises NotFoundError and ConflictError."""
        look_id = self.look(name).look_id
        with self._database.reading() as connection:
            footprint = rows.read_look(connection, look_id)["footprint"]
            groups = tracks.components(connection)
            return _describe(connection, next(group for group in groups if footprint in group))

    def _check_exists(self, look_id: str) -> None:
        if not self.path.exists():
            raise rows.no_look(look_id)


def _overlapping(connection: sqlite3.Connection, bars: Footprint | str) -> set[int]:
    if isinstance(bars, str):
        return tracks.overlapping_number(connection, rows.read_look(connection, bars)["footprint"])
    return tracks.overlapping(connection, bars)


def _describe(connection: sqlite3.Connection, footprints: set[int]) -> LedgerAccountDetail:
    bars = len(tracks.instants_within(connection, footprints))
    return describe(rows.looks_at(connection, footprints), bars, rows.read_openings(connection, footprints))
