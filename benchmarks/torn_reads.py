"""Does a reader of a bridge ever accept what no writer wrote, and does a killed writer ever lose a committed record?

`python -m benchmarks.torn_reads`: one process writes at full speed while readers hammer the same file, one in Python
through `ProgressBridge` and one in C that knows the format alone. The same for the obvious one-slot protocol, and for
a writer that lies, show that the readers find torn states where there are some. Then writers are killed at random
instants.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from struct import Struct
from typing import Any, Self

from benchmarks.outcome import Figure, at_least, below
from ktrdr.operations import bridge as protocol
from ktrdr.operations.bridge import BridgeLayout, ProgressBridge

STATES, KILLS = 25_000_000, 50
COLUMNS = 7
WRITES_PER_RECORD = 50
LAYOUT = BridgeLayout(
    phases=("running", "over"),
    columns=tuple(f"times_{factor}" for factor in range(1, COLUMNS + 1)),
    planned_records=1000,
)
_HAMMER = Path(__file__).with_name("hammer.c")
_RUNNING, _OVER = 0, 1


class RingBridge(ProgressBridge):
    """A bridge whose states and records can be recognised: every field follows from the first."""

    @property
    def records_offset(self) -> int:
        return self._records_offset

    def write_state(self, step: int, phase: int = _RUNNING) -> None:
        self._update_state(phase, step, 3 * step, 5 * step, 7 * step)

    def write_record(self, index: int) -> None:
        self._append_metric(*(index * factor for factor in range(1, COLUMNS + 1)))

    def read_state(self) -> tuple[int, int, int, int, int, float]:
        return self._read_state()


class OneSlotBridge(RingBridge):
    """What one would write first, and what is wrong: one slot, wherever the head happens to end, with a number before
    and a number after, read in one go. Here it lies across two cache lines, which shows the fault soonest."""

    _pack = Struct("@QqqqqqdQ")

    def _update_state(self, phase: int, step: int, part: int, parts: int, items: int) -> None:
        number = self._number = self._number + 1
        self._pack.pack_into(self._buffer, self._slots[0] + 32, number, phase, step, part, parts, items, 0.0, number)


class LyingBridge(RingBridge):
    """Whose last state and third record look torn, so that it is certain that the readers would notice."""

    def write_state(self, step: int, phase: int = _RUNNING) -> None:
        self._update_state(phase, step, 3 * step, 5 * step, 7 * step + (phase == _OVER))

    def write_record(self, index: int) -> None:
        super().write_record(index + (index == 3))


BRIDGES: dict[str, type[RingBridge]] = {"ring": RingBridge, "one-slot": OneSlotBridge, "lying": LyingBridge}


def is_torn_state(state: tuple[int, int, int, int, int, float]) -> bool:
    _, step, part, parts, items, _ = state
    return (part, parts, items) != (3 * step, 5 * step, 7 * step)


def is_torn_record(record: dict[str, Any], index: int) -> bool:
    return any(record[name] != index * factor for factor, name in enumerate(LAYOUT.columns, 1))


def write(path: Path, kind: str, writes: int) -> None:
    """State `writes` times at full speed, a record now and then; for ever when `writes` is 0."""
    with BRIDGES[kind](path, writable=True) as bridge:
        write_state = bridge.write_state
        records = count(len(bridge._metrics_history) + 1)
        bridge.write_state(0)
        _announce("writing")
        for step in range(1, writes + 1) if writes else count(1):
            write_state(step)
            if step % WRITES_PER_RECORD == 0:
                bridge.write_record(next(records))
        bridge.write_state(writes, _OVER)


def read(path: Path) -> dict[str, int]:
    """Hammer a bridge until its run is over, then read the records that are left."""
    found = {"state_reads": 0, "record_reads": 0, "torn_states": 0, "torn_records": 0}
    cursor = last_step = 0
    is_over = False
    with RingBridge(path) as bridge:
        _announce("reading")
        while not is_over:
            state = bridge.read_state()
            found["state_reads"] += 1
            found["torn_states"] += is_torn_state(state) or state[1] < last_step
            last_step = state[1]
            is_over = state[0] == _OVER
            if is_over or found["state_reads"] % 16 == 0:
                metrics, new_cursor = bridge.get_metrics(cursor)
                for index, record in enumerate(metrics, cursor + 1):
                    found["torn_records"] += is_torn_record(record, index)
                found["record_reads"] += len(metrics)
                cursor = new_cursor
    return found


class Hammer:
    """The reader in C, compiled on the spot; `path` is None where there is no compiler or stores may be reordered."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        self.path: Path | None = None
        if compiler and protocol._STORES_KEEP_ORDER:
            self.path = folder / "hammer"
            subprocess.run([compiler, "-O2", "-Wall", "-Werror", "-o", self.path, _HAMMER], check=True)

    def command(self, bridge: Path, kind: str) -> list[str] | None:
        if self.path is None:
            return None
        with RingBridge(bridge) as opened:
            return [
                str(self.path),
                str(bridge),
                str(opened.records_offset),
                str(COLUMNS),
                "one-slot" if kind == "one-slot" else "ring",
            ]


