"""The ledger of a home: every look at held-out rows, recorded before its figures are shown."""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import string
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ktrdr.errors import NotFoundError, StorageError
from ktrdr.evaluation.significance import opening_level
from ktrdr.instants import format_instant, parse_instant
from ktrdr.ledger import tracks
from ktrdr.ledger.account import Account, describe, distinct_tries
from ktrdr.ledger.database import Database, explained
from ktrdr.ledger.footprint import Footprint, Instants
from ktrdr.ledger.recorder import LookRequest
from ktrdr.ledger.series import LookSeries
from ktrdr.ledger.stored_look import StoredLook
from ktrdr.payloads.looks import Door, LedgerAccountDetail, Look, LookFigures, Opening

_LOOK = (
    "SELECT look_id, operation_id, door, kind, part, strategy_name, inputs_sha256, label, timeframe, symbols, first,"
    " last, samples, opened_at, closed_at, figures, series NOT NULL AS has_series, footprint FROM looks"
)
_BY_NAME = "SELECT footprint FROM looks WHERE look_id = ? OR operation_id = ? ORDER BY number DESC"
_OPENING = (
    "SELECT look_id, openings.number, level, openings.opened_at, by, inputs_sha256"
    " FROM openings JOIN looks USING (look_id)"
)
_AMONG = "(SELECT value FROM json_each(?))"
_ID_ALPHABET = string.ascii_lowercase + string.digits


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
            return self._add_look(connection, request)

    def _add_look(self, connection: sqlite3.Connection, request: LookRequest) -> str:
        look_id, footprint = _new_look_id(), request.footprint
        values = {
            "look_id": look_id,
            "operation_id": request.operation_id,
            "door": self.door,
            "kind": request.kind,
            "part": request.part,
            "strategy_name": request.strategy_name,
            "inputs_sha256": request.inputs_sha256,
            "label": request.label,
            "timeframe": request.timeframe,
            "symbols": json.dumps(request.symbols),
            "first": format_instant(footprint.first),
            "last": format_instant(footprint.last),
            "samples": request.samples,
            "footprint": tracks.add_footprint(connection, footprint),
            "opened_at": _now(),
        }
        _insert(connection, "looks", values)
        return look_id

    def close_look(self, look_id: str, figures: LookFigures, series: LookSeries | None) -> None:
        """Record what a look came to. Raises NotFoundError for a look that was never opened."""
        with self._database.writing() as connection:
            changed = connection.execute(
                "UPDATE looks SET closed_at = ?, figures = ?, series_header = ?, series = ?, axis = ?, periods = ?"
                " WHERE look_id = ?",
                [_now(), figures.model_dump_json(exclude_none=True), *_columns(connection, series), look_id],
            )
            if changed.rowcount == 0:
                raise _no_look(look_id)

    def record_opening(self, request: LookRequest, by: str) -> Opening:
        """Record that a look opens sealed test rows, and what of the significance level of their bars that spends.

        The same inputs on the same bars are one opening, however often they are asked for: it is returned again.
        """
        with self._database.writing() as connection:
            footprint = tracks.add_footprint(connection, request.footprint)
            earlier = _opening_rows(connection, tracks.overlapping_number(connection, footprint))
            for row in earlier:
                if row["inputs_sha256"] == request.inputs_sha256:
                    return _parse_opening(row)
            opening = Opening(
                look_id=self._add_look(connection, request),
                number=len(earlier) + 1,
                level=opening_level(len(earlier) + 1),
                opened_at=parse_instant(_now()),
                by=by,
            )
            _insert(connection, "openings", opening.model_dump(mode="json"))
            return opening

    def openings_of(self, rows: Footprint | str) -> tuple[Opening, ...]:
        """Openings of sealed rows among those of a footprint, or of the look with this id, in their order."""
        if not self.path.exists():
            return ()
        with self._database.reading() as connection:
            return _read_openings(connection, _overlapping(connection, rows))

    def looks(self, operation_ids: Iterable[str] | None = None) -> tuple[Look, ...]:
        """All looks, or those of some operations, in the order in which they were opened."""
        if not self.path.exists():
            return ()
        with self._database.reading() as connection:
            if operation_ids is None:
                return _parse_looks(connection.execute(f"{_LOOK} ORDER BY number"))
            chosen = json.dumps(list(operation_ids))
            return _parse_looks(connection.execute(f"{_LOOK} WHERE operation_id IN {_AMONG} ORDER BY number", [chosen]))

    def stored(self, operation_ids: Iterable[str]) -> tuple[StoredLook, ...]:
        """All that is stored of the looks of some operations."""
        looks = self.looks(operation_ids)
        if not looks:
            return ()
        with self._database.reading() as connection:
            return tuple(_read_stored(connection, look) for look in looks)

    def merge(self, looks: Iterable[StoredLook]) -> int:
        """Add looks of another ledger, and return how many were not here already; others stay as they are."""
        looks = list(looks)
        known = {look.look_id for look in self.looks({each.look.operation_id for each in looks})}
        new = [each for each in looks if each.look.look_id not in known]
        if new:
            with self._database.writing() as connection:
                for each in new:
                    _insert_stored(connection, each)
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
            return tracks.read_footprint(connection, _read_look(connection, look_id)["footprint"])

    def account_of(self, rows: Footprint | str) -> Account:
        """All looks whose bars overlap with a footprint's, or with those of the look with this id.

        Raises NotFoundError for an unknown look.
        """
        if isinstance(rows, str):
            self._check_exists(rows)
        if not self.path.exists():
            return Account((), (), {})
        with self._database.reading() as connection:
            footprints = _overlapping(connection, rows)
            looks = _looks_at(connection, footprints)
            tries = distinct_tries(looks, rows if isinstance(rows, str) else None)
            series = _read_series(connection, [look.look_id for look in tries if look.has_series])
            return Account(looks, tries, series, _read_openings(connection, footprints))

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
        """The look with this id, or the newest one of this operation. Raises NotFoundError."""
        self._check_exists(name)
        with self._database.reading() as connection:
            found = _parse_looks(
                connection.execute(f"{_LOOK} WHERE look_id = ? OR operation_id = ? ORDER BY number", [name, name])
            )
        if not found:
            raise _no_look(name)
        return found[-1]

    def account(self, name: str) -> LedgerAccountDetail:
        """The account, as in `accounts`, that holds the look with this id, or the newest look of this operation.

        Raises NotFoundError.
        """
        self._check_exists(name)
        with self._database.reading() as connection:
            row = connection.execute(_BY_NAME, [name, name]).fetchone()
            if row is None:
                raise _no_look(name)
            groups = tracks.components(connection)
            return _describe(connection, next(group for group in groups if row["footprint"] in group))

    def _check_exists(self, look_id: str) -> None:
        if not self.path.exists():
            raise _no_look(look_id)


