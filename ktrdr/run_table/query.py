"""Queries of runs: conditions such as `training.learning_rate<0.01`, orders such as `-lead`, and a text to search."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from ktrdr.errors import InputError
from ktrdr.payloads.runs import Value

EVERY = ("*",)
"""As columns: all in which some run of the answer has a value."""

OPERATORS = ("!=", "<=", ">=", "=", "<", ">", "~")

_CONDITION = re.compile(r"\s*([^=!<>~]*?)\s*(!=|<=|>=|=|<|>|~)\s*(.*?)\s*", re.DOTALL)
_TRUTH = {"true": True, "yes": True, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class Condition:
    """What a run's value in one column must be.

    column: the column's name
    operator: one of `OPERATORS`; `~` means that the value contains the text
    text: what is compared with; empty stands for no value
    number: the text as a number; None where it is none
    """

    column: str
    operator: str
    text: str
    number: float | None

    @classmethod
    def parse(cls, condition: str) -> Self:
        """Raises InputError."""
        parts = _CONDITION.fullmatch(condition)
        if not parts or not parts[1]:
            raise InputError(
                f"{condition[:100]!r} is no condition",
                hint=f"write a column, one of {' '.join(OPERATORS)} and a value, such as 'lead>0.01' or 'name~rsi'",
            )
        return cls(parts[1], parts[2], parts[3], _number(parts[3]))

    @property
    def orders(self) -> bool:
        """Whether it asks for what is less or greater, not for what is equal or contained."""
        return self.operator[0] in "<>"

    def check_number(self) -> None:
        """Raises InputError when numbers, which its column holds, are to be ordered against a text."""
        if self.orders and self.number is None:
            raise InputError(
                f"{self.column} holds numbers, and {self.text[:100]!r} is none",
                hint=f"write a number, such as '{self.column}{self.operator}0.01'",
            )

    def holds(self, value: Value) -> bool:
        """Raises InputError for a number that is to be ordered against a text."""
        if self.operator == "!=":
            return not self._equals(value)
        if self.operator == "=":
            return self._equals(value)
        if value is None:
            return False
        if self.operator == "~":
            return self.text.casefold() in as_text(value).casefold()
        if isinstance(value, int | float):
            self.check_number()
            return _ordered(self.operator, value, self.number)
        return _ordered(self.operator, as_text(value), self.text)

    def _equals(self, value: Value) -> bool:
        if not self.text:
            return value is None or value == ()
        if isinstance(value, tuple):
            return any(self._equals(each) for each in value)
        if isinstance(value, bool):
            return value is _TRUTH.get(self.text.casefold())
        if isinstance(value, int | float):
            return value == self.number
        return value is not None and value.casefold() == self.text.casefold()


@dataclass(frozen=True, slots=True)
class Order:
    """One key of an order; runs without a value come last either way."""

    column: str
    is_descending: bool = False

    @classmethod
    def parse(cls, keys: Iterable[str]) -> tuple[Self, ...]:
        """`["-lead", "name,created"]`: the greatest lead first, among equal ones by name, then by age."""
        names = [name.strip() for key in keys for name in key.split(",")]
        return tuple(cls(name.lstrip("+-"), name.startswith("-")) for name in names if name)


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs, in which order, with which columns.

    text: what each run must contain in its id, names, tags or note
    where: what each run must fulfil
    order: the first key decides; the newest run is first among equals
    columns: by name, or `EVERY`; empty for the usual ones and those that differ
    limit, offset: how many runs, from which on
    """

    text: str = ""
    where: Sequence[Condition] = ()
    order: Sequence[Order] = ()
    columns: tuple[str, ...] = ()
    limit: int = 100
    offset: int = 0

    @property
    def named(self) -> Iterable[str]:
        """Every column that it names."""
        yield from (condition.column for condition in self.where)
        yield from (key.column for key in self.order)
        yield from () if self.columns == EVERY else self.columns


def as_text(value: Value) -> str:
    """A value as a cell of CSV has it; of several texts all of them, separated by commas."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)


def sort_key(value: Value) -> tuple[int, float, str]:
    """Numbers before texts."""
    if isinstance(value, int | float):
        return 0, float(value), ""
    return 1, 0.0, as_text(value).casefold()


def _ordered(operator: str, one: float | str, other: float | str | None) -> bool:
    # One of both is a number only where the other is.
    match operator:
        case "<":
            return one < other  # type: ignore[operator]
        case "<=":
            return one <= other  # type: ignore[operator]
        case ">":
            return one > other  # type: ignore[operator]
        case _:
            return one >= other  # type: ignore[operator]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
