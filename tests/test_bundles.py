from __future__ import annotations

from pathlib import Path

import pytest

from ktrdr import bundles
from ktrdr.payloads.bundles import Manifest

ID = "op_training_20230630_abc123"
BLOCK = 512


@pytest.mark.parametrize(("blocks", "is_sound"), [(1, False), (2, True), (21, True), (22, False)])
def test_an_archive_ends_with_as_many_zeros_as_other_programs_write(
    tmp_path: Path, blocks: int, is_sound: bool
) -> None:
    contents: dict[str, bundles.Content] = {f"records/{ID}.json": b"{}"}
    described = tuple(bundles.describe(path, content) for path, content in contents.items())
    archive = b"".join(bundles.write(Manifest(ktrdr="0", operation_id=ID, files=described), contents))
    path = tmp_path / "model.ktrdr.tar"
    path.write_bytes(archive[: -2 * BLOCK] + bytes(blocks * BLOCK))

    assert (bundles.verify(path).differences == []) is is_sound
