from __future__ import annotations

import io
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from ktrdr.api.schemas.operations import Operation
from ktrdr.cli import watch
from ktrdr.cli.client import Client
from ktrdr.cli.watch import LiveView, Snapshot, snapshots
from ktrdr.errors import ServerUnreachable
from tests.cli.conftest import TRAINING, FakeServer, operation, serving
from tests.cli.conftest import epochs as page

if TYPE_CHECKING:
    from tests.cli.conftest import Run

PATH = f"/operations/{TRAINING}"


def snapshot(status: str, epochs: int, **changes: object) -> Snapshot:
    return Snapshot(Operation.model_validate(operation(status, epochs, **changes)), page(1, epochs)["metrics"])


@contextmanager
def client_of(server: FakeServer) -> Iterator[Client]:
    with closing(Client(server.url)) as client:
        yield client


def test_metrics_are_read_by_cursor_and_never_twice(server: FakeServer) -> None:
    server.on("GET", PATH, operation("RUNNING", 1), operation("RUNNING", 1), operation("COMPLETED", 4))
    server.on("GET", f"{PATH}/metrics", page(1, 2), page(3, 4))

    with client_of(server) as client:
        *_, last = snapshots(client, TRAINING)

    assert [row["epoch"] for row in last.metrics] == [1, 2, 3, 4]
    assert [asked.query["cursor"] for asked in server.asked if asked.path.endswith("metrics")] == ["0", "2"]
    assert last.best == last.metrics[1]


def test_a_server_that_comes_back_is_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "FASTEST_S", 0.02)
    fake = FakeServer()
    fake.on("GET", PATH, operation("RUNNING", 1))
    fake.on("GET", f"{PATH}/metrics", page(1, 1))
    with serving(fake):
        client = Client(fake.url)
        seen = snapshots(client, TRAINING, patience_s=10)
        assert next(seen).lost_s == 0
    assert next(seen).lost_s > 0
    fake.on("GET", PATH, operation("COMPLETED", 4))
    fake.on("GET", f"{PATH}/metrics", page(2, 4))

    with serving(fake, port=int(fake.url.rpartition(":")[2])):
        *_, last = seen

    client.close()
    assert (last.operation.status, last.lost_s, len(last.metrics)) == ("COMPLETED", 0, 4)


def test_a_server_that_stays_away_is_given_up_with_the_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "FASTEST_S", 0.02)
    fake = FakeServer()
    fake.on("GET", PATH, operation("RUNNING", 1))
    fake.on("GET", f"{PATH}/metrics", page(1, 1))
    with serving(fake):
        client = Client(fake.url)
        seen = snapshots(client, TRAINING, patience_s=0.1)
        next(seen)

    with pytest.raises(ServerUnreachable, match="may still be running") as raised:
        list(seen)

    client.close()
    assert raised.value.hint.endswith(f"ktrdr operations watch {TRAINING}")


def test_progress_never_lags_behind_the_epochs_that_are_there() -> None:
    lagging = snapshot("RUNNING", 3, progress={**operation("RUNNING", 1)["progress"]})

    assert lagging.percentage == 75
    assert lagging.left_s == pytest.approx(0.5)
    assert snapshot("COMPLETED", 4).left_s is None


def test_the_live_view_shows_what_matters_within_80_columns() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None, record=True)
    view = LiveView(console)
    view.show(snapshot("RUNNING", 2))

    console.print(view._render())

    lines = console.export_text().splitlines()
    for word in ("Epoch 3/4", "50 %", "left"):
        assert word in lines[0]
    below = " ".join(lines[1:])
    for word in ("loss 0.6800 train 0.6900 val", "accuracy", "0.550 val", "best epoch 2"):
        assert word in below
    assert max(map(len, lines)) <= 80


def test_the_live_view_of_folds_shows_the_one_that_runs_and_the_time_left() -> None:
    fold = {"number": 2, "operation_id": "op_fold", "percentage": 43.5, "message": "Epoch 13/30"}
    progress = {"percentage": 50.0, "message": "1 of 3 folds trained", "current_step": 1, "items_processed": 1}
    running = operation("RUNNING", progress=progress | {"running_parts": [fold]}, metadata={"folds": 3})
    view = LiveView(console := Console(file=io.StringIO(), width=80, color_system=None, record=True))
    view.show(Snapshot(Operation.model_validate(running), [{"fold": 1, "val_loss": 0.69}]))

    console.print(view._render())

    first, *below = console.export_text().splitlines()
    assert first.startswith("1 of 3 folds trained")
    # It was started one second before it was last updated, and half of it is done.
    assert first.rstrip().endswith(", 1.0 s left")
    assert [line.rstrip() for line in below] == ["fold 2  43 %  Epoch 13/30"]


@pytest.mark.processes
@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is sent as a POSIX signal")
def test_ctrl_c_detaches_and_says_how_to_come_back(server: FakeServer, tmp_path: Path) -> None:
    server.on("GET", PATH, operation("RUNNING", 1))
    server.on("GET", f"{PATH}/metrics", page(1, 0))
    command = [sys.executable, "-m", "ktrdr.cli", "operations", "watch", TRAINING]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        deadline = time.monotonic() + 20
        while len(server.asked) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)

    assert (process.returncode, out) == (130, "")
    assert err.endswith(f"Come back with:\n  ktrdr operations watch {TRAINING}\n")
    assert "Traceback" not in err
    assert server.paths("POST") == []


def test_an_unknown_operation_is_not_waited_for(server: FakeServer, ktrdr: Run) -> None:
    assert ktrdr("operations", "watch", TRAINING).code == 2
