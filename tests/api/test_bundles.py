"""Trained models from one home to another, in one file."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ktrdr.doctor.examination import examine
from ktrdr.home import Home
from ktrdr.payloads.bundles import VERSION
from tests import sample_results
from tests.api.live import API, START, STRATEGY, Live, live, with_a_year

pytestmark = pytest.mark.slow

FOLDS = START | {"strategy": STRATEGY + "validation: {type: walk_forward, folds: 2}\n"}
RESULTS = json.loads(sample_results.training().model_dump_json())
Change = Callable[[dict[str, bytes], dict[str, Any]], None]


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with with_a_year(tmp_path_factory.mktemp("origin")) as server:
        server.training = server.complete("/training/start", START)
        yield server


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with with_a_year(tmp_path_factory.mktemp("target")) as server:
        yield server


@pytest.fixture(scope="module")
def bundle(origin: Live) -> bytes:
    return packed(origin, origin.training)


def packed(server: Live, operation_id: str) -> bytes:
    answer = server.get(f"/models/{operation_id}/bundle")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == f'attachment; filename="{operation_id}.ktrdr.tar"'
    return answer.content


def unpack(server: Live, content: bytes) -> httpx.Response:
    return server.post("/models/bundles", content=content)


def members(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {each.name: _bytes_of(archive, each) for each in archive}


def _bytes_of(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None
    return file.read()


def tar(files: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    """An archive as other programs write it; `kind` is that of the last member."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            header.type = kind if name == list(files)[-1] else tarfile.REGTYPE
            header.linkname = "/etc/passwd" if header.type == tarfile.SYMTYPE else ""
            archive.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def remade(content: bytes, change: Change) -> bytes:
    """The bundle with changed files, under a manifest whose checksums are right again."""
    files = members(content)
    manifest = json.loads(files.pop("manifest.json"))
    change(files, manifest)
    manifest["files"] = [
        {"path": name, "size_bytes": len(each), "sha256": hashlib.sha256(each).hexdigest()}
        for name, each in files.items()
    ]
    return tar({"manifest.json": json.dumps(manifest).encode(), **files})


def tree(home: Path) -> dict[str, bytes]:
    """Every file of a home that a model could leave behind."""
    paths = (path for name in ("models", "operations", "scratch") for path in (home / name).rglob("*"))
    return {str(path.relative_to(home)): path.read_bytes() for path in paths if path.is_file()}


def results(server: Live, operation_id: str) -> dict[str, Any]:
    content = server.get(f"/operations/{operation_id}/results").text
    found: dict[str, Any] = json.loads(content.replace(str(server.home), "HOME"))
    return found


def test_an_unpacked_model_is_used_as_where_it_was_trained(origin: Live, target: Live, bundle: bytes) -> None:
    operation_id = origin.training

    answer = unpack(target, bundle)

    assert answer.status_code == 201, answer.text
    assert answer.json()["operation_ids"] == [operation_id]
    assert results(target, operation_id) == results(origin, operation_id)
    for path in ("", "/metrics", "/strategy"):
        assert (
            target.get(f"/operations/{operation_id}{path}").content
            == origin.get(f"/operations/{operation_id}{path}").content
        )
    looks = target.get(f"/ledger/{operation_id}").json()
    assert looks == origin.get(f"/ledger/{operation_id}").json()
    assert [look["operation_id"] for look in looks["entries"]] == [operation_id]
    assert target.get(f"/models/{operation_id}").json()["bars_changed"] is False
    predictions = [
        results(server, server.complete(f"/models/{operation_id}/predictions", {"symbol": "AAPL", "timeframe": "1d"}))
        for server in (origin, target)
    ]
    assert predictions[0]["predictions"] == predictions[1]["predictions"]
    again = target.complete(f"/models/{operation_id}/reproduce", {})
    assert results(target, again)["reproduction"]["identical"] is True
    compared = target.get("/models/compare", id=[operation_id, again]).json()
    assert compared["rows"]["samples"] > 0
    assert not examine(Home(target.home)).faults
    assert packed(target, operation_id) == bundle


