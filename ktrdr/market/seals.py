"""The checksums of a series' file, which stand in its own metadata: a file vouches for itself.

A seal has one for each row group, and one for what lies outside of all, with the seal's own digits as zeros.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import IO
from zlib import crc32

from ktrdr.market.row_groups import row_groups

FOOTER_BYTES = 1 << 17
"""The last bytes of a file, which hold its footer unless it has very many row groups."""

_FIELD = b'"seal": "'
# Of each group its end and its checksum, then the checksum of the rest, all in hexadecimal.
_END_DIGITS, _CRC_DIGITS = 12, 8
_AT_ONCE = 2


def blank(groups: int) -> str:
    """What stands in the place of the seal of so many row groups until they are written."""
    return "0" * (groups * (_END_DIGITS + _CRC_DIGITS) + _CRC_DIGITS)


def put(content: memoryview, unsealed: str) -> None:
    """Put the checksums in the place of `unsealed`, which is as long as they are."""
    tail = bytes(content[-FOOTER_BYTES:])
    bounds = [0, *(group.end for group in row_groups(tail))]
    rest = bytes(content[bounds[-1] :])
    groups = [f"{end:0{_END_DIGITS}x}{_digits(crc32(content[begin:end]))}" for begin, end in pairwise(bounds)]
    seal = "".join([*groups, _digits(crc32(rest))]).encode()
    at = bounds[-1] + _place(rest, unsealed)
    if len(seal) != len(unsealed):
        raise ValueError("Polars wrote other row groups than it was told to")
    content[at : at + len(seal)] = seal


def is_sound(file: IO[bytes], size: int, seal: str, count: int, groups: range) -> bool:
    """Whether these of a file's `count` row groups, and what lies outside of all, are as sealed; `size` is in bytes."""
    step = _END_DIGITS + _CRC_DIGITS
    parts = [seal[at : at + step] for at in range(0, len(seal) - _CRC_DIGITS, step)]
    bounds = [0, *(int(part[:_END_DIGITS], 16) for part in parts)]
    rest = read_bytes(file, bounds[-1], size)
    at = _place(rest, seal)
    unsealed = b"".join((rest[:at], b"0" * len(seal), rest[at + len(seal) :]))
    if len(parts) != count or _digits(crc32(unsealed)) != last_checksum(seal):
        return False
    return _checksums(file, bounds, groups) == [part[_END_DIGITS:] for part in parts[groups.start : groups.stop]]


def last_checksum(seal: str) -> str:
    """The checksum of what vouches for all the rest."""
    return seal[-_CRC_DIGITS:]


def read_bytes(file: IO[bytes], begin: int, end: int) -> bytes:
    file.seek(begin)
    return file.read(end - begin)


def _checksums(file: IO[bytes], bounds: list[int], groups: range) -> list[str]:
    contents = [read_bytes(file, bounds[group], bounds[group + 1]) for group in groups]
    if len(contents) <= _AT_ONCE:
        return [_digits(crc32(content)) for content in contents]
    # It lets go of the interpreter, and of a long series it is a fifth of the time.
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [_digits(checksum) for checksum in pool.map(crc32, contents)]


def _digits(checksum: int) -> str:
    return f"{checksum:0{_CRC_DIGITS}x}"


def _place(rest: bytes, seal: str) -> int:
    """Where the seal's digits stand; the metadata is the last place in a file where they can."""
    return rest.rindex(_FIELD + seal.encode() + b'"') + len(_FIELD)