class Started:
    """A reader or writer in a process of its own, at work when the constructor returns."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.process.stdout.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


def hammer_one(kind: str, writes: int, hammer: Hammer, folder: Path) -> dict[str, Any]:
    """One writer, both readers, and what they counted."""
    path = folder / kind
    ProgressBridge.create(path, LAYOUT)
    commands = {"C": hammer.command(path, kind)}
    if kind != "one-slot":
        commands["Python"] = _this_program("read", path)
    with ExitStack() as stack:
        readers = {name: stack.enter_context(Started(command)).process for name, command in commands.items() if command}
        began = time.perf_counter()
        stack.enter_context(Started(_this_program("write", path, kind, writes))).process.wait()
        seconds = time.perf_counter() - began
        counts = {name: json.loads(process.communicate()[0]) for name, process in readers.items()}
    return {"state_writes": writes, "record_writes": writes // WRITES_PER_RECORD, "seconds": seconds, "readers": counts}


def kill_writers(kills: int, folder: Path) -> dict[str, int]:
    """Kill a writer, reopen its file with the next, kill that, and so on; nothing that was seen may be missing."""
    path = folder / "killed"
    ProgressBridge.create(path, LAYOUT)
    lost = torn = records = 0
    chance = random.Random(1)
    with RingBridge(path) as bridge:
        for _ in range(kills):
            with Started(_this_program("write", path, "ring", 0)) as writer:
                time.sleep(chance.uniform(0, 0.1))
                seen = len(bridge._metrics_history)
                writer.process.send_signal(signal.SIGKILL)
                writer.process.wait()
            metrics, available = bridge.get_metrics(records)
            torn += is_torn_state(bridge.read_state())
            torn += sum(is_torn_record(record, index) for index, record in enumerate(metrics, records + 1))
            written = records + max(bridge.read_state()[1] - 1, 0) // WRITES_PER_RECORD
            lost += available < seen or available < written
            records = available
    return {"kills": kills, "records": records, "lost": lost, "torn": torn}


def run() -> list[Figure]:
    found = count_torn_reads(STATES, KILLS)
    readers = found["ring"]["readers"].values()
    figures = [
        Figure("torn reads: states written at full speed", found["ring"]["state_writes"], "", at_least(20e6)),
        Figure("torn reads: records written among them", found["ring"]["record_writes"], ""),
        Figure("torn reads: states read", sum(counts["state_reads"] for counts in readers), ""),
        Figure("torn reads: records read", sum(counts["record_reads"] for counts in readers), ""),
        Figure("torn reads: torn states accepted", sum(counts["torn_states"] for counts in readers), "", below(1)),
        Figure("torn reads: torn records accepted", sum(counts["torn_records"] for counts in readers), "", below(1)),
    ]
    if found["one_slot"]:
        torn = found["one_slot"]["readers"]["C"]["torn_states"]
        figures.append(Figure("torn reads: torn states accepted with one slot", torn, ""))
    kills = found["kills"]
    return [
        *figures,
        Figure("killed writers", kills["kills"], "", at_least(50)),
        Figure("killed writers: records", kills["records"], ""),
        Figure("killed writers: records lost", kills["lost"], "", below(1)),
        Figure("killed writers: torn states and records", kills["torn"], "", below(1)),
    ]


def count_torn_reads(writes: int, kills: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="torn-reads-") as name:
        folder = Path(name)
        hammer = Hammer(folder)
        return {
            "ring": hammer_one("ring", writes, hammer, folder),
            "one_slot": hammer_one("one-slot", writes, hammer, folder) if hammer.path else None,
            "lying": hammer_one("lying", 10 * WRITES_PER_RECORD, hammer, folder),
            "kills": kill_writers(kills, folder),
            "machine": platform.machine(),
        }


def _announce(what: str) -> None:
    sys.stdout.write(what + "\n")
    sys.stdout.flush()


def _this_program(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "benchmarks.torn_reads", *map(str, arguments)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.torn_reads", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    writer = commands.add_parser("write")
    writer.add_argument("path", type=Path)
    writer.add_argument("kind", choices=BRIDGES)
    writer.add_argument("writes", type=int)
    commands.add_parser("read").add_argument("path", type=Path)
    parser.add_argument("--writes", type=int, default=STATES)
    parser.add_argument("--kills", type=int, default=KILLS)
    given = parser.parse_args()
    if given.command == "write":
        write(given.path, given.kind, given.writes)
    elif given.command == "read":
        sys.stdout.write(json.dumps(read(given.path)))
    else:
        sys.stdout.write(json.dumps(count_torn_reads(given.writes, given.kills), indent=2) + "\n")


if __name__ == "__main__":
    main()
