"""All runs in memory, filtered, sorted and shown as tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ktrdr.errors import InputError, nearest
from ktrdr.payloads.runs import Annotations, RunColumn, RunRow, RunSummary, RunTable, Value
from ktrdr.run_table.columns import ANNOTATIONS, FIXED, ID, MEASURES, NUMBERS, USUAL, cells, titles
from ktrdr.run_table.query import EVERY, RunQuery, as_text, sort_key

_SEARCHED = (ID, "name", "strategy", *ANNOTATIONS)
_NEWEST_FIRST = "created"
_FIRST_MEASURES = ("lead", "p", "adjusted_p")
_LATER_MEASURES = ("val_loss", "accuracy", "ic", "sharpe", "total_return")
_NO_SETTINGS = (*MEASURES, *ANNOTATIONS, "created", "whole")


@dataclass(frozen=True, slots=True)
class _Shape:
    """The columns of runs that have the same ones.

    names: the columns
    places: where each is among the values, by its name and by its path in the strategy
    """

    names: tuple[str, ...]
    places: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Row:
    shape: _Shape
    values: tuple[Value, ...]

    def value(self, column: str) -> Value:
        place = self.shape.places.get(column)
        return None if place is None else self.values[place]

    def with_annotations(self, annotations: Annotations) -> _Row:
        values = list(self.values)
        for name, value in (("tags", annotations.tags), ("note", annotations.note or None)):
            values[self.shape.places[name]] = value
        return replace(self, values=tuple(values))


class Runs:
    """Runs by operation id. Rows share the names of their columns and equal values, so that many fit into memory."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        self._shapes: dict[tuple[tuple[str, ...], tuple[str, ...]], _Shape] = {}
        self._values: dict[tuple[type, Value], Value] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, run: RunSummary, annotations: Annotations) -> None:
        self._rows[run.operation_id] = self._row(run, annotations)

    def remove(self, operation_id: str) -> None:
        self._rows.pop(operation_id, None)

    def annotate(self, operation_id: str, annotations: Annotations) -> None:
        if row := self._rows.get(operation_id):
            self._rows[operation_id] = row.with_annotations(annotations)

    def select(self, query: RunQuery, unfinished: Iterable[tuple[RunSummary, Annotations]] = ()) -> RunTable:
        """The table of a query, over these runs and unfinished ones.

        Raises InputError for an unknown column, or a text where numbers are compared.
        """
        rows = [*self._rows.values(), *(self._row(*run) for run in unfinished)]
        names = _names(rows)
        _check_columns(query, rows, names)
        matching = _matching(rows, query)
        shown = _sorted(matching, query)[query.offset : query.offset + query.limit]
        columns = _columns(query, shown, names)
        return RunTable(
            columns=tuple(_column(*each, shown) for each in zip(columns, titles(columns), strict=True)),
            rows=tuple(_run_row(row, columns) for row in shown),
            total=len(matching),
            names=tuple(names),
        )

    def _row(self, run: RunSummary, annotations: Annotations) -> _Row:
        values = cells(run, annotations)
        key = tuple(values), run.indicators
        shape = self._shapes.get(key) or self._shapes.setdefault(key, _shape(*key))
        return _Row(shape, tuple(self._values.setdefault((type(each), each), each) for each in values.values()))


def _shape(names: tuple[str, ...], indicators: tuple[str, ...]) -> _Shape:
    places = {name: place for place, name in enumerate(names)}
    paths = {
        f"indicators[{index}]{name.removeprefix(own)}": places[name]
        for index, own in enumerate(indicators)
        for name in names
        if name.startswith(f"{own}.")
    }
    return _Shape(names, paths | places)


def _names(rows: Sequence[_Row]) -> list[str]:
    """Every column that some run has: the fixed ones, then settings."""
    shapes = {id(row.shape): row.shape for row in rows}.values()
    return list(dict.fromkeys([*FIXED, *(name for shape in shapes for name in shape.names)]))


def _check_columns(query: RunQuery, rows: Sequence[_Row], names: Sequence[str]) -> None:
    known = set(names)
    for name in query.named:
        if name not in known and not any(name in row.shape.places for row in rows):
            meant = nearest(name, known) or next((each for each in names if each.endswith(f".{name}")), None)
            raise InputError(
                f"there is no column {name[:100]!r}",
                hint=f"did you mean {meant}?"
                if meant
                else f"there are {', '.join(FIXED)}, and settings by their paths",
            )
    for condition in query.where:
        if condition.column in NUMBERS:
            condition.check_number()


def _matching(rows: Iterable[_Row], query: RunQuery) -> list[_Row]:
    words = query.text.casefold()
    found = [row for row in rows if words in _searched(row)] if words else list(rows)
    for condition in query.where:
        found = [row for row in found if condition.holds(row.value(condition.column))]
    return found


def _searched(row: _Row) -> str:
    return "\n".join(as_text(row.value(name)) for name in _SEARCHED).casefold()


def _sorted(rows: Sequence[_Row], query: RunQuery) -> list[_Row]:
    ordered = sorted(rows, key=lambda row: as_text(row.value(_NEWEST_FIRST)), reverse=True)
    for key in reversed(query.order):
        present = [row for row in ordered if row.value(key.column) is not None]
        missing = [row for row in ordered if row.value(key.column) is None]
        column = key.column
        present.sort(key=lambda row: sort_key(row.value(column)), reverse=key.is_descending)
        ordered = present + missing
    return ordered


def _columns(query: RunQuery, rows: Sequence[_Row], names: Sequence[str]) -> list[str]:
    if query.columns == EVERY:
        return [name for name in names if any(row.value(name) not in (None, ()) for row in rows)]
    return list(query.columns) or list(_chosen(query, rows, names))


def _chosen(query: RunQuery, rows: Sequence[_Row], names: Sequence[str]) -> Iterator[str]:
    """The usual columns, those that the query names, those in which the rows differ, and measures."""
    differing = [name for name in names if name not in _NO_SETTINGS and _differs(name, rows)]
    optional = (*_FIRST_MEASURES, "tags", *_LATER_MEASURES)
    ordered = [*USUAL, *query.named, *_FIRST_MEASURES, *differing, "tags", *_LATER_MEASURES]
    skipped = {name for name in optional if not any(row.value(name) not in (None, ()) for row in rows)}
    skipped -= set(query.named)
    yield from (name for name in dict.fromkeys(ordered) if name not in skipped)


def _differs(name: str, rows: Sequence[_Row]) -> bool:
    return len({row.value(name) for row in rows}) > 1


def _column(name: str, title: str, rows: Sequence[_Row]) -> RunColumn:
    return RunColumn(name=name, title=title, is_number=_is_number(name, rows))


def _is_number(name: str, rows: Sequence[_Row]) -> bool:
    present = [value for row in rows if (value := row.value(name)) is not None]
    return bool(present) and all(isinstance(each, int | float) and not isinstance(each, bool) for each in present)


def _run_row(row: _Row, columns: Sequence[str]) -> RunRow:
    return RunRow(operation_id=as_text(row.value(ID)), values=tuple(map(row.value, columns)))