def _new_look_id() -> str:
    """For example `look_20261129_k3x9q2`."""
    suffix = "".join(secrets.choice(_ID_ALPHABET) for _ in range(6))
    return f"look_{datetime.now(UTC):%Y%m%d}_{suffix}"


def _insert(connection: sqlite3.Connection, table: str, values: Mapping[str, object]) -> None:
    marks = ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values()))


def _now() -> str:
    return format_instant(datetime.now(UTC))


def _no_look(look_id: str) -> NotFoundError:
    return NotFoundError(f"the ledger has no look {look_id}", hint="see the ledger: ktrdr ledger list")


def _columns(connection: sqlite3.Connection, series: LookSeries | None) -> Sequence[object]:
    """The values of series_header, series, axis and periods."""
    if series is None:
        return None, None, None, None
    axes = [_add_axis(connection, series.instants), _add_axis(connection, series.periods)]
    return series.header(), series.content(), *axes


def _add_axis(connection: sqlite3.Connection, instants: Instants) -> str:
    content = instants.astype("datetime64[us]").tobytes()
    sha256 = hashlib.sha256(content).hexdigest()
    connection.execute("INSERT OR IGNORE INTO axes VALUES (?, ?)", [sha256, content])
    return sha256


def _overlapping(connection: sqlite3.Connection, rows: Footprint | str) -> set[int]:
    if isinstance(rows, str):
        return tracks.overlapping_number(connection, _read_look(connection, rows)["footprint"])
    return tracks.overlapping(connection, rows)


