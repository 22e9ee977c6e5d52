"""A memory-mapped file through which one process reports progress and any number of processes read it.

The file describes itself, so a reader needs only its path:

    head       magic, size and checksum of a JSON description: metric columns, phases, total steps
    state      four slots of 64 bytes, written in turn
    records    fixed-size metric records, only ever appended

State. States are numbered, and state n goes into slot n mod 4, its number last. The slot of state n is therefore not
written again before state n + 3 is complete in the slot in front of it. A reader reads the newest number n, then the
state, then checks that the slot in front has no greater number and that its own number is unchanged. If both hold,
nothing was written into what it read: had state n + 4 been started, n + 3 would be visible in front or, once n + 7
overwrites that, n + 4 in the slot itself. (Lamport, "Concurrent reading and writing", 1977, puts numbers before and
after the data; a ring needs only one of them, so a state is a single `pack_into`, which first clears its bytes in no
particular order.)

Records. A record is written once, over zeros, and committed by its last field, its own offset.

Readers use `pread`, one call per read, so that the order of reading holds. `pread` sees the writer's stores into its
mapping at once. Unlike a mapping, it reports a truncated file as an error and not as a signal that kills the reader.

The proof requires that stores become visible in order, as on x86. Elsewhere (ARM) a reader waits until anything younger
than `_SETTLING_S` has settled and reads it again; this costs the writer nothing.
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
from time import time as now  # noqa: TID251 (an instant on the write path; a datetime costs ten times as much)
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

# A bound method and the native format avoid attribute look-ups and byte swaps, half the cost of a write.
_store_state = struct.Struct("@qqqqqdQ").pack_into

State = tuple[int, int, int, int, int, float]
"""phase, step, part, parts, items, instant (seconds since the epoch)"""


class BridgeFileError(Exception):
    """The file is missing, too short, foreign or damaged; the message says which."""


class BridgeReadError(BridgeFileError):
    """The system could not read the file just now, which says nothing about its content."""


@dataclass(frozen=True, slots=True)
class BridgeLayout:
    """The description in the head of a bridge file.

    phases: message templates, which may use `{step}`, `{total}` and `{items}`
    total_steps: the number of steps at 100 %; zero for unknown
    columns: the names of the numbers in a metric record
    integer_columns: the columns that are shown as integers
    step_field: the status key for the current step; empty for none
    total_field: the status key for `total_steps`; empty for none
    planned_records: the number of records that the file has room for when created
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
    the planned records. Written data survives the death of every process, but not of the machine.
    """

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        self.path = path
        self._writable = writable
        try:
            self._file = path.open("r+b" if writable else "rb")
        except OSError as error:
            how = BridgeFileError if isinstance(error, FileNotFoundError) else BridgeReadError
            raise how(f"bridge {path} cannot be opened: {error.strerror}") from error
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
        """Create a bridge file with all blocks allocated, so that a full disk fails here and not during a training."""
        description = json.dumps(asdict(layout), separators=(",", ":")).encode()
        head = _HEAD.pack(_MAGIC, len(description), crc32(description)) + description
        states = bytearray(_SLOTS * _SLOT_BYTES)
        # State 1 is all zeros, so that a reader always finds a state.
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
        """Write a state; `part` of `parts` is the finished share of `step`."""
        number = self._number + 1
        self._number = number
        _store_state(self._buffer, self._slots[number % _SLOTS], phase, step, part, parts, items, now(), number)

    def _append_metric(self, *values: float) -> None:
        """Append one record: one number per column, in order."""
        offset = self._next_record
        if offset > self._last_offset and not self._grow():
            return
        self._store_record(self._buffer, offset, now(), self._pack_values(*values), offset)
        self._next_record = offset + self._record_size

    def _append_earlier(self, instant: float, *values: float) -> None:
        """Append a record of an earlier instant, and settle here, since its age does not tell readers to wait."""
        offset = self._next_record
        if offset > self._last_offset and not self._grow():
            return
        self._store_record(self._buffer, offset, instant, self._pack_values(*values), 0)
        if not _STORES_KEEP_ORDER:
            sleep(_SETTLING_S)
        _NUMBER.pack_into(self._buffer, offset + self._record.size, offset)
        self._next_record = offset + self._record_size

    def _grow(self) -> bool:
        """Double the room for records; on a full disk, later records are dropped and the job continues."""
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
        """The current progress: percentage (below 100), message, current_step, items_processed, updated_at."""
        state = self._read_state()
        try:
            return self._to_status(*state)
        except (IndexError, ValueError, OverflowError, OSError) as error:
            raise BridgeFileError(f"bridge {self.path} is damaged: its state is invalid: {error}") from error

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
        """The records from `cursor` on, and the cursor for the next call.

        Raises ValueError when the cursor is not within 0 and the number of records.
        """
        available = len(self._metrics_history)
        if not 0 <= cursor <= available:
            raise ValueError(f"cursor must be within 0 and {available}; it is {cursor}")
        metrics = self._metrics_history[cursor:available]
        return metrics, cursor + len(metrics)

    def has_begun(self) -> bool:
        """Whether anything was written into it since it was created."""
        return max(self._numbers()) > 1 or self._has_record(0)

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
        """Read at most `size` bytes, fewer at the end of the file. The writer reads its mapping without a call."""
        if self._writable:
            return self._buffer[offset : offset + size]
        try:
            return os.pread(self._file.fileno(), size, offset)
        except OSError as error:
            raise BridgeReadError(f"bridge {self.path} cannot be read: {error.strerror}") from error

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
        """The numbers of all slots, in one call; their order of reading does not matter, later reads decide."""
        slots = self._read(_SLOTS * _SLOT_BYTES, self._slots[0])
        return [_NUMBER.unpack_from(slots, slot * _SLOT_BYTES + _STATE.size)[0] for slot in range(_SLOTS)]

    def _read_state(self) -> State:
        """The newest complete state."""
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
        """Read committed records in one call."""
        if start >= stop:
            return []
        content = self._read((stop - start) * self._record_size, self._record_offset(start))
        if not _STORES_KEEP_ORDER and any(_is_fresh(instant) for instant, *_ in self._unpack(content)):
            sleep(_SETTLING_S)
            content = self._read(len(content), self._record_offset(start))
        return [self._to_metric(*numbers) for numbers in self._unpack(content)]

    def _salvaged_records(self) -> list[dict[str, Any]]:
        """The records before the first that cannot be read."""
        records: list[dict[str, Any]] = []
        with suppress(BridgeFileError):
            while self._has_record(len(records)):
                records += self._read_records(len(records), len(records) + 1)
        return records

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
    """A bridge's records as a sequence that reads only the requested ones."""

    def __init__(self, bridge: ProgressBridge) -> None:
        self._bridge = bridge
        self._known = 0

    def __len__(self) -> int:
        if self._bridge._has_record(self._known):
            self._known = self._find_end(self._known)
        return self._known

    def _find_end(self, known: int) -> int:
        """Count records by doubling and bisection, which works because they are committed in order."""
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
    """The offset of the first cache line after the head."""
    return math.ceil((_HEAD.size + description_bytes) / _SLOT_BYTES) * _SLOT_BYTES


def _record_size(layout: BridgeLayout) -> int:
    """Size in bytes: 8 for every column, for the instant and for the committing number."""
    return 8 * (len(layout.columns) + 2)


def _extend_with_zeros(descriptor: int, start: int, end: int) -> None:
    """Write zeros instead of leaving a hole: a store into a hole on a full disk kills the process (SIGBUS)."""
    while start < end:
        start += os.pwrite(descriptor, bytes(min(_ZEROS_PER_WRITE, end - start)), start)


def _is_fresh(instant: float) -> bool:
    return abs(now() - instant) < _SETTLING_S


def _finite(value: float) -> float | None:
    """None for NaN and infinity, which JSON does not have."""
    return value if math.isfinite(value) else None


def _iso(instant: float) -> str:
    return format_instant(datetime.fromtimestamp(instant, UTC))