def test_the_same_model_gives_the_same_bytes_in_a_plain_archive(origin: Live, bundle: bytes) -> None:
    assert packed(origin, origin.training) == bundle
    files = members(bundle)
    manifest = json.loads(files["manifest.json"])
    assert list(files) == ["manifest.json", *(file["path"] for file in manifest["files"])]
    for file in manifest["files"]:
        assert hashlib.sha256(files[file["path"]]).hexdigest() == file["sha256"]
    names = {name.rpartition("/")[2] for name in files}
    assert {"model.safetensors", "model.json", "metrics.parquet", "predictions.parquet", "metrics.png"} <= names
    assert {"strategy.yaml", "summary.txt", f"{origin.training}.json", "SHA256SUMS"} <= names


def test_a_training_in_folds_brings_its_folds(origin: Live, target: Live) -> None:
    whole = origin.complete("/training/start", FOLDS)
    folds = [fold["operation_id"] for fold in results(origin, whole)["folds"]]

    answer = unpack(target, remade(packed(origin, whole), _of_format_1))

    assert answer.status_code == 201, answer.text
    assert answer.json()["operation_ids"] == sorted([whole, *folds])
    assert results(target, whole) == results(origin, whole)
    listed = target.get("/operations", parent=whole).json()["operations"]
    assert {each["operation_id"] for each in listed} == set(folds)
    assert target.get(f"/models/{whole}/verification").json()["differences"] == []
    assert unpack(target, packed(origin, folds[0])).json()["code"] == "conflict"


def test_a_cancelled_training_goes_on_elsewhere(origin: Live, target: Live) -> None:
    long = START | {"strategy": STRATEGY.replace("epochs: 2", "epochs: 100000")}
    operation_id: str = origin.post("/training/start", long).json()["operation_id"]
    assert origin.get(f"/models/{operation_id}/bundle").json()["code"] == "conflict"
    reported = _cancelled(origin, operation_id, after=1)

    assert unpack(target, packed(origin, operation_id)).status_code == 201

    assert target.get(f"/operations/{operation_id}").json()["status"] == "CANCELLED"
    assert target.get(f"/operations/{operation_id}/metrics").json()["metrics"] == reported
    resumed: str = target.post(f"/operations/{operation_id}/resume").json()["operation_id"]
    again = _cancelled(target, resumed, after=len(reported) + 1)
    assert [metric["val_loss"] for metric in again[: len(reported)]] == [metric["val_loss"] for metric in reported]


def _cancelled(server: Live, operation_id: str, *, after: int) -> list[dict[str, Any]]:
    """Cancel a training after so many epochs; its metrics."""

    def metrics() -> list[dict[str, Any]]:
        server.get(f"/operations/{operation_id}", wait=0.05, force_refresh=True)
        found: list[dict[str, Any]] = server.get(f"/operations/{operation_id}/metrics").json()["metrics"]
        return found

    while len(metrics()) < after:
        assert not server.get(f"/operations/{operation_id}").json()["completed_at"]
    server.post(f"/operations/{operation_id}/cancel")
    server.end_of(operation_id)
    return metrics()


def test_what_is_here_already_is_left_alone(origin: Live, bundle: bytes) -> None:
    before = tree(origin.home)

    answer = unpack(origin, bundle)

    assert answer.status_code == 409
    assert answer.json()["detail"] == f"operation {origin.training} is here already; nothing was unpacked"
    assert tree(origin.home) == before


