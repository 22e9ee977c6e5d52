"""Footprints in the tables of a ledger, and which of them overlap."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator

import numpy as np

from ktrdr.ledger.footprint import Footprint, Instants, Track, microseconds
from ktrdr.ledger.overlap import footprints_overlap

_IN_TIME = (
    "SELECT DISTINCT footprint FROM footprint_tracks JOIN tracks USING (track) WHERE first_us <= ? AND last_us >= ?"
    " ORDER BY footprint"
)


def find_footprint(connection: sqlite3.Connection, footprint: Footprint) -> int | None:
    row = connection.execute("SELECT footprint FROM footprints WHERE sha256 = ?", [footprint.sha256]).fetchone()
    return int(row[0]) if row else None


def add_footprint(connection: sqlite3.Connection, footprint: Footprint) -> int:
    """The number of the footprint, which is stored with what it overlaps unless it was stored before."""
    if (number := find_footprint(connection, footprint)) is not None:
        return number
    others = list(_find_overlapping(connection, footprint))
    number = _inserted(connection, "INSERT INTO footprints (sha256) VALUES (?)", [footprint.sha256])
    tracks = {_add_track(connection, track) for track in footprint.tracks}
    connection.executemany("INSERT INTO footprint_tracks VALUES (?, ?)", [(number, track) for track in tracks])
    pairs = {(number, number), *((number, other) for other in others), *((other, number) for other in others)}
    connection.executemany("INSERT INTO overlaps VALUES (?, ?)", sorted(pairs))
    return number


def overlapping(connection: sqlite3.Connection, footprint: Footprint) -> set[int]:
    """Numbers of the footprints that overlap with this one, which itself need not be stored."""
    number = find_footprint(connection, footprint)
    if number is None:
        return set(_find_overlapping(connection, footprint))
    return overlapping_number(connection, number)


def overlapping_number(connection: sqlite3.Connection, footprint: int) -> set[int]:
    """Numbers of the footprints that overlap with a stored one, itself included."""
    return {row[0] for row in connection.execute("SELECT other FROM overlaps WHERE footprint = ?", [footprint])}


def components(connection: sqlite3.Connection) -> list[set[int]]:
    """The stored footprints in groups: those of one group overlap directly or through others."""
    groups = _Groups(row[0] for row in connection.execute("SELECT footprint FROM footprints"))
    for footprint, other in connection.execute("SELECT footprint, other FROM overlaps WHERE footprint < other"):
        groups.join(footprint, other)
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
    return _inserted(
        connection,
        "INSERT INTO tracks (sha256, length_us, first_us, last_us, instants, closes) VALUES (?, ?, ?, ?, ?, ?)",
        [
            track.sha256,
            microseconds(track.length),
            *_ends(track.instants),
            track.instants.tobytes(),
            track.closes.tobytes(),
        ],
    )


def _find_overlapping(connection: sqlite3.Connection, footprint: Footprint) -> Iterator[int]:
    """Numbers of other footprints; only those of the same time are compared."""
    ends = [_ends(track.instants) for track in footprint.tracks]
    first, last = min(first for first, _ in ends), max(last for _, last in ends)
    for row in connection.execute(_IN_TIME, [last, first]).fetchall():
        if footprints_overlap(footprint, read_footprint(connection, row[0])):
            yield row[0]


def _parse(row: sqlite3.Row) -> Track:
    return Track(
        np.timedelta64(row["length_us"], "us"),
        np.frombuffer(row["instants"], "datetime64[us]"),
        np.frombuffer(row["closes"], np.float64),
    )


def _ends(instants: Instants) -> tuple[int, int]:
    first, last = instants[[0, -1]].astype(np.int64)
    return int(first), int(last)


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
