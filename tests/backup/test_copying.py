"""A home is copied while a server works on it, and another server finds the truth in the copy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from ktrdr import files
from ktrdr.backup import copying
from ktrdr.backup.copying import CHECKSUMS, BackupReport, back_up
from ktrdr.doctor.examination import examine
from ktrdr.errors import InputError, StorageError
from ktrdr.home import Home
from ktrdr.registry.backup import copy_registry
from tests.api.live import START, STRATEGY, Live, live, with_a_year

LONG = START | {"strategy": STRATEGY.replace("epochs: 2", "epochs: 100000")}


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with with_a_year(tmp_path_factory.mktemp("origin")) as server:
        server.training = server.complete("/training/start", START)
        yield server


def copy_of(server: Live, target: Path) -> BackupReport:
    return back_up(Home(server.home), target, registry_elsewhere=False)


@contextmanager
def running(server: Live) -> Iterator[str]:
    """The id of a training that has finished an epoch, and runs until the end of the block."""
    operation_id: str = server.post("/training/start", LONG).json()["operation_id"]
    try:
        while not server.get(f"/operations/{operation_id}/metrics").json()["metrics"]:
            server.get(f"/operations/{operation_id}", wait=0.05, force_refresh=True)
        yield operation_id
    finally:
        server.post(f"/operations/{operation_id}/cancel")
        server.end_of(operation_id)


def after_the_registry(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do something between the copy of the registry and that of the folders."""

    def copy_and_act(source: Path, target: Path) -> None:
        copy_registry(source, target)
        act()

    monkeypatch.setattr("ktrdr.backup.copying.copy_registry", copy_and_act)


@pytest.mark.slow
def test_a_backup_in_mid_training_is_a_home_that_says_the_truth(origin: Live, tmp_path: Path) -> None:
    target = tmp_path / "backup"

    with running(origin) as operation_id:
        report = copy_of(origin, target)

    assert report.unfinished == (operation_id,)
    assert report.operations == origin.count()
    with live(target) as server:
        ended = server.end_of(operation_id)
        assert (ended["status"], ended["error"]["code"]) == ("FAILED", "worker_died")
        metrics = server.get(f"/operations/{operation_id}/metrics").json()["metrics"]
        assert [metric["epoch"] for metric in metrics] == list(range(1, len(metrics) + 1))
        assert metrics == origin.get(f"/operations/{operation_id}/metrics", limit=len(metrics)).json()["metrics"]
        assert server.get(f"/operations/{origin.training}").json()["status"] == "COMPLETED"
        assert server.get(f"/models/{origin.training}/verification").json()["differences"] == []
        looks = server.get(f"/ledger/{operation_id}").json()["entries"]
        assert [look["operation_id"] for look in looks] == [origin.training, operation_id]
        prediction = {"symbol": "AAPL", "timeframe": "1d"}
        server.complete(f"/models/{origin.training}/predictions", prediction)
        resumed = server.post(f"/operations/{operation_id}/resume")
        assert resumed.status_code == 202
        server.post(f"/operations/{resumed.json()['operation_id']}/cancel")
        server.end_of(resumed.json()["operation_id"])
    assert not examine(Home(target)).faults


def test_checksums_cover_every_file(origin: Live, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    (origin.home / "cache" / "datasets" / "key").mkdir(parents=True)

    report = copy_of(origin, target)

    assert not (target / "cache").exists()
    listed = dict(line.split("  ")[::-1] for line in (target / CHECKSUMS).read_text().splitlines())
    present = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()} - {CHECKSUMS}
    assert set(listed) == present
    assert len(listed) == report.files
    for name, checksum in listed.items():
        assert hashlib.sha256((target / name).read_bytes()).hexdigest() == checksum
    assert [path.name for path in tmp_path.iterdir()] == ["backup"]


@pytest.mark.slow
def test_what_ends_after_the_registry_was_copied_has_ended_in_the_backup(
    origin: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(origin) as blocker:
        waiting: str = origin.post("/training/start", START).json()["operation_id"]

        def let_it_end() -> None:
            origin.post(f"/operations/{blocker}/cancel")
            assert origin.end_of(waiting)["status"] == "COMPLETED"

        after_the_registry(monkeypatch, let_it_end)
        report = copy_of(origin, tmp_path / "backup")

    assert set(report.unfinished) == {blocker, waiting}
    with live(tmp_path / "backup") as server:
        assert server.end_of(waiting)["status"] == "COMPLETED"
        assert server.end_of(blocker)["status"] == "CANCELLED"
        assert len(server.get(f"/operations/{waiting}/metrics").json()["metrics"]) == 2
    assert not examine(Home(tmp_path / "backup")).faults


def test_with_the_registry_elsewhere_everything_else_is_copied(origin: Live, tmp_path: Path) -> None:
    target = Home(tmp_path / "backup")

    report = back_up(Home(origin.home), target.root, registry_elsewhere=True)

    assert not target.registry.exists()
    assert report.unfinished == ()
    assert report.operations == len(list(Home(origin.home).operations.iterdir()))
    assert (target.root / "bars" / "AAPL" / "1d.parquet").exists()


def test_a_wrong_place_is_refused_before_anything_is_written(origin: Live, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "loop").symlink_to(origin.home, target_is_directory=True)
    places = {
        tmp_path / "there": "is there already",
        tmp_path / "no" / "backup": "there is no folder",
        origin.home / "backup": "lies within the home",
        tmp_path / "loop" / "backup": "lies within the home",
    }

    for place, reason in places.items():
        with pytest.raises(InputError, match=reason):
            copy_of(origin, place)
    with pytest.raises(InputError, match="there is no folder"):
        back_up(Home(tmp_path / "gone"), tmp_path / "backup", registry_elsewhere=False)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["loop", "there"]


def test_a_disk_that_is_too_small_is_refused(origin: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1024))

    with pytest.raises(InputError, match=r"the backup needs .* and 1\.0 kB are free"):
        copy_of(origin, tmp_path / "backup")

    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fails_leaves_nothing(origin: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(copying, "move_folder", fail)

    with pytest.raises(StorageError, match="No space left"):
        copy_of(origin, tmp_path / "backup")

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_written_as_read_is_found(
    origin: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def corrupt(self: copying._Copy) -> None:
        path = next(tmp_path.rglob("model.json"))
        path.write_bytes(path.read_bytes()[:-1] + b" ")
        check(self)

    check = copying._Copy._check
    monkeypatch.setattr(copying._Copy, "_check", corrupt)

    with pytest.raises(StorageError, match=r"model\.json was not written as it was read"):
        copy_of(origin, tmp_path / "backup")

    assert list(tmp_path.iterdir()) == []
    assert files.drafts_within(origin.home) == []


def test_what_is_pruned_after_the_registry_was_copied_is_not_in_the_backup(
    origin: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pruned = origin.training

    def prune() -> None:
        answer = origin.post("/operations/prune", {"older_than_days": 0})
        assert pruned in {each["operation_id"] for each in answer.json()["operations"]}

    after_the_registry(monkeypatch, prune)
    copy_of(origin, tmp_path / "backup")

    home = Home(tmp_path / "backup")
    assert not list(home.root.rglob(pruned))
    assert not examine(home).faults
    assert not [finding for finding in examine(home).findings if pruned in finding.what]
