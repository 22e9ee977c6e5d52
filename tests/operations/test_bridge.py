import ast
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrdr.api.services.training import progress_bridge
from ktrdr.jobs.training_bridge import METRIC_COLUMNS, TrainingProgressBridge
from ktrdr.operations import bridge as protocol
from ktrdr.operations.bridge import BridgeFileError, BridgeLayout, ProgressBridge
from ktrdr.training.observer import EpochMetrics, Phase, TrainingObserver

EPOCHS = 10


@pytest.fixture
def path(tmp_path: Path) -> Path:
    TrainingProgressBridge.create_for(tmp_path / "bridge", EPOCHS)
    return tmp_path / "bridge"


@pytest.fixture
def writer(path: Path) -> Iterator[TrainingProgressBridge]:
    with TrainingProgressBridge(path, writable=True) as bridge:
        yield bridge


@pytest.fixture
def reader(path: Path) -> Iterator[ProgressBridge]:
    with ProgressBridge(path) as bridge:
        yield bridge


def report_epoch(bridge: TrainingProgressBridge, epoch: int, val_loss: float = 0.5) -> None:
    bridge.on_epoch(EpochMetrics(epoch, 100 * epoch, 0.7, 0.5, val_loss, 0.6, 1e-3, 0.25, ended_at=0.0))


