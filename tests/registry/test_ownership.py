"""One registry serves one home, and one server at a time."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ktrdr.errors import RegistryInUse, StorageError
from ktrdr.home import Home
from ktrdr.registry.ownership import read_id
from ktrdr.registry.store import SqlOperationStore, sqlite_url
from tests.contracts.test_operation_stores import operation
from tests.postgres import Cluster

pytestmark = pytest.mark.anyio


async def opened(url: object, home: Home) -> SqlOperationStore:
    """As a server opens it."""
    home.root.mkdir(parents=True, exist_ok=True)
    store = SqlOperationStore(str(url) if isinstance(url, str) else sqlite_url(Path(str(url))))
    await store.open(home)
    return store


async def serve_once(url: object, home: Home) -> None:
    await (await opened(url, home)).close()


@pytest.fixture
def homes(tmp_path: Path) -> tuple[Home, Home]:
    return Home(tmp_path / "one"), Home(tmp_path / "two")


async def test_the_first_home_gets_an_id_that_stays(homes: tuple[Home, Home]) -> None:
    home, _ = homes
    await serve_once(home.registry, home)
    first = read_id(home)
    await serve_once(home.registry, home)

    assert first is not None
    assert read_id(home) == first


async def test_a_second_home_on_one_registry_is_refused_in_words(homes: tuple[Home, Home], tmp_path: Path) -> None:
    first, second = homes
    await serve_once(tmp_path / "shared.sqlite", first)

    with pytest.raises(RegistryInUse, match=rf"serves another home, {first.root} \(id \w+\)") as refused:
        await serve_once(tmp_path / "shared.sqlite", second)

    assert "KTRDR_DATABASE_URL" in refused.value.hint
    await serve_once(tmp_path / "shared.sqlite", first)


async def test_the_hint_lets_a_home_be_served_that_lost_its_id(homes: tuple[Home, Home], tmp_path: Path) -> None:
    home, _ = homes
    await serve_once(tmp_path / "shared.sqlite", home)
    home.id_file.unlink()

    with pytest.raises(RegistryInUse) as refused:
        await serve_once(tmp_path / "shared.sqlite", home)
    home.id_file.write_text(f"{refused.value.context['home_id']}\n")

    assert f"echo {refused.value.context['home_id']} > {home.id_file}" in refused.value.hint
    await serve_once(tmp_path / "shared.sqlite", home)


async def test_a_copied_home_is_served_with_its_own_registry_beside_the_original(homes: tuple[Home, Home]) -> None:
    original, copy = homes
    first = await opened(original.registry, original)
    shutil.copytree(original.root, copy.root)

    second = await opened(copy.registry, copy)
    await second.add(operation())

    assert await first.get("op_a") is None
    for store in (first, second):
        await store.close()


async def test_a_copied_home_is_refused_by_a_registry_outside_and_a_moved_one_is_not(
    homes: tuple[Home, Home], tmp_path: Path
) -> None:
    original, copy = homes
    await serve_once(tmp_path / "shared.sqlite", original)
    shutil.copytree(original.root, copy.root)

    with pytest.raises(RegistryInUse, match=f"{copy.root} is a copy of {original.root}"):
        await serve_once(tmp_path / "shared.sqlite", copy)
    shutil.rmtree(original.root)

    await serve_once(tmp_path / "shared.sqlite", copy)


async def test_the_registry_inside_knows_the_id_that_was_deleted(homes: tuple[Home, Home]) -> None:
    home, _ = homes
    await serve_once(home.registry, home)
    before = read_id(home)
    home.id_file.unlink()

    await serve_once(home.registry, home)

    assert read_id(home) == before


async def test_a_registry_that_was_put_into_another_home_is_refused(homes: tuple[Home, Home]) -> None:
    for home in homes:
        await serve_once(home.registry, home)
    first, second = homes
    shutil.copy(first.registry, second.registry)

    with pytest.raises(RegistryInUse, match="serves another home"):
        await serve_once(second.registry, second)


async def test_a_registry_of_an_earlier_version_is_claimed_by_the_home_that_opens_it(homes: tuple[Home, Home]) -> None:
    home, _ = homes
    await serve_once(home.registry, home)
    with closing(sqlite3.connect(home.registry)) as database:
        database.executescript("DROP TABLE home; DROP TABLE registry_version")
    home.id_file.unlink()

    await serve_once(home.registry, home)

    assert read_id(home)


async def test_an_id_file_of_garbage_is_named(homes: tuple[Home, Home]) -> None:
    home, _ = homes
    await serve_once(home.registry, home)
    home.id_file.write_text("not an id")

    with pytest.raises(StorageError, match=r"home\.id holds no id: 'not an id'"):
        await serve_once(home.registry, home)


@pytest.mark.processes
async def test_a_postgresql_registry_serves_one_home_and_one_server(
    homes: tuple[Home, Home], postgres: Cluster
) -> None:
    first, second = homes
    url = postgres.new_database()
    store = await opened(url, first)
    with pytest.raises(RegistryInUse, match="another server uses the registry"):
        await opened(url, first)
    with pytest.raises(RegistryInUse, match="another server uses the registry"):
        await opened(url, second)
    assert await store.add(operation())
    assert await store.get("op_a") == operation()

    await store.close()

    with pytest.raises(RegistryInUse, match="serves another home"):
        await opened(url, second)
    heir = await opened(url, first)
    assert await heir.get("op_a") == operation()
    await heir.close()


@pytest.mark.processes
async def test_a_server_whose_connection_was_lost_takes_its_lock_again_or_stops_writing(
    homes: tuple[Home, Home], postgres: Cluster
) -> None:
    home, _ = homes
    url = postgres.new_database()
    store = await opened(url, home)
    postgres.end_connections()
    assert await store.get("op_a") is None  # on a connection that replaced the lost one
    assert await store.add(operation("a"))  # with the lock, taken again

    with pytest.raises(RegistryInUse):
        await opened(url, home)
    postgres.end_connections()
    rival = await opened(url, home)

    with pytest.raises(RegistryInUse, match="another server uses"):
        await store.add(operation("b"))
    await rival.close()
    await store.close()


@pytest.mark.processes
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_of_two_homes_that_race_for_a_new_registry_one_is_served(
    homes: tuple[Home, Home], tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    url: object
    for race in range(5):
        if database == "sqlite":
            url = tmp_path / f"{race}.sqlite"
        else:
            url = request.getfixturevalue("postgres").new_database()
        results = await asyncio.gather(*(opened(url, home) for home in homes), return_exceptions=True)

        (refusal,) = [result for result in results if isinstance(result, BaseException)]
        assert isinstance(refusal, RegistryInUse)
        for winner in results:
            if isinstance(winner, SqlOperationStore):
                assert await winner.add(operation())
                await winner.close()
