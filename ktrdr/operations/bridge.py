"""A memory-mapped file through which one process reports progress and any number read it.

The file describes itself, so that a reader needs nothing but its path:

    head       magic, size and checksum of a JSON description: metric columns, phases, total steps
    state      four slots of 64 bytes, written in turn
    records    fixed-size metric records, only ever appended

State. States are numbered, and state n goes into slot n mod 4, its number last. Slot n is therefore not touched again
before state n + 3 stands whole in the slot in front of it. So a reader takes the newest number, then the state, then
looks whether the slot in front has a greater number or its own has changed: if neither, nothing was written into
what it read. If state n + 4 had been, n + 3 would show in front, or, once n + 7 is being written over that, n + 4 in
the slot itself. (Numbers before and after the data are Lamport's, "Concurrent reading and writing", 1977; a ring needs
one of them only, so that a state is a single `pack_into`, which clears its bytes first, in no particular order.)

Records. A record is written once and committed by its last field: its own offset, over zeroed file.

Readers use `pread`, each one a call of its own so that the order of reading holds. It sees what the writer stored into
its mapping at once, and, unlike a mapping, a file that was cut off is then an error and not a signal that kills.

The proof needs stores to become visible in their order, as on x86. Elsewhere (ARM) a reader lets whatever is younger
than `_SETTLING_S` settle and reads it again before it trusts it; the writer pays nothing for that.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import platform
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import sleep
from time import time as now  # noqa: TID251 (an instant on the write path: 55 ns, where a datetime costs ten times that)
from typing import Any, Self, overload
from zlib import crc32

from ktrdr.instants import format_instant

_MAGIC = b"KTRDRBR2"
_HEAD = struct.Struct("=8sII")
_SLOTS = 4
_SLOT_BYTES = 64
_STATE = struct.Struct("@qqqqqd")
_NUMBER = struct.Struct("@Q")
_ZEROS_PER_WRITE = 1 << 16
_SETTLING_S = 20e-6
_READING_ATTEMPTS = 1_000
_STORES_KEEP_ORDER = platform.machine().lower() in {"x86_64", "amd64", "i386", "i686"}

# A bound method and the native format: half the cost of a write is looking things up and swapping bytes.
_store_state = struct.Struct("@qqqqqdQ").pack_into

State = tuple[int, int, int, int, int, float]
"""phase, step, part, parts, items, instant (seconds since the epoch)"""


class BridgeFileError(Exception):
    """The file is missing, too short, foreign or damaged; the message says which."""


@dataclass(frozen=True, slots=True)
class BridgeLayout:
    """What a bridge file says about itself.

    `phases` are message templates that may use `{step}`, `{total}` and `{items}`; `step_field` and `total_field`
    name the same numbers in the status; `integer_columns` are shown without a fraction.
    """

    phases: tuple[str, ...]
    total_steps: int = 0
    columns: tuple[str, ...] = ()
    integer_columns: tuple[str, ...] = ()
    step_field: str = ""
    total_field: str = ""
    planned_records: int = 0


class ProgressBridge:
    """One operation's progress, in shared memory.

    One thread of one process writes (`writable=True`); readers need no lock and never slow the writer.
    The writer's methods make no system call, format nothing and raise nothing, except when the file has to grow past
    the planned records; what was written survives the death of every process, though not of the machine.
    """

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        self.path = path
        self._writable = writable
        try:
            self._file = path.open("r+b" if writable else "rb")
        except OSError as error:
            raise BridgeFileError(f"bridge {path} cannot be opened: {error.strerror}") from error
        try:
            if writable:
                self._map()
            self._read_layout()
        except BaseException:
            self._file.close()
            raise
        self._metrics_history = MetricsHistory(self)
        if writable:
            self._next_record = self._record_offset(len(self._metrics_history))
            self._number = max(self._numbers())

    @classmethod
    def create(cls, path: Path, layout: BridgeLayout) -> None:
        """Write a new bridge file whole, blocks allocated, so that a full disk shows here and not in a training."""
        description = json.dumps(asdict(layout), separators=(",", ":")).encode()
        head = _HEAD.pack(_MAGIC, len(description), crc32(description)) + description
        states = bytearray(_SLOTS * _SLOT_BYTES)
        # State 1, all zeros, so that a reader always finds one.
        _NUMBER.pack_into(states, _SLOT_BYTES + _STATE.size, 1)
        start = head.ljust(_state_offset(len(description)), b"\0") + states
        fresh = path.with_name(path.name + ".new")
        with fresh.open("wb") as file:
            file.write(start)
            file.flush()
            size = len(start) + layout.planned_records * _record_size(layout)
            _extend_with_zeros(file.fileno(), len(start), size)
            os.fsync(file.fileno())
        fresh.replace(path)

    # -- producer ------------------------------------------------------------------------------------------------

    def _update_state(self, phase: int, step: int, part: int, parts: int, items: int) -> None:
        """`part` of `parts` says how much of `step` is done."""
        number = self._number + 1
        self._number = number
        _store_state(self._buffer, self._slots[number % _SLOTS], phase, step, part, parts, items, now(), number)

    def _append_metric(self, *values: float) -> None:
        """Append one record: a number for each column, in their order."""
        offset = self._next_record
        if offset > self._last_offset and not self._grow():
            return
        self._store_record(self._buffer, offset, now(), self._pack_values(*values), offset)
        self._next_record = offset + self._record_size

    def _append_earlier(self, instant: float, *values: float) -> None:
        """Append a record of an earlier instant; where its age can't tell readers to let it settle, it settles here."""
        offset = self._next_record
        if offset > self._last_offset and not self._grow():
            return
        self._store_record(self._buffer, offset, instant, self._pack_values(*values), 0)
        if not _STORES_KEEP_ORDER:
            sleep(_SETTLING_S)
        _NUMBER.pack_into(self._buffer, offset + self._record.size, offset)
        self._next_record = offset + self._record_size

    def _grow(self) -> bool:
        """Double the room for records; when the disk is full, later records are dropped and the work goes on."""
        more = max(self._mapped_bytes, 1024 * self._record_size)
        try:
            _extend_with_zeros(self._file.fileno(), self._mapped_bytes, self._mapped_bytes + more)
        except OSError:
            return False
        self._map()
        self._last_offset = self._mapped_bytes - self._record_size
        return True

    # -- consumer ------------------------------------------------------------------------------------------------

    def get_status(self) -> dict[str, Any]:
        """Progress as it stands: percentage (below 100), message, current_step, items_processed, updated_at."""
        state = self._read_state()
        try:
            return self._to_status(*state)
        except (IndexError, ValueError, OverflowError, OSError) as error:
            raise BridgeFileError(f"bridge {self.path} is damaged: its state means nothing: {error}") from error

    def _to_status(self, phase: int, step: int, part: int, parts: int, items: int, instant: float) -> dict[str, Any]:
        total = self.layout.total_steps
        steps_done = max(step - 1, 0) + (part / parts if parts else 0.0)
        status: dict[str, Any] = {
            "percentage": round(min(100.0 * steps_done / total, 99.9), 2) if total else 0.0,
            "message": self.layout.phases[phase].format(step=step, total=total, items=items),
            "current_step": step,
            "items_processed": items,
        }
        if self.layout.step_field and step:
            status[self.layout.step_field] = step
        if self.layout.total_field:
            status[self.layout.total_field] = total
        if instant:
            status["updated_at"] = _iso(instant)
        return status

    def get_metrics(self, cursor: int = 0) -> tuple[list[dict[str, Any]], int]:
        """The records from `cursor` on, and the cursor to ask with next time.

        Raises ValueError when the cursor is not within 0 and the number of records.
        """
        available = len(self._metrics_history)
        if not 0 <= cursor <= available:
            raise ValueError(f"cursor must be within 0 and {available}; it is {cursor}")
        metrics = self._metrics_history[cursor:available]
        return metrics, cursor + len(metrics)

    def close(self) -> None:
        if self._writable:
            self._buffer.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the file ------------------------------------------------------------------------------------------------

    def _map(self) -> None:
        try:
            self._buffer = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_WRITE)
        except ValueError as error:
            raise BridgeFileError(f"bridge {self.path} is empty") from error
        self._mapped_bytes = len(self._buffer)

    def _peek(self, size: int, offset: int) -> bytes:
        """Fewer bytes where the file ends before. The writer reads its own mapping, which needs no call."""
        if self._writable:
            return self._buffer[offset : offset + size]
        try:
            return os.pread(self._file.fileno(), size, offset)
        except OSError as error:
            raise BridgeFileError(f"bridge {self.path} cannot be read: {error.strerror}") from error

    def _read(self, size: int, offset: int) -> bytes:
        content = self._peek(size, offset)
        if len(content) < size:
            raise BridgeFileError(f"bridge {self.path} is damaged: it is cut off before byte {offset + size}")
        return content

    def _read_layout(self) -> None:
        size_bytes = os.fstat(self._file.fileno()).st_size
        if size_bytes < _HEAD.size:
            how = f"too short: {size_bytes} bytes" if size_bytes else "empty"
            raise BridgeFileError(f"bridge {self.path} is {how}")
        magic, size, checksum = _HEAD.unpack(self._read(_HEAD.size, 0))
        if magic != _MAGIC:
            raise BridgeFileError(f"{self.path} is not a bridge of this version")
        state = _state_offset(size)
        description = self._read(min(size, size_bytes), _HEAD.size) if state < size_bytes else b""
        if crc32(description) != checksum or size_bytes < state + _SLOTS * _SLOT_BYTES:
            raise BridgeFileError(f"bridge {self.path} is damaged: its head does not match its checksum or size")
        fields: dict[str, Any] = {
            key: tuple(v) if isinstance(v, list) else v for key, v in json.loads(description).items()
        }
        self.layout = BridgeLayout(**fields)
        self._slots = tuple(state + slot * _SLOT_BYTES for slot in range(_SLOTS))
        self._records_offset = state + _SLOTS * _SLOT_BYTES
        columns = struct.Struct(f"@{len(self.layout.columns)}d")
        self._record = struct.Struct(f"@{len(self.layout.columns) + 1}d")
        self._pack_values = columns.pack
        self._record_size = _record_size(self.layout)
        self._store_record = struct.Struct(f"@d{columns.size}sQ").pack_into
        self._last_offset = size_bytes - self._record_size

    def _read_number(self, slot: int) -> int:
        number: int = _NUMBER.unpack(self._read(_NUMBER.size, self._slots[slot] + _STATE.size))[0]
        return number

    def _numbers(self) -> list[int]:
        """In one call, in whatever order: only what is read after them decides."""
        slots = self._read(_SLOTS * _SLOT_BYTES, self._slots[0])
        return [_NUMBER.unpack_from(slots, slot * _SLOT_BYTES + _STATE.size)[0] for slot in range(_SLOTS)]

    def _read_state(self) -> State:
        """The newest state that was written whole."""
        for _ in range(_READING_ATTEMPTS):
            number = max(self._numbers())
            state = self._read_slot(number)
            if state is not None and (_STORES_KEEP_ORDER or self._has_settled(number, state)):
                return state
        raise BridgeFileError(f"bridge {self.path} is damaged: its state cannot be read")

    def _read_slot(self, number: int) -> State | None:
        slot = number % _SLOTS
        state: State = _STATE.unpack(self._read(_STATE.size, self._slots[slot]))
        is_whole = self._read_number(slot - 1) <= number == self._read_number(slot) != 0
        return state if is_whole else None

    def _has_settled(self, number: int, state: State) -> bool:
        if _is_fresh(state[-1]):
            sleep(_SETTLING_S)
        return self._read_slot(number) == state

    def _record_offset(self, index: int) -> int:
        return self._records_offset + index * self._record_size

    def _has_record(self, index: int) -> bool:
        offset = self._record_offset(index)
        return self._peek(_NUMBER.size, offset + self._record.size) == _NUMBER.pack(offset)

    def _read_records(self, start: int, stop: int) -> list[dict[str, Any]]:
        """Committed ones, read as one."""
        if start >= stop:
            return []
        content = self._read((stop - start) * self._record_size, self._record_offset(start))
        if not _STORES_KEEP_ORDER and any(_is_fresh(instant) for instant, *_ in self._unpack(content)):
            sleep(_SETTLING_S)
            content = self._read(len(content), self._record_offset(start))
        return [self._to_metric(*numbers) for numbers in self._unpack(content)]

    def _salvaged_records(self) -> list[dict[str, Any]]:
        """Those in front of the first that cannot be read."""
        found: list[dict[str, Any]] = []
        with suppress(BridgeFileError):
            while self._has_record(len(found)):
                found += self._read_records(len(found), len(found) + 1)
        return found

    def _unpack(self, content: bytes) -> Iterator[tuple[float, ...]]:
        return (self._record.unpack_from(content, at) for at in range(0, len(content), self._record_size))

    def _to_metric(self, instant: float, *values: float) -> dict[str, Any]:
        try:
            named: dict[str, Any] = dict(zip(self.layout.columns, map(_finite, values), strict=True))
            for column in self.layout.integer_columns:
                named[column] = int(named[column])
            named["timestamp"] = _iso(instant)
        except (ValueError, TypeError, OverflowError, OSError) as error:
            raise BridgeFileError(f"bridge {self.path} is damaged: a record holds no metrics: {error}") from error
        return named


