"""Where the row groups of a Parquet file lie: what its footer says and Polars does not tell.

The footer is a struct in Thrift's compact protocol
(https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md); field numbers are those of
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)

_ROW_GROUPS = 4
_COLUMNS, _NUM_ROWS = 1, 3
_META_DATA = 3
_TOTAL_COMPRESSED_SIZE, _DATA_PAGE_OFFSET, _DICTIONARY_PAGE_OFFSET = 7, 9, 11


@dataclass(frozen=True, slots=True)
class RowGroup:
    """`end` is the first byte after it."""

    rows: int
    end: int


def row_groups(content: bytes) -> list[RowGroup]:
    """Those of a Parquet file, in their order. Raises ValueError when they do not lie one behind the other."""
    length = int.from_bytes(content[-8:-4], "little")
    footer = _Reader(content[-8 - length : -8]).struct()
    found = [_extent(group) for group in footer[_ROW_GROUPS]]
    if any(after < before for (_, before, _), (after, _, _) in pairwise([(0, 4, 0), *found])):
        raise ValueError("row groups out of order")
    return [RowGroup(rows, end) for _, end, rows in found]


def _extent(group: dict[int, Any]) -> tuple[int, int, int]:
    """First byte, end and rows."""
    chunks = [column[_META_DATA] for column in group[_COLUMNS]]
    begins = [min(chunk[_DATA_PAGE_OFFSET], chunk.get(_DICTIONARY_PAGE_OFFSET) or 1 << 62) for chunk in chunks]
    ends = [begin + chunk[_TOTAL_COMPRESSED_SIZE] for begin, chunk in zip(begins, chunks, strict=True)]
    return min(begins), max(ends), group[_NUM_ROWS]


class _Reader:
    """Thrift structs as dictionaries by field number."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def struct(self) -> dict[int, Any]:
        return dict(self._fields())

    def _fields(self) -> Iterator[tuple[int, Any]]:
        number = 0
        while head := self._byte():
            step, kind = head >> 4, head & 15
            number = number + step if step else self._integer()
            yield number, kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind)

    def _value(self, kind: int) -> Any:
        if kind in _INTEGERS:
            return self._integer()
        readers: dict[int, Callable[[], Any]] = {
            _TRUE: self._byte,
            _FALSE: self._byte,
            _BYTE: self._byte,
            _DOUBLE: lambda: self._take(8),
            _BINARY: lambda: self._take(self._varint()),
            _LIST: self._list,
            _SET: self._list,
            _STRUCT: self.struct,
        }
        if kind not in readers:
            raise ValueError(f"a field of the unknown kind {kind}")
        return readers[kind]()

    def _list(self) -> list[Any]:
        head = self._byte()
        size = head >> 4
        return [self._value(head & 15) for _ in range(self._varint() if size == 15 else size)]

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
        return value | byte << shift

    def _byte(self) -> int:
        self._at += 1
        return self._content[self._at - 1]

    def _take(self, size: int) -> bytes:
        self._at += size
        return self._content[self._at - size : self._at]
