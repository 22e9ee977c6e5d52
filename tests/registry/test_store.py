from __future__ import annotations

from pathlib import Path

import pytest

from ktrdr.errors import StorageError
from ktrdr.registry.store import SqlOperationStore
from tests.contracts.test_operation_stores import operation

pytestmark = pytest.mark.anyio


async def test_operations_survive_the_process(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'registry.sqlite'}"
    first = SqlOperationStore(url)
    await first.open()
    await first.add(operation())
    await first.close()

    second = SqlOperationStore(url)
    await second.open()

    assert await second.get("op_a") == operation()
    await second.close()


@pytest.mark.parametrize(
    "content",
    [b"this is no database, only some text that is long enough to be taken for one" * 20, None],
    ids=["foreign file", "folder is a file"],
)
async def test_an_unusable_file_is_a_storage_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "registry.sqlite"
    if content is None:
        tmp_path.joinpath("file").write_text("")
        path = tmp_path / "file" / "registry.sqlite"
    else:
        path.write_bytes(content)
    store = SqlOperationStore(f"sqlite+aiosqlite:///{path}")

    with pytest.raises(StorageError, match="registry cannot be used"):
        await store.open()

    await store.close()


@pytest.mark.parametrize("url", ["nonsense", "oracle+nothing://x", "sqlite:///x", "postgresql+nothing://x"])
def test_an_unusable_url_is_a_storage_error(url: str) -> None:
    with pytest.raises(StorageError, match="KTRDR_DATABASE_URL"):
        SqlOperationStore(url)