class TestStatus:
    def test_before_the_first_write(self, reader: ProgressBridge) -> None:
        assert reader.get_status() == {
            "percentage": 0.0,
            "message": "Initializing training...",
            "current_step": 0,
            "items_processed": 0,
            "total_epochs": EPOCHS,
        }
        assert reader.get_metrics(0) == ([], 0)

    def test_of_a_phase(self, writer: TrainingProgressBridge, reader: ProgressBridge) -> None:
        writer.on_phase(Phase.PREPARING)
        status = reader.get_status()
        assert status["message"] == "Preparing features and windows"
        assert status["percentage"] == 0.0
        assert status["updated_at"].endswith("Z")

    def test_of_a_batch(self, writer: TrainingProgressBridge, reader: ProgressBridge) -> None:
        writer.on_batch(epoch=3, batch=1, batches=4, samples_seen=832)
        status = reader.get_status()
        assert status["message"] == "Epoch 3/10"
        assert status["percentage"] == 22.5
        assert (status["current_step"], status["epoch_index"], status["items_processed"]) == (3, 3, 832)

    def test_of_the_last_epoch_is_not_yet_complete(
        self, writer: TrainingProgressBridge, reader: ProgressBridge
    ) -> None:
        report_epoch(writer, EPOCHS)
        assert reader.get_status()["percentage"] == 99.9
        writer.on_phase(Phase.SAVING)
        status = reader.get_status()
        assert (status["message"], status["current_step"]) == ("Saving model and report", EPOCHS)

    def test_shows_the_newest_of_many_writes(self, writer: TrainingProgressBridge, reader: ProgressBridge) -> None:
        for batch in range(1, 12):
            writer.on_batch(1, batch, 11, 32 * batch)
            assert reader.get_status()["items_processed"] == 32 * batch

    def test_where_stores_may_be_reordered(
        self, writer: TrainingProgressBridge, reader: ProgressBridge, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(protocol, "_STORES_KEEP_ORDER", False)
        report_epoch(writer, 4)
        assert reader.get_status()["current_step"] == 4
        assert reader.get_metrics(0)[0][0]["epoch"] == 4


class TestMetrics:
    def test_of_an_epoch(self, writer: TrainingProgressBridge, reader: ProgressBridge) -> None:
        report_epoch(writer, 1)
        (metric,), cursor = reader.get_metrics(0)
        assert cursor == 1
        assert list(metric) == [*METRIC_COLUMNS, "timestamp"]
        assert metric["epoch"] == 1
        assert isinstance(metric["epoch"], int)
        assert (metric["train_loss"], metric["val_accuracy"], metric["duration"]) == (0.7, 0.6, 0.25)

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_without_a_finite_value_are_none(
        self, writer: TrainingProgressBridge, reader: ProgressBridge, value: float
    ) -> None:
        report_epoch(writer, 1, val_loss=value)
        assert reader.get_metrics(0)[0][0]["val_loss"] is None

    def test_are_appended_for_whole_epochs_alone(self, writer: TrainingProgressBridge, reader: ProgressBridge) -> None:
        writer.on_epoch(EpochMetrics(1, 100, 0.7, 0.5, 0.5, 0.6, 1e-3, 0.25, ended_at=0.0), progress_type="batch")
        assert reader.get_metrics(0) == ([], 0)
        assert reader.get_status()["current_step"] == 1

    @pytest.mark.parametrize("orderly", [True, False])
    def test_replayed_keep_the_instants_they_had(
        self, writer: TrainingProgressBridge, reader: ProgressBridge, orderly: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(protocol, "_STORES_KEEP_ORDER", orderly)
        for epoch in range(1, EPOCHS + 5):  # past the planned records too
            metrics = EpochMetrics(epoch, 100, 0.7, 0.5, 0.5, 0.6, 1e-3, 0.25, ended_at=1_700_000_000.25 + epoch)
            writer.on_epoch(metrics, replayed=True)
        report_epoch(writer, EPOCHS + 5)

        *earlier, last = reader.get_metrics(0)[0]

        assert [metric["epoch"] for metric in earlier] == list(range(1, EPOCHS + 5))
        assert (earlier[0]["timestamp"], earlier[-1]["train_loss"]) == ("2023-11-14T22:13:21.250Z", 0.7)
        assert last["timestamp"] > "2025"

    @pytest.mark.parametrize("cursor", [-1, 3, 10**12])
    def test_refuse_a_cursor_out_of_range(
        self, writer: TrainingProgressBridge, reader: ProgressBridge, cursor: int
    ) -> None:
        report_epoch(writer, 1)
        report_epoch(writer, 2)
        with pytest.raises(ValueError, match=rf"cursor must be within 0 and 2; it is {cursor}"):
            reader.get_metrics(cursor)

    def test_as_a_sequence(self, writer: TrainingProgressBridge, reader: ProgressBridge) -> None:
        history = reader._metrics_history
        assert len(history) == 0
        for epoch in range(1, 8):
            report_epoch(writer, epoch)
            assert len(history) == epoch
        assert [metric["epoch"] for metric in history[2:5]] == [3, 4, 5]
        assert [metric["epoch"] for metric in history[-2:]] == [6, 7]
        assert history[-1]["epoch"] == 7
        with pytest.raises(IndexError):
            history[7]

    @settings(max_examples=40, deadline=None)
    @given(appends=st.lists(st.integers(0, 40), min_size=1, max_size=12))
    def test_any_split_of_reads_gives_every_record_once_and_in_order(
        self, tmp_path_factory: pytest.TempPathFactory, appends: list[int]
    ) -> None:
        path = tmp_path_factory.mktemp("bridge") / "bridge"
        TrainingProgressBridge.create_for(path, EPOCHS)
        seen: list[int] = []
        epoch = cursor = 0
        with TrainingProgressBridge(path, writable=True) as writer, ProgressBridge(path) as reader:
            for number in appends:
                for _ in range(number):
                    epoch += 1
                    report_epoch(writer, epoch)
                metrics, cursor = reader.get_metrics(cursor)
                seen += [metric["epoch"] for metric in metrics]
        assert seen == list(range(1, sum(appends) + 1))
        assert cursor == len(seen)


class TestFile:
    def test_grows_past_its_plan_while_a_reader_is_attached(
        self, path: Path, writer: TrainingProgressBridge, reader: ProgressBridge
    ) -> None:
        planned = path.stat().st_size
        for epoch in range(1, 5001):
            report_epoch(writer, epoch)
        assert path.stat().st_size > planned
        metrics, cursor = reader.get_metrics(0)
        assert cursor == 5000
        assert [metric["epoch"] for metric in metrics] == list(range(1, 5001))
        assert reader.get_status()["current_step"] == 5000

    def test_that_cannot_grow_drops_metrics_and_goes_on(
        self, writer: TrainingProgressBridge, reader: ProgressBridge, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_room(*_: object) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "pwrite", no_room)
        for epoch in range(1, 101):
            report_epoch(writer, epoch)
        assert len(reader._metrics_history) == EPOCHS
        assert reader.get_status()["current_step"] == 100

    def test_has_the_blocks_of_its_plan(self, path: Path) -> None:
        status = path.stat()
        assert status.st_blocks * 512 >= status.st_size

    @pytest.mark.processes
    def test_survives_a_killed_writer_and_takes_the_next(self, path: Path, reader: ProgressBridge) -> None:
        program = (
            "import os, signal, sys; from pathlib import Path\n"
            "from ktrdr.jobs.training_bridge import TrainingProgressBridge\n"
            "from ktrdr.training.observer import EpochMetrics\n"
            "bridge = TrainingProgressBridge(Path(sys.argv[1]), writable=True)\n"
            "for epoch in (1, 2, 3):\n"
            "    bridge.on_epoch(EpochMetrics(epoch, 100 * epoch, 0.7, 0.5, 0.5, 0.6, 1e-3, 0.25, 0.0))\n"
            "bridge.on_batch(4, 1, 2, 350); os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        killed = subprocess.run([sys.executable, "-c", program, path], cwd=Path(__file__).parents[2], check=False)
        assert killed.returncode == -signal.SIGKILL
        assert reader.get_status()["items_processed"] == 350

        with TrainingProgressBridge(path, writable=True) as successor:
            report_epoch(successor, 4)
        assert [metric["epoch"] for metric in reader.get_metrics(0)[0]] == [1, 2, 3, 4]
        assert reader.get_status()["items_processed"] == 400

    def test_overwrites_what_a_dead_writer_had_not_committed(self, path: Path, reader: ProgressBridge) -> None:
        with TrainingProgressBridge(path, writable=True) as writer:
            report_epoch(writer, 1)
            report_epoch(writer, 2)
            offset = writer._record_offset(1)
        with path.open("r+b") as file:
            file.seek(offset + 8 * (len(METRIC_COLUMNS) + 1))
            file.write(bytes(8))
        assert [metric["epoch"] for metric in reader.get_metrics(0)[0]] == [1]
        with TrainingProgressBridge(path, writable=True) as successor:
            report_epoch(successor, 7)
        assert [metric["epoch"] for metric in reader.get_metrics(0)[0]] == [1, 7]

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(BridgeFileError, match="cannot be opened: No such file"):
            ProgressBridge(tmp_path / "bridge")

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "is empty"),
            (b"KTRDR", "is too short: 5 bytes"),
            (b"PAR1" + bytes(1000), "is not a bridge of this version"),
        ],
    )
    def test_foreign_or_short(self, tmp_path: Path, content: bytes, reason: str) -> None:
        (tmp_path / "bridge").write_bytes(content)
        with pytest.raises(BridgeFileError, match=reason):
            ProgressBridge(tmp_path / "bridge")

    @pytest.mark.parametrize("writable", [False, True])
    def test_cut_off_or_damaged(self, path: Path, writable: bool) -> None:
        whole = path.read_bytes()
        for damaged in (whole[:40], whole[:200], whole[:30] + b"?" + whole[31:]):
            path.write_bytes(damaged)
            with pytest.raises(BridgeFileError, match="is damaged"):
                ProgressBridge(path, writable=writable)

    def test_with_an_impossible_state_is_an_error_and_not_an_endless_loop(
        self, path: Path, reader: ProgressBridge
    ) -> None:
        with path.open("r+b") as file:
            file.seek(reader._slots[0])
            file.write(bytes(4 * 64))
        with pytest.raises(BridgeFileError, match="its state cannot be read"):
            reader.get_status()


