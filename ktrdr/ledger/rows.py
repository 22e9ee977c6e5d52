"""Looks, their series and the openings by them, as rows of a ledger's tables."""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import string
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from ktrdr.errors import ConflictError, NotFoundError, StorageError
from ktrdr.instants import format_instant
from ktrdr.ledger import tracks
from ktrdr.ledger.footprint import Instants
from ktrdr.ledger.recorder import LookRequest
from ktrdr.ledger.series import LookSeries
from ktrdr.ledger.stored_look import StoredLook
from ktrdr.payloads.looks import Door, Look, LookFigures, Opening

_LOOK = (
    "SELECT look_id, operation_id, door, kind, part, strategy_name, inputs_sha256, whole_sha256, label, timeframe,"
    " symbols, first, last, samples, opened_at, closed_at, figures, series NOT NULL AS has_series, footprint FROM looks"
)
_OPENING = (
    "SELECT look_id, openings.number, level, openings.opened_at, by, inputs_sha256"
    " FROM openings JOIN looks USING (look_id)"
)
_AMONG = "(SELECT value FROM json_each(?))"
_IS_NAMED = "substr(look_id, -length(:name)) = :name OR substr(operation_id, -length(:name)) = :name"
_NEWEST = "last"
_MOST_NAMED = 3
_ID_ALPHABET = string.ascii_lowercase + string.digits


def insert_look(connection: sqlite3.Connection, request: LookRequest, door: Door) -> str:
    """Insert an open look, and return its id."""
    look_id, footprint = _new_look_id(), request.footprint
    values = {
        "look_id": look_id,
        "operation_id": request.operation_id,
        "door": door,
        "kind": request.kind,
        "part": request.part,
        "strategy_name": request.strategy_name,
        "inputs_sha256": request.inputs_sha256,
        "whole_sha256": request.whole_sha256,
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


def close_look(connection: sqlite3.Connection, look_id: str, figures: LookFigures, series: LookSeries | None) -> None:
    """Raises NotFoundError for a look that was never opened."""
    changed = connection.execute(
        "UPDATE looks SET closed_at = ?, figures = ?, series_header = ?, series = ?, axis = ?, periods = ?"
        " WHERE look_id = ?",
        [_now(), figures.model_dump_json(exclude_none=True), *_columns(connection, series), look_id],
    )
    if changed.rowcount == 0:
        raise no_look(look_id)


def insert_opening(connection: sqlite3.Connection, opening: Opening) -> None:
    _insert(connection, "openings", opening.model_dump(mode="json"))


def all_looks(connection: sqlite3.Connection) -> tuple[Look, ...]:
    return _parse_looks(connection.execute(f"{_LOOK} ORDER BY number"))


def looks_of(connection: sqlite3.Connection, operation_ids: Iterable[str]) -> tuple[Look, ...]:
    """The looks of some operations."""
    chosen = json.dumps(list(operation_ids))
    return _parse_looks(connection.execute(f"{_LOOK} WHERE operation_id IN {_AMONG} ORDER BY number", [chosen]))


def find_look(connection: sqlite3.Connection, name: str) -> Look:
    """The newest look with this id or of this operation, see `Ledger.look`. Raises NotFoundError and ConflictError."""
    if not name:
        raise no_look(name)
    if name == _NEWEST:
        found = _parse_looks(connection.execute(f"{_LOOK} ORDER BY number DESC LIMIT 1"))
    else:
        # An unsealing bears the id of the training, whose own looks come first.
        order = "kind = 'unsealing', number DESC"
        found = _parse_looks(connection.execute(f"{_LOOK} WHERE {_IS_NAMED} ORDER BY {order}", {"name": name}))
    exact = [look for look in found if name in (look.look_id, look.operation_id)]
    if not found:
        raise no_look(name)
    if not exact and len({look.operation_id for look in found}) > 1:
        ids = [look.look_id for look in found[:_MOST_NAMED]]
        raise ConflictError(f"{name} ends {len(found):,} ids, such as {', '.join(ids)}", hint="write more of the id")
    return (exact or found)[0]


def _new_look_id() -> str:
    """For example `look_20261129_k3x9q2`."""
    suffix = "".join(secrets.choice(_ID_ALPHABET) for _ in range(6))
    return f"look_{datetime.now(UTC):%Y%m%d}_{suffix}"


def _insert(connection: sqlite3.Connection, table: str, values: Mapping[str, object]) -> None:
    marks = ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values()))


def _now() -> str:
    return format_instant(datetime.now(UTC))


def no_look(look_id: str) -> NotFoundError:
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


def read_look(connection: sqlite3.Connection, look_id: str) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute(f"{_LOOK} WHERE look_id = ?", [look_id]).fetchone()
    if row is None:
        raise no_look(look_id)
    return row


def looks_at(connection: sqlite3.Connection, footprints: Iterable[int]) -> tuple[Look, ...]:
    chosen = json.dumps(sorted(footprints))
    return _parse_looks(connection.execute(f"{_LOOK} WHERE footprint IN {_AMONG} ORDER BY number", [chosen]))


def _parse_looks(rows: Iterable[sqlite3.Row]) -> tuple[Look, ...]:
    return tuple(_parse_look(row) for row in rows)


def _parse_look(row: sqlite3.Row) -> Look:
    fields = dict(row)
    fields["symbols"] = json.loads(row["symbols"])
    fields["figures"] = json.loads(row["figures"]) if row["figures"] else None
    return Look.model_validate(fields)


def read_openings(connection: sqlite3.Connection, footprints: Iterable[int]) -> tuple[Opening, ...]:
    return tuple(parse_opening(row) for row in opening_rows(connection, footprints))


def opening_rows(connection: sqlite3.Connection, footprints: Iterable[int]) -> list[sqlite3.Row]:
    chosen = json.dumps(sorted(footprints))
    return connection.execute(f"{_OPENING} WHERE footprint IN {_AMONG} ORDER BY opening", [chosen]).fetchall()


def parse_opening(row: sqlite3.Row) -> Opening:
    return Opening.model_validate({name: row[name] for name in Opening.model_fields})


def read_series(connection: sqlite3.Connection, look_ids: Sequence[str]) -> dict[str, LookSeries]:
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


def read_stored(connection: sqlite3.Connection, look: Look) -> StoredLook:
    footprint = tracks.read_footprint(connection, read_look(connection, look.look_id)["footprint"])
    series = read_series(connection, [look.look_id])[look.look_id] if look.has_series else None
    rows = connection.execute(f"{_OPENING} WHERE look_id = ? ORDER BY opening", [look.look_id])
    return StoredLook(look, footprint, series, tuple(map(parse_opening, rows)))


def insert_stored(connection: sqlite3.Connection, stored: StoredLook) -> None:
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
        insert_opening(connection, opening)
