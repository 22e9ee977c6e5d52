from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from ktrdr.errors import ConflictError, NotFoundError, StorageError
from ktrdr.files import is_draft
from ktrdr.findings import Level
from ktrdr.ledger.check import check
from ktrdr.ledger.database import VERSION, connect
from ktrdr.ledger.footprint import Footprint
from ktrdr.ledger.store import Ledger
from ktrdr.payloads.looks import Door
from tests.made_looks import FIGURES, request, series, walk


def test_a_ledger_without_looks_is_empty_and_no_file(ledger: Ledger) -> None:
    assert ledger.looks() == ()
    assert ledger.accounts() == ()
    assert ledger.account_of(Footprint((walk(),))).tries == ()
    with pytest.raises(NotFoundError, match="the ledger has no look look_20200101_aaaaaa"):
        ledger.account_of("look_20200101_aaaaaa")
    assert not ledger.path.exists()


def test_a_look_comes_back_as_it_was_recorded(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite", Door.PYTHON)
    look_id = ledger.open_look(request(7))
    ledger.close_look(look_id, FIGURES, series())

    (look,) = ledger.looks()
    assert (look.look_id, look.door, look.inputs_sha256) == (look_id, Door.PYTHON, f"{7:064x}")
    assert look.figures == FIGURES
    assert look.closed_at is not None
    assert look.opened_at <= look.closed_at
    (stored,) = ledger.account_of(look_id).series.values()
    made = series()
    for name in ("instants", "samples", "agreement", "periods", "returns", "held"):
        assert np.array_equal(getattr(stored, name), getattr(made, name))
    assert (stored.lag, stored.span, list(stored.gains)) == (2, 1.5, ["majority", "persistence"])
    assert np.array_equal(stored.gains["persistence"], made.gains["persistence"])
    assert ledger.footprint_of(look_id).sha256 == Footprint((walk(),)).sha256


def test_only_its_user_can_read_the_file(ledger: Ledger) -> None:
    ledger.open_look(request())

    assert stat.S_IMODE(ledger.path.stat().st_mode) == 0o600


def test_an_account_holds_what_overlaps_directly_and_a_list_what_overlaps_in_a_chain(ledger: Ledger) -> None:
    middle, last = walk(200, first=50), walk(200, first=150)
    early = ledger.open_look(request(1, walk(100)))
    between = ledger.open_look(request(2, middle))
    late = ledger.open_look(request(3, last))
    other = ledger.open_look(request(4, walk(seed=9)))

    def account(name: str) -> set[str]:
        return {look.look_id for look in ledger.account_of(name).looks}

    assert account(early) == {early, between}
    assert account(between) == {early, between, late}
    assert account(other) == {other}
    assert {look.look_id for look in ledger.account_of(Footprint((last,))).looks} == {between, late}
    assert [(each.account_id, each.tries) for each in ledger.accounts()] == [(other, 1), (early, 3)]
    assert ledger.account(late).account_id == early
    assert ledger.account(late).bars == 200


def test_the_same_inputs_are_one_try_which_the_best_known_look_stands_for(ledger: Ledger) -> None:
    ledger.open_look(request(1))
    closed = ledger.open_look(request(1))
    ledger.close_look(closed, FIGURES, series())
    open_ = ledger.open_look(request(2))

    account = ledger.account_of(open_)

    assert [look.look_id for look in account.tries] == [closed, open_]
    assert list(account.series) == [closed]
    assert account.without_series == 1


def test_series_stand_on_one_axis_with_gaps_where_a_look_has_no_row(ledger: Ledger) -> None:
    tracks = [walk(100), walk(120, first=30)]
    looks = [ledger.open_look(request(number, track)) for number, track in enumerate(tracks)]
    for look_id, track in zip(looks, tracks, strict=True):
        ledger.close_look(look_id, FIGURES, series(track))

    gains = ledger.account_of(looks[0]).gains("majority")

    assert gains.look_ids == tuple(looks)
    assert gains.values.shape == (120, 2)
    assert np.array_equal(np.isnan(gains.values).sum(axis=0), [20, 30])
    assert np.array_equal(gains.values[30:, 1], series(tracks[1]).gains["majority"])
    assert gains.instants[0] == tracks[0].instants[0]


def test_a_look_that_was_never_opened_is_not_closed(ledger: Ledger) -> None:
    ledger.open_look(request())

    with pytest.raises(NotFoundError, match="has no look look_20200101_aaaaaa"):
        ledger.close_look("look_20200101_aaaaaa", FIGURES, None)


def test_a_look_has_short_names(ledger: Ledger) -> None:
    one = ledger.open_look(request(1, operation_id="op_training_20200101_abc123"))
    two = ledger.open_look(request(2, operation_id="op_training_20200101_abd123"))

    names = (one, one[-5:], "abc123", "c123", "op_training_20200101_abc123")
    assert {ledger.look(name).look_id for name in names} == {one}
    assert ledger.look("last").look_id == two
    assert ledger.account("abd123") == ledger.account(two)
    with pytest.raises(ConflictError, match=f"123 ends 2 ids, such as {two}, {one}"):
        ledger.look("123")
    for unknown in ("abe123", "%", ""):
        with pytest.raises(NotFoundError, match="the ledger has no look"):
            ledger.look(unknown)


def test_threads_write_and_read_at_once(ledger: Ledger) -> None:
    def work(number: int) -> int:
        look_id = ledger.open_look(request(number, walk(seed=number % 3)))
        ledger.close_look(look_id, FIGURES, series())
        return len(ledger.account_of(look_id).looks)

    with ThreadPoolExecutor(8) as pool:
        assert min(pool.map(work, range(40))) >= 1

    assert sorted(account.tries for account in ledger.accounts()) == [13, 13, 14]


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from ktrdr.ledger.store import Ledger
from tests.made_looks import FIGURES, request, series, walk
ledger = Ledger(Path({path!r}))
for number in range({count}):
    look_id = ledger.open_look(request({first} + number, walk(seed=number)))
    print(look_id, flush=True)
    ledger.close_look(look_id, FIGURES, series())
"""


def writer(path: Path, first: int, count: int) -> subprocess.Popen[str]:
    script = WRITER.format(tests=str(Path(__file__).parents[2]), path=str(path), first=first, count=count)
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)


@pytest.mark.processes
def test_processes_that_begin_at_once_lose_nothing(ledger: Ledger) -> None:
    writers = [writer(ledger.path, 1000 * number, 20) for number in range(3)]

    told = [process.communicate()[0].split() for process in writers]

    assert [process.returncode for process in writers] == [0, 0, 0]
    assert {look.look_id for look in ledger.looks()} == {look_id for ids in told for look_id in ids}
    assert all(look.closed_at for look in ledger.looks())
    assert [account.tries for account in ledger.accounts()] == [3] * 20
    assert [path.name for path in ledger.path.parent.iterdir() if is_draft(path)] == []


@pytest.mark.processes
def test_a_killed_writer_leaves_each_look_whole_or_not_at_all(ledger: Ledger) -> None:
    process = writer(ledger.path, 0, 10_000)
    assert process.stdout is not None
    told = [process.stdout.readline().strip() for _ in range(30)]
    process.send_signal(signal.SIGKILL)
    told += process.communicate()[0].split()

    looks = {look.look_id: look for look in ledger.looks()}
    assert looks.keys() >= set(told)
    assert all(looks[look_id].closed_at for look_id in told[:-1])
    with closing(sqlite3.connect(ledger.path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert ledger.account_of(ledger.open_look(request())).tries


def test_a_writer_waits_for_another(ledger: Ledger) -> None:
    ledger.open_look(request())
    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as other, ThreadPoolExecutor(1) as pool:
        other.execute("BEGIN IMMEDIATE")
        waiting = pool.submit(ledger.open_look, request(2))
        assert len(Ledger(ledger.path).looks()) == 1  # readers need not wait
        other.execute("COMMIT")

        assert waiting.result(timeout=30)


def test_a_writer_that_does_not_end_is_named(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.open_look(request())
    monkeypatch.setattr("ktrdr.ledger.database._PATIENCE_S", 0.01)
    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        with closing(Ledger(ledger.path)) as late, pytest.raises(StorageError, match="database is locked") as refused:
            late.open_look(request(2))

    assert refused.value.hint == "another process writes to it and does not end: end that one, and try again"


def test_a_ledger_of_a_newer_version_is_refused_in_words_and_left_as_it_is(ledger: Ledger) -> None:
    ledger.open_look(request())
    ledger.close()
    with closing(sqlite3.connect(ledger.path)) as database:
        database.execute(f"PRAGMA user_version={VERSION + 1}")
    before = ledger.path.read_bytes()

    for use in (ledger.looks, lambda: ledger.open_look(request())):
        with pytest.raises(
            StorageError, match=rf"written by a newer ktrdr \(layout {VERSION + 1}; this one"
        ) as refused:
            use()
        assert refused.value.hint == "use the newer ktrdr; nothing was changed"
    assert ledger.path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "is no ledger: it has layout 0"), (b"no database" * 999, "is damaged")]
)
def test_what_is_no_ledger_is_refused_and_left_as_it_is(ledger: Ledger, content: bytes, reason: str) -> None:
    ledger.path.parent.mkdir()
    ledger.path.write_bytes(content)

    with pytest.raises(StorageError, match=reason) as refused:
        ledger.open_look(request())

    assert "ktrdr doctor" in refused.value.hint
    assert ledger.path.read_bytes() == content


def test_a_full_disk_loses_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.open_look(request())

    def full(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute("PRAGMA max_page_count=1")  # no page more than there are
        return connection

    monkeypatch.setattr("ktrdr.ledger.database.connect", full)
    with closing(Ledger(ledger.path)) as other:
        with pytest.raises(StorageError, match="cannot be used: database or disk is full"):
            other.open_look(request(2, walk(5000)))

        assert len(other.looks()) == 1


def test_a_log_without_its_ledger_is_applied_to_no_other(ledger: Ledger) -> None:
    ledger.open_look(request())
    ledger.path.unlink()

    with pytest.raises(StorageError, match=r"is gone, and its log ledger\.sqlite-wal is still there") as refused:
        ledger.open_look(request(2))

    assert "restore a copy" in refused.value.hint
    assert [finding.level for finding in check(ledger.path)] == [Level.FAULT]


def test_a_copy_in_the_place_of_the_ledger_is_noticed(ledger: Ledger, tmp_path: Path) -> None:
    ledger.open_look(request())
    copy = tmp_path / "copy.sqlite"
    ledger.copy_to(copy)
    ledger.open_look(request(2))
    for path in ledger.path.parent.iterdir():
        path.unlink()
    copy.rename(ledger.path)

    assert len(ledger.looks()) == 1
    ledger.open_look(request(3))
    assert len(Ledger(ledger.path).looks()) == 2


def test_looks_at_the_same_bars_share_their_bars_and_instants(ledger: Ledger) -> None:
    track, made = walk(1000), series(walk(1000))
    for number in range(50):
        ledger.close_look(ledger.open_look(request(number, track)), FIGURES, made)
    ledger.close()

    # Six numbers of four bytes for each instant: samples, two gains, agreement, return and that of holding.
    assert ledger.path.stat().st_size < 50 * 1000 * 6 * 4 * 1.2
