"""What a reader makes of a file that is damaged under its hands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ktrdr.jobs.training_bridge import TrainingProgressBridge
from ktrdr.operations.bridge import BridgeFileError, ProgressBridge
from ktrdr.training.observer import EpochMetrics

ROOT = Path(__file__).parents[2]

# In a process of its own: where the reader is wrong, it is a signal that ends it.
READ_WHAT_WAS_CUT_OFF = """
import os, sys
from pathlib import Path
from ktrdr.operations.bridge import BridgeFileError, ProgressBridge
path = Path(sys.argv[1])
with ProgressBridge(path) as reader:
    reader.get_status(), reader.get_metrics(0)
    os.truncate(path, int(sys.argv[2]))
    for read in (reader.get_status, reader.get_metrics):
        try:
            read()
        except BridgeFileError as damage:
            print(damage)
    print(len(reader._salvaged_records()), "left")
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A bridge with twenty epochs."""
    path = tmp_path / "bridge"
    TrainingProgressBridge.create_for(path, 20)
    with TrainingProgressBridge(path, writable=True) as writer:
        for epoch in range(1, 21):
            writer.on_epoch(EpochMetrics(epoch, 100 * epoch, 0.7, 0.5, 0.5, 0.6, 1e-3, 0.25, 0.0))
    return path


def records_at(path: Path) -> int:
    with ProgressBridge(path) as bridge:
        return bridge._record_offset(0)


@pytest.mark.processes
@pytest.mark.parametrize(("kept", "left"), [(0, 0), (100, 0), (-200, 17)])
def test_a_file_that_is_cut_off_while_it_is_read_is_an_error_and_no_signal(path: Path, kept: int, left: int) -> None:
    size = kept if kept >= 0 else path.stat().st_size + kept
    command = [sys.executable, "-c", READ_WHAT_WAS_CUT_OFF, str(path), str(size)]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    *damage, rest = done.stdout.splitlines()
    assert damage
    assert all(f"{path} is damaged: it is cut off before byte" in line for line in damage)
    assert rest == f"{left} left"


@pytest.mark.parametrize("garbage", [lambda size: b"\xff" * size, os.urandom], ids=["ones", "noise"])
def test_a_state_of_garbage_is_an_error(path: Path, garbage: Callable[[int], bytes]) -> None:
    states = records_at(path) - 256
    with ProgressBridge(path) as reader, path.open("r+b") as file:
        file.seek(states)
        file.write(garbage(256))
        file.flush()

        with pytest.raises(BridgeFileError, match="damaged"):
            reader.get_status()
        assert len(reader.get_metrics(0)[0]) == 20


def test_records_of_garbage_are_an_error_and_those_before_are_left(path: Path) -> None:
    size = (path.stat().st_size - records_at(path)) // 20
    with ProgressBridge(path) as reader, path.open("r+b") as file:
        assert len(reader._metrics_history) == 20
        file.seek(records_at(path) + 7 * size)
        file.write(b"\xff" * (size - 8))  # but for the number that commits it
        file.flush()

        with pytest.raises(BridgeFileError, match="damaged"):
            reader.get_metrics(0)
        assert [metric["epoch"] for metric in reader._salvaged_records()] == list(range(1, 8))
        assert reader.get_status()["current_step"] == 20


def test_a_closed_bridge_reads_no_other_file(path: Path) -> None:
    reader = ProgressBridge(path)
    reader.close()

    with pytest.raises(ValueError, match="closed"):
        reader.get_status()
