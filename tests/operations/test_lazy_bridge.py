"""A bridge that is opened when it is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ktrdr.operations.bridge import BridgeFileError, BridgeLayout, BridgeReadError, ProgressBridge
from ktrdr.operations.lazy_bridge import LazyProgressBridge


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "bridge"
    ProgressBridge.create(path, BridgeLayout(phases=("Working",), total_steps=1, columns=("x",), planned_records=2))
    return path


def is_open(path: Path) -> bool:
    descriptors = Path("/proc/self/fd").iterdir()
    return any(os.path.realpath(descriptor) == str(path) for descriptor in descriptors)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are listed in /proc")
def test_it_holds_no_file_open_until_it_is_read(path: Path) -> None:
    bridge = LazyProgressBridge(path)
    assert not is_open(path)

    assert bridge.get_status()["message"] == "Working"
    assert is_open(path)
    bridge.close()
    assert not is_open(path)


def test_a_file_that_could_not_be_opened_is_opened_by_the_next_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge = LazyProgressBridge(path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda *_: (_ for _ in ()).throw(OSError(24, "Too many open files")))
        with pytest.raises(BridgeReadError, match="Too many open files"):
            len(bridge._metrics_history)

    assert len(bridge._metrics_history) == 0
    bridge.close()


def test_a_missing_file_is_a_fault_of_the_bridge_and_not_of_the_moment(tmp_path: Path) -> None:
    with pytest.raises(BridgeFileError) as missing:
        LazyProgressBridge(tmp_path / "none").get_status()

    assert not isinstance(missing.value, BridgeReadError)


@pytest.mark.parametrize("write", ["state", "record"])
def test_a_bridge_has_begun_with_its_first_state_or_record(path: Path, write: str) -> None:
    with ProgressBridge(path, writable=True) as writer:
        assert not writer.has_begun()
        if write == "state":
            writer._update_state(0, 1, 0, 0, 0)
        else:
            writer._append_metric(1.0)

        assert writer.has_begun()