class TestLayout:
    def test_of_another_kind_of_work(self, tmp_path: Path) -> None:
        layout = BridgeLayout(phases=("Loading {items} rows",), columns=("rows",))
        ProgressBridge.create(tmp_path / "bridge", layout)
        with (
            ProgressBridge(tmp_path / "bridge", writable=True) as writer,
            ProgressBridge(tmp_path / "bridge") as reader,
        ):
            assert reader.layout == layout
            writer._update_state(0, 0, 0, 0, 1234)
            writer._append_metric(7)
            status = reader.get_status()
            assert (status["message"], status["percentage"]) == ("Loading 1234 rows", 0.0)
            assert reader.get_metrics(0)[0][0]["rows"] == 7.0

    def test_keeps_the_states_apart(self, reader: ProgressBridge) -> None:
        assert all(offset % 64 == 0 for offset in reader._slots)
        assert all(after - before == 64 for before, after in pairwise(reader._slots))


class TestCompany:
    @pytest.mark.processes
    def test_importing_the_bridge_loads_the_standard_library_alone(self) -> None:
        program = (
            "import sys; before = set(sys.modules); import ktrdr.operations.bridge\n"
            "print(*{name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)"
        )
        root = Path(__file__).parents[2]
        loaded = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
        assert loaded.stdout.split() == ["ktrdr"]

    @pytest.mark.processes
    def test_the_training_bridge_loads_neither_torch_nor_fastapi(self) -> None:
        program = (
            "import sys; import ktrdr.jobs.training_bridge\n"
            "print(*{'torch', 'fastapi', 'starlette', 'pydantic', 'numpy', 'polars'} & sys.modules.keys())"
        )
        root = Path(__file__).parents[2]
        loaded = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
        assert loaded.stdout.split() == []

    def test_the_training_bridge_is_synchronous_and_pushes_nothing(self) -> None:
        source = Path(progress_bridge.__file__).read_text()
        assert not any(isinstance(node, ast.AsyncFunctionDef | ast.Await) for node in ast.walk(ast.parse(source)))
        assert "metrics_callback" not in source
        assert "create_task" not in source

    def test_the_training_bridge_is_an_observer(self, writer: TrainingProgressBridge) -> None:
        observer: TrainingObserver = writer
        observer.on_phase(Phase.TRAINING)
