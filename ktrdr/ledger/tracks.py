"""Footprints in the tables of a ledger, and which of them overlap."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator

import numpy as np

from ktrdr.ledger.footprint import Footprint, Instants, Track
from ktrdr.ledger.overlap import tracks_overlap

_IN_TIME = "SELECT * FROM tracks WHERE first_us <= ? AND last_us >= ?"


def find_footprint(connection: sqlite3.Connection, footprint: Footprint) -> int | None:
    row = connection.execute("SELECT footprint FROM footprints WHERE sha256 = ?", [footprint.sha256]).fetchone()
    return int(row[0]) if row else None


def add_footprint(connection: sqlite3.Connection, footprint: Footprint) -> int:
    """The number of the footprint, which is stored with what it overlaps unless it was stored before."""
    if (number := find_footprint(connection, footprint)) is not None:
        return number
    number = _inserted(connection, "INSERT INTO footprints (sha256) VALUES (?)", [footprint.sha256])
    tracks = {_add_track(connection, track) for track in footprint.tracks}
    connection.executemany("INSERT INTO footprint_tracks VALUES (?, ?)", [(number, track) for track in tracks])
    return number


def overlapping(connection: sqlite3.Connection, footprint: Footprint) -> set[int]:
    """Numbers of the footprints that overlap with this one, which itself need not be stored."""
    number = find_footprint(connection, footprint)
    return overlapping_number(connection, number) if number is not None else _overlapping_unknown(connection, footprint)


def overlapping_number(connection: sqlite3.Connection, footprint: int) -> set[int]:
    """Numbers of the footprints that overlap with a stored one, itself included."""
    query = (
        "SELECT DISTINCT theirs.footprint FROM footprint_tracks AS mine JOIN overlaps ON overlaps.track = mine.track"
        " JOIN footprint_tracks AS theirs ON theirs.track = overlaps.other WHERE mine.footprint = ?"
    )
    return {row[0] for row in connection.execute(query, [footprint])}


def _overlapping_unknown(connection: sqlite3.Connection, footprint: Footprint) -> set[int]:
    tracks = {other for track in footprint.tracks for other in _find_overlapping(connection, track)}
    query = "SELECT DISTINCT footprint FROM footprint_tracks WHERE track IN (SELECT value FROM json_each(?))"
    return {row[0] for row in connection.execute(query, [json.dumps(list(tracks))])}


def components(connection: sqlite3.Connection) -> list[set[int]]:
    """The stored footprints in groups: those of one group overlap directly or through others."""
    members: dict[int, list[int]] = {}
    for footprint, track in connection.execute("SELECT footprint, track FROM footprint_tracks"):
        members.setdefault(track, []).append(footprint)
    groups = _Groups(row[0] for row in connection.execute("SELECT footprint FROM footprints"))
    for track, other in connection.execute("SELECT track, other FROM overlaps WHERE track <= other"):
        for footprint in (*members[track], *members[other]):
            groups.join(members[track][0], footprint)
    return groups.all()


def instants_within(connection: sqlite3.Connection, footprints: Iterable[int]) -> Instants:
    """The distinct closing instants of all bars of these footprints, rising."""
    query = (
        "SELECT instants FROM tracks WHERE track IN (SELECT track FROM footprint_tracks"
        " WHERE footprint IN (SELECT value FROM json_each(?)))"
    )
    rows = connection.execute(query, [json.dumps(list(footprints))])
    axes = [np.frombuffer(row["instants"], "datetime64[us]") for row in rows]
    return np.unique(np.concatenate(axes))


def read_footprint(connection: sqlite3.Connection, footprint: int) -> Footprint:
    query = "SELECT tracks.* FROM tracks JOIN footprint_tracks USING (track) WHERE footprint = ? ORDER BY track"
    return Footprint(tuple(_parse(row) for row in connection.execute(query, [footprint])))


def _add_track(connection: sqlite3.Connection, track: Track) -> int:
    row = connection.execute("SELECT track FROM tracks WHERE sha256 = ?", [track.sha256]).fetchone()
    if row:
        return int(row[0])
    others = list(_find_overlapping(connection, track))
    number = _inserted(
        connection,
        "INSERT INTO tracks (sha256, length_us, first_us, last_us, instants, closes) VALUES (?, ?, ?, ?, ?, ?)",
        [
            track.sha256,
            _microseconds(track.length),
            *_ends(track),
            track.instants.tobytes(),
            track.closes.tobytes(),
        ],
    )
    pairs = {(number, number), *((number, other) for other in others), *((other, number) for other in others)}
    connection.executemany("INSERT INTO overlaps VALUES (?, ?)", sorted(pairs))
    return number


def _find_overlapping(connection: sqlite3.Connection, track: Track) -> Iterator[int]:
    first, last = _ends(track)
    for row in connection.execute(_IN_TIME, [last, first]):
        if tracks_overlap(track, _parse(row)):
            yield row["track"]


def _parse(row: sqlite3.Row) -> Track:
    return Track(
        np.timedelta64(row["length_us"], "us"),
        np.frombuffer(row["instants"], "datetime64[us]"),
        np.frombuffer(row["closes"], np.float64),
    )


def _ends(track: Track) -> tuple[int, int]:
    return int(track.instants[0].astype(np.int64)), int(track.instants[-1].astype(np.int64))


def _microseconds(length: np.timedelta64) -> int:
    return int(length.astype("timedelta64[us]").astype(np.int64))


def _inserted(connection: sqlite3.Connection, statement: str, values: list[object]) -> int:
    number = connection.execute(statement, values).lastrowid
    assert number is not None  # an INSERT has one
    return number


class _Groups:
    """Disjoint sets of numbers."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._parents = {number: number for number in numbers}

    def join(self, one: int, other: int) -> None:
        self._parents[self._root(one)] = self._root(other)

    def all(self) -> list[set[int]]:
        groups: dict[int, set[int]] = {}
        for number in self._parents:
            groups.setdefault(self._root(number), set()).add(number)
        return list(groups.values())

    def _root(self, number: int) -> int:
        while (parent := self._parents[number]) != number:
            self._parents[number] = number = self._parents[parent]
        return number
