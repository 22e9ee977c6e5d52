"""Signals come at least once and in order, over failures and kills; a receiver that fails stops nobody."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from ktrdr.errors import InputError, KtrdrError
from ktrdr.follows.chain import StoredRow
from ktrdr.follows.outbox import Outbox
from ktrdr.follows.receivers import AddressReceiver, CommandReceiver, FolderReceiver, Receiver, parse_receivers
from ktrdr.payloads.follows import PredictionRow, Signal

HASH = 64 * "a"
ROW = PredictionRow.model_validate(
    {
        "signal_id": "",
        "fingerprint": HASH,
        "symbol": "UP",
        "opens_at": "2026-01-01",
        "closes_at": "2026-01-02",
        "bar": ["0x1.0p+0"] * 5,
        "read": {},
        "outputs": [],
        "predicted": "up",
        "probabilities": {"up": "0x1.8p-1"},
        "baselines": {},
        "written_at": "2026-01-02",
        "late": False,
    }
)


def stored(number: int, *, late: bool = False) -> StoredRow:
    return StoredRow(number, HASH, ROW.model_copy(update={"signal_id": f"s{number}", "late": late}))


def signal_of(row: StoredRow) -> Signal:
    assert isinstance(row.row, PredictionRow)
    own = row.row
    return Signal(
        id=own.signal_id,
        model="op_training_20260101_aaaaaa",
        symbol=own.symbol,
        timeframe="1d",
        closed_at=own.closes_at,
        close=own.close,
        predicted=own.predicted,
        probabilities={"up": 0.75},
        written_at=own.written_at,
        row_sha256=row.sha256,
    )


class Flaky:
    """Takes signals, but refuses as often as `refusals` says."""

    def __init__(self, key: str = "flaky", refusals: int = 0) -> None:
        self.key = key
        self.refusals = refusals
        self.taken: list[str] = []

    def send(self, signal: Signal) -> None:
        if self.refusals:
            self.refusals -= 1
            raise KtrdrError("not now")
        self.taken.append(signal.id)


def run(folder: Path, receivers: list[Receiver], before: list[StoredRow], new: list[StoredRow]) -> list[str]:
    """One process: what it finds, what comes, and one attempt at delivery. Returns the troubles."""
    troubles: list[str] = []
    with Outbox(folder, receivers, signal_of, troubles.append) as outbox:
        for row in before:
            outbox.see(row)
        outbox.begin()
        outbox.add(new)
        outbox.deliver()
    return troubles


def test_a_receiver_begins_with_the_first_signal_after_it_was_named(tmp_path: Path) -> None:
    receiver = Flaky()

    run(tmp_path, [receiver], [stored(1), stored(2)], [stored(3), stored(4, late=True), stored(5)])

    assert receiver.taken == ["s3", "s5"]


def test_what_was_not_taken_is_sent_again_by_the_next_process_and_nothing_else(tmp_path: Path) -> None:
    first, other, second = Flaky(), Flaky("other"), Flaky()
    run(tmp_path, [first, other], [], [stored(1)])
    first.refusals = 1
    troubles = run(tmp_path, [first, other], [stored(1)], [stored(2), stored(3)])

    run(tmp_path, [second, other], [stored(1), stored(2), stored(3)], [stored(4)])

    assert troubles == ["signal s2 is not delivered: not now; it is sent again"]
    assert (first.taken, second.taken) == (["s1"], ["s2", "s3", "s4"])
    assert other.taken == ["s1", "s2", "s3", "s4"]
    assert (tmp_path / "deliveries.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_failing_receiver_is_left_alone_for_a_while(tmp_path: Path) -> None:
    receiver = Flaky(refusals=1)
    with Outbox(tmp_path, [receiver], signal_of, lambda trouble: None) as outbox:
        outbox.begin()
        assert outbox.pause_s is None
        outbox.add([stored(1)])
        outbox.deliver()
        outbox.deliver()

        assert receiver.taken == []
        assert outbox.pause_s is not None
        assert 0 < outbox.pause_s <= 1


def test_a_folder_gets_a_whole_file_for_each_signal(tmp_path: Path) -> None:
    folder = tmp_path / "signals"

    run(tmp_path, [FolderReceiver(folder)], [], [stored(1), stored(2)])

    assert sorted(path.name for path in folder.iterdir()) == ["s1.json", "s2.json"]
    assert Signal.model_validate_json((folder / "s1.json").read_bytes()) == signal_of(stored(1))


@pytest.mark.processes
def test_a_command_gets_json_and_the_id(tmp_path: Path) -> None:
    script = (
        "import json,os,sys; print(json.load(sys.stdin)['id'], os.environ['KTRDR_SIGNAL_ID'], file=open('out', 'a'))"
    )
    command = CommandReceiver.parse(f'{sys.executable} -c "import os; os.chdir({str(tmp_path)!r}); {script}"')

    assert run(tmp_path, [command], [], [stored(1)]) == []

    assert (tmp_path / "out").read_text() == "s1 s1\n"


@pytest.mark.processes
def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    fails = CommandReceiver.parse(f"{sys.executable} -c \"import sys; sys.exit('no broker')\"")
    missing = CommandReceiver.parse("/no/such/command")

    troubles = run(tmp_path, [fails, missing], [], [stored(1)])

    assert "ended with exit code 1: no broker" in troubles[0]
    assert "/no/such/command cannot be run: No such file" in troubles[1]


@pytest.fixture
def address() -> Iterator[tuple[str, list[tuple[str, dict[str, object]]]]]:
    received: list[tuple[str, dict[str, object]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["content-length"])))
            received.append((self.headers["idempotency-key"], content))
            self.send_response(500 if len(received) == 1 else 204)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://me:secret@127.0.0.1:{server.server_port}/signals", received
        server.shutdown()
        thread.join()


def test_an_address_gets_the_same_signal_again_and_its_password_is_masked(
    address: tuple[str, list[tuple[str, dict[str, object]]]], tmp_path: Path
) -> None:
    url, received = address
    receiver = AddressReceiver.parse(url)

    (trouble,) = run(tmp_path, [receiver], [], [stored(1)])
    assert run(tmp_path, [receiver], [stored(1)], []) == []

    assert "answered with status 500" in trouble
    assert "secret" not in trouble + (tmp_path / "deliveries.jsonl").read_text()
    assert [key for key, _ in received] == ["s1", "s1"]
    assert received[0][1] == received[1][1] == signal_of(stored(1)).model_dump(mode="json")


@pytest.mark.parametrize(
    ("command", "url", "words"),
    [("'", None, '--exec "\'" cannot be read'), ("", None, "names no command"), (None, "ftp://x", "is no address")],
)
def test_a_receiver_that_cannot_be_is_refused(command: str | None, url: str | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        list(parse_receivers(command, url, None))


def test_none_are_named() -> None:
    assert list(parse_receivers(None, None, None)) == []
