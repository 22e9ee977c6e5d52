"""`ktrdr models pack`, `unpack` and `verify`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ktrdr import bundles
from ktrdr.cli import main
from ktrdr.payloads.bundles import Manifest
from tests.cli.conftest import FakeServer, problem

ID = "op_training_20230630_k3x9ab"


def made() -> bytes:
    contents: dict[str, bundles.Content] = {f"models/{ID}/model.json": b"{}", f"records/{ID}.json": b"{}"}
    files = tuple(bundles.describe(path, content) for path, content in contents.items())
    return b"".join(bundles.write(Manifest(ktrdr="0.1.0", operation_id=ID, files=files), contents))


def test_a_model_is_packed_to_a_file_that_is_whole(
    server: FakeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.on("GET", f"/models/{ID}/bundle", (200, made()))

    assert main(["models", "pack", ID]) == 0

    path = tmp_path / f"{ID}.ktrdr.tar"
    assert path.read_bytes() == made()
    assert capsys.readouterr().err == f"Packed {path.name} (4.1 kB)\n"
    assert main(["models", "pack", ID]) == 2
    assert f"{path.name} is there already" in capsys.readouterr().err
    assert main(["models", "pack", ID, "--to", "other.tar"]) == 0
    assert sorted(each.name for each in tmp_path.iterdir()) == [path.name, "other.tar"]


def test_what_arrives_damaged_is_not_kept(
    server: FakeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.on("GET", f"/models/{ID}/bundle", (200, made()[:-600]))

    assert main(["models", "pack", ID]) == 1

    assert "the bundle did not arrive whole" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_cannot_be_packed_leaves_no_file(
    server: FakeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.on("GET", f"/models/{ID}/bundle", problem(409, "conflict", "it is RUNNING", "wait"))

    assert main(["models", "pack", ID]) == 2

    assert capsys.readouterr().err == "error: it is RUNNING\nhint: wait\n"
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_sent_to_be_unpacked(server: FakeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unpacked = {"operation_id": ID, "operation_ids": [ID], "files": 2, "size_bytes": 4}
    server.on("POST", "/models/bundles", (201, unpacked))
    (tmp_path / "model.tar").write_bytes(made())

    assert main(["models", "unpack", "model.tar"]) == 0
    assert f"Unpacked {ID}: 2 files, 4 B." in capsys.readouterr().err
    assert main(["models", "unpack", "model.tar", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == unpacked
    assert main(["models", "unpack", "gone.tar"]) == 2
    assert "there is no file gone.tar" in capsys.readouterr().err


def test_a_packed_file_is_verified_without_a_server(
    server: FakeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytearray(made())
    (tmp_path / "good.tar").write_bytes(content)
    content[content.index(b"{}", content.index(b"model.json\0"))] = 0
    (tmp_path / "bad.tar").write_bytes(content)
    (tmp_path / "text.tar").write_text("no archive")

    assert main(["models", "verify", "good.tar"]) == 0
    assert capsys.readouterr().out == "good.tar: 2 files, all as written\n"
    assert main(["models", "verify", "bad.tar"]) == 1
    assert capsys.readouterr().out == f"models/{ID}/model.json has another checksum\n"
    assert main(["models", "verify", "text.tar"]) == 2
    assert main(["models", "verify", "gone.tar"]) == 2
    assert server.asked == []


def test_a_model_in_the_home_is_verified_by_its_server(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    whole = {"subject": ID, "files": 9, "differences": [], "without_checksums": []}
    changed = whole | {
        "differences": [f"{ID}/metrics.png is gone"],
        "without_checksums": ["op_training_20230630_aaaaaa"],
    }
    server.on("GET", f"/models/{ID}/verification", whole, changed)

    assert main(["models", "verify", ID]) == 0
    assert capsys.readouterr().out == f"{ID}: 9 files, all as written\n"
    assert main(["models", "verify", ID]) == 1
    shown = capsys.readouterr()
    assert shown.out == f"{ID}/metrics.png is gone\n"
    assert "no checksums were recorded for op_training_20230630_aaaaaa" in shown.err