class MetricsHistory(Sequence[dict[str, Any]]):
    """A bridge's records as a sequence that reads only what is asked for."""

    def __init__(self, bridge: ProgressBridge) -> None:
        self._bridge = bridge
        self._known = 0

    def __len__(self) -> int:
        if self._bridge._has_record(self._known):
            self._known = self._find_end(self._known)
        return self._known

    def _find_end(self, known: int) -> int:
        """Records are committed in order, so their number is found in a logarithm of it."""
        step = 1
        while self._bridge._has_record(known + step):
            known += step
            step *= 2
        low, high = known, known + step
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._bridge._has_record(middle) else (low, middle)
        return high

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...

    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        indices = range(len(self))[index]
        if isinstance(indices, int):
            return self._bridge._read_records(indices, indices + 1)[0]
        if indices.step == 1:
            return self._bridge._read_records(indices.start, indices.stop)
        return [self[i] for i in indices]


def _state_offset(description_bytes: int) -> int:
    """The first cache line after the head."""
    return math.ceil((_HEAD.size + description_bytes) / _SLOT_BYTES) * _SLOT_BYTES


def _record_size(layout: BridgeLayout) -> int:
    """Every column, the instant and the committing number take 8 bytes each."""
    return 8 * (len(layout.columns) + 2)


def _extend_with_zeros(descriptor: int, start: int, end: int) -> None:
    """Zeros are written, not left as a hole: storing into a hole on a full disk would kill the process (SIGBUS)."""
    while start < end:
        start += os.pwrite(descriptor, bytes(min(_ZEROS_PER_WRITE, end - start)), start)


def _is_fresh(instant: float) -> bool:
    return abs(now() - instant) < _SETTLING_S


def _finite(value: float) -> float | None:
    """JSON knows no NaN."""
    return value if math.isfinite(value) else None


def _iso(instant: float) -> str:
    return format_instant(datetime.fromtimestamp(instant, UTC))