def _without_record(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
    del files[f"records/{manifest['operation_id']}.json"]


def _without_weights(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
    del files[f"models/{manifest['operation_id']}/model.safetensors"]


def _of_format_1(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
    """Without looks."""
    manifest["version"] = 1
    for name in [name for name in files if name.startswith("looks/")]:
        del files[name]


def _newer(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["version"] = VERSION + 1


def _record(**changes: Any) -> Change:
    def change(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        name = f"records/{manifest['operation_id']}.json"
        files[name] = json.dumps(json.loads(files[name]) | changes).encode()

    return change


def _looks(change: Callable[[dict[str, Any]], object]) -> Change:
    """With another record of the training's look."""

    def apply(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        name = f"looks/{manifest['operation_id']}.json"
        document = json.loads(files[name])
        change(document["looks"][0])
        files[name] = json.dumps(document).encode()

    return apply


def _job(**changes: Any) -> Change:
    def change(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        record = json.loads(files[f"records/{manifest['operation_id']}.json"])
        _record(payload=record["payload"] | changes)(files, manifest)

    return change


def _checksums(name: str) -> Change:
    def change(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        files[f"models/{manifest['operation_id']}/SHA256SUMS"] = f"{'0' * 64}  {name}\n".encode()

    return change


def _added(path: str) -> Change:
    return lambda files, manifest: files.update({path: b"x"})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_newer, f"made by a newer ktrdr (format {VERSION + 1}; this one reads {VERSION})"),
        (_without_record, "it lacks records/op_training"),
        (_without_weights, "model.safetensors is gone"),
        (_record(status="RUNNING"), "status: Input should be 'COMPLETED'"),
        (_record(payload={"version": 99}), "the job was written by a newer ktrdr"),
        (_record(payload={"version": 1, "kind": "data_load"}), "the job cannot be read"),
        (_record(results={"version": 99}), "the results were written by a newer ktrdr"),
        (_record(metadata={}), "its metadata lacks 'strategy'"),
        (_record(operation_id="op_training_20200101_aaaaaa"), "it is of op_training_20200101_aaaaaa"),
        (_record(results=RESULTS | {"artifacts": {"x": "/etc/passwd"}}), "it names a file '/etc/passwd'"),
        (_record(results=RESULTS | {"artifacts": {"x": "../../../etc/passwd"}}), "it names a file"),
        (_record(results=RESULTS | {"model_path": "/a/models/../registry.sqlite"}), "it names a file"),
        (_job(resume_from="../../elsewhere"), "it names an operation '../../elsewhere'"),
        (_job(reproduces="/"), "it names an operation '/'"),
        (_job(symbols=["../AAPL"]), "../AAPL"),
        (_job(timeframes=["../1d"]), "../1d"),
        (_record(parent_id="op/../../x"), "it names an operation"),
        (_record(metadata={"strategy": "x", "symbols": 5, "timeframes": ["1d"], "model_type": "mlp"}), "symbols: "),
        (_record(progress={}), "progress.percentage: Field required"),
        (_record(metrics=[{"epoch": [1]}]), "metrics.0.epoch"),
        (
            _looks(lambda record: record["look"].update(operation_id="op_training_20200101_aaaaaa")),
            "of another training",
        ),
        (_looks(lambda record: record["look"].update(look_id="x")), "looks.0.look.look_id: String should match"),
        (_looks(lambda record: record.update(tracks=[])), "is not whole"),
        (_looks(lambda record: record["tracks"][0].update(closes="AAAA")), "is damaged: buffer size must be"),
        (_looks(lambda record: record["tracks"][0].update(instants="A" * 64)), "its instants do not rise"),
        (_looks(lambda record: record["series"].update(content="AAAA")), "is damaged: buffer size must be"),
        (_looks(lambda record: record["series"].update(header="{}")), "is damaged: 'gains'"),
        (_checksums("../../registry.sqlite"), "is no file of the folder"),
        (_added("../../evil"), "path: String should match"),
        (_added("/etc/evil"), "path: String should match"),
        (_added("registry.sqlite"), "path: String should match"),
        (_added("models/op_training_20200101_aaaaaa/../../x"), "path: String should match"),
        (_added("operations/op_training_20200101_aaaaaa/bridge"), "path: String should match"),
        (_added("models/op_training_20200101_aaaaaa/model.json"), "lacks records/op_training_20200101_aaaaaa.json"),
    ],
)
def test_a_bundle_that_lies_is_refused_and_leaves_nothing(
    target: Live, bundle: bytes, change: Change, reason: str
) -> None:
    _refuses(target, remade(bundle, change), reason)


def _refuses(server: Live, content: bytes, reason: str) -> None:
    before, count, looks = tree(server.home), server.count(), server.get("/ledger").json()

    answer = unpack(server, content)

    assert answer.status_code == 422
    assert reason in answer.json()["detail"]
    assert answer.json()["hint"]
    assert (tree(server.home), server.count(), server.get("/ledger").json()) == (before, count, looks)


def _flipped(content: bytes) -> bytes:
    """With another last byte of the weights."""
    weights = next(each for name, each in members(content).items() if name.endswith(".safetensors"))
    end = content.index(weights) + len(weights) - 1
    return content[:end] + bytes([content[end] ^ 1]) + content[end + 1 :]


def _linked(content: bytes) -> bytes:
    return tar(members(content), kind=tarfile.SYMTYPE)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: b"", "it ends early"),
        (lambda content: b"PK\x03\x04" + bytes(2000), "no tar archive"),
        (lambda content: content[:-1], "it ends early"),
        (lambda content: content[: len(content) // 2], "it ends early"),
        (lambda content: content + b"x", "holds more than its manifest names"),
        (lambda content: content[:-1024] + content[:-1024], "holds more than its manifest names"),
        (_flipped, "model.safetensors has another checksum"),
        (_linked, "something other than a file"),
        (lambda content: tar(dict(reversed(members(content).items()))), "it does not begin with manifest.json"),
        (lambda content: tar({"manifest.json": b"[" * 100_000}), "its manifest is damaged"),
        (lambda content: tar({"manifest.json": b"{}"}), "its manifest is damaged"),
        (lambda content: tar({"manifest.json": bytes(9 * 1024**2)}), "it does not begin with manifest.json"),
    ],
)
def test_a_damaged_bundle_is_refused_and_leaves_nothing(
    target: Live, bundle: bytes, damage: Callable[[bytes], bytes], reason: str
) -> None:
    _refuses(target, damage(bundle), reason)


def test_a_repeated_name_is_refused(target: Live, bundle: bytes) -> None:
    files = members(bundle)
    manifest = json.loads(files["manifest.json"])
    manifest["files"].append(manifest["files"][0])

    _refuses(target, tar(files | {"manifest.json": json.dumps(manifest).encode()}), "it names a file twice")


def test_a_kill_between_files_and_record_is_made_good_by_unpacking_again(
    origin: Live, bundle: bytes, tmp_path: Path
) -> None:
    with live(tmp_path) as server:
        for name, content in members(bundle).items():
            if name.startswith(("models/", "operations/")):
                path = tmp_path / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        stranger = tmp_path / "models" / origin.training / "notes.txt"
        stranger.write_text("mine")

        refused = unpack(server, bundle)

        assert refused.status_code == 409
        assert "is there already, with other files" in refused.json()["detail"]
        assert stranger.read_text() == "mine"
        stranger.unlink()
        assert unpack(server, bundle).status_code == 201
        assert server.get(f"/models/{origin.training}").status_code == 200


def test_a_changed_file_is_named_and_is_not_packed(origin: Live) -> None:
    path = f"/models/{origin.training}/verification"
    assert origin.get(path).json() | {"files": 0} == {
        "subject": origin.training,
        "files": 0,
        "differences": [],
        "without_checksums": [],
    }
    plot = origin.home / "models" / origin.training / "metrics.png"
    content = plot.read_bytes()
    plot.write_bytes(content[:-1] + b"x")

    try:
        assert origin.get(path).json()["differences"] == [f"{origin.training}/metrics.png has another checksum"]
        refused = origin.get(f"/models/{origin.training}/bundle")
        assert refused.status_code == 409
        assert "metrics.png has another checksum" in refused.json()["detail"]
        plot.unlink()
        assert origin.get(path).json()["differences"] == [f"{origin.training}/metrics.png is gone"]
    finally:
        plot.write_bytes(content)


@pytest.mark.parametrize("what", ["bundle", "verification"])
def test_only_trainings_can_be_packed(origin: Live, what: str) -> None:
    for operation_id in (origin.load, "op_training_20200101_aaaaaa"):
        answer = origin.http.get(f"{API}/models/{operation_id}/{what}")
        assert answer.status_code == 404
        assert answer.json()["hint"]