def _read_look(connection: sqlite3.Connection, look_id: str) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute(f"{_LOOK} WHERE look_id = ?", [look_id]).fetchone()
    if row is None:
        raise _no_look(look_id)
    return row


def _looks_at(connection: sqlite3.Connection, footprints: Iterable[int]) -> tuple[Look, ...]:
    chosen = json.dumps(sorted(footprints))
    return _parse_looks(connection.execute(f"{_LOOK} WHERE footprint IN {_AMONG} ORDER BY number", [chosen]))


def _parse_looks(rows: Iterable[sqlite3.Row]) -> tuple[Look, ...]:
    return tuple(_parse_look(row) for row in rows)


def _parse_look(row: sqlite3.Row) -> Look:
    fields = dict(row)
    fields["symbols"] = json.loads(row["symbols"])
    fields["figures"] = json.loads(row["figures"]) if row["figures"] else None
    return Look.model_validate(fields)


def _read_openings(connection: sqlite3.Connection, footprints: Iterable[int]) -> tuple[Opening, ...]:
    return tuple(_parse_opening(row) for row in _opening_rows(connection, footprints))


def _opening_rows(connection: sqlite3.Connection, footprints: Iterable[int]) -> list[sqlite3.Row]:
    chosen = json.dumps(sorted(footprints))
    return connection.execute(f"{_OPENING} WHERE footprint IN {_AMONG} ORDER BY opening", [chosen]).fetchall()


def _parse_opening(row: sqlite3.Row) -> Opening:
    return Opening.model_validate({name: row[name] for name in Opening.model_fields})


def _read_series(connection: sqlite3.Connection, look_ids: Sequence[str]) -> dict[str, LookSeries]:
    """The series of these looks, in their order."""
    query = f"SELECT look_id, series_header, series, axis, periods FROM looks WHERE look_id IN {_AMONG}"
    rows = {row["look_id"]: row for row in connection.execute(query, [json.dumps(look_ids)])}
    axes = _read_axes(connection, {row[name] for row in rows.values() for name in ("axis", "periods")})
    return {look_id: _parse_series(rows[look_id], axes) for look_id in look_ids}


def _read_axes(connection: sqlite3.Connection, names: Iterable[str]) -> dict[str, Instants]:
    rows = connection.execute(f"SELECT * FROM axes WHERE sha256 IN {_AMONG}", [json.dumps(list(names))])
    return {row["sha256"]: np.frombuffer(row["instants"], "datetime64[us]") for row in rows}


def _parse_series(row: sqlite3.Row, axes: dict[str, Instants]) -> LookSeries:
    try:
        return LookSeries.parse(row["series_header"], row["series"], axes[row["axis"]], axes[row["periods"]])
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"the ledger's series of {row['look_id']} is damaged: {error}",
            hint="look at it with: ktrdr doctor; then restore a copy of the ledger from a backup",
        ) from error


def _read_stored(connection: sqlite3.Connection, look: Look) -> StoredLook:
    footprint = tracks.read_footprint(connection, _read_look(connection, look.look_id)["footprint"])
    series = _read_series(connection, [look.look_id])[look.look_id] if look.has_series else None
    rows = connection.execute(f"{_OPENING} WHERE look_id = ? ORDER BY opening", [look.look_id])
    return StoredLook(look, footprint, series, tuple(map(_parse_opening, rows)))


def _insert_stored(connection: sqlite3.Connection, stored: StoredLook) -> None:
    fields = stored.look.model_dump(mode="json", by_alias=False, exclude={"has_series", "figures", "symbols"})
    figures = stored.look.figures
    header, content, axis, periods = _columns(connection, stored.series)
    fields |= {
        "symbols": json.dumps(stored.look.symbols),
        "figures": figures and figures.model_dump_json(exclude_none=True),
        "footprint": tracks.add_footprint(connection, stored.footprint),
        "series_header": header,
        "series": content,
        "axis": axis,
        "periods": periods,
    }
    _insert(connection, "looks", fields)
    for opening in stored.openings:
        _insert(connection, "openings", opening.model_dump(mode="json"))


def _describe(connection: sqlite3.Connection, footprints: set[int]) -> LedgerAccountDetail:
    bars = len(tracks.instants_within(connection, footprints))
    return describe(_looks_at(connection, footprints), bars, _read_openings(connection, footprints))
