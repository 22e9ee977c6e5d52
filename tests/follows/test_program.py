"""`ktrdr models follow` as its user sees it: rows, outcomes, evidence, verification and refusals."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import ktrdr
from ktrdr.follows.__main__ import main
from tests.follows.conftest import ID, NUMBERS, Place, Replay, close_of

HOUR = timedelta(hours=1)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(each) for each in arguments])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_a_replay_is_shown_line_by_line_with_its_signals(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signals, options = tmp_path / "signals", ("--home", models, "--model", ID, "--replay", tmp_path / "replay")

    code, out, err = run(capsys, *options, "--symbols", "UP", "--signals", signals)

    rows = out.splitlines()
    assert code == 0
    assert rows[0].startswith("UP 1d  2020-09-")
    assert err.splitlines() == [f"Following {ID} on UP; Ctrl-C ends it", f"Ended; {len(rows)} rows were written"]
    assert len(list(signals.iterdir())) == len(rows)
    assert all(len(row) <= 80 for row in rows)


@pytest.mark.parametrize("name", [ID, NUMBERS])
def test_outcomes_and_evidence_are_shown_and_are_a_look(
    replay: Replay, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    replay(name, ["UP", "DOWN"], most=30)
    options = ("--home", models, "--model", name, "--replay", tmp_path / "replay", "--show")
    before = len(ktrdr.looks(home=models))

    code, out, _ = run(capsys, *options)
    _, as_json, _ = run(capsys, *options, "--json")

    looks, report = ktrdr.looks(home=models)[before:], json.loads(as_json)
    assert code == 0
    assert "The last 20 of 30 predictions; --json has all of them." in out
    assert "The evidence is not enough yet" in out or "The model is ahead" in out
    assert "The bars were replayed" in out
    assert (looks["kind"].to_list(), looks["samples"].to_list()) == (["follow"], [30])
    assert report["test"]["settled"] == 30
    assert _accuracy(report["predictions"]) == pytest.approx(report["test"]["accuracy"])
    assert _accuracy(report["predictions"]) == pytest.approx(looks["accuracy"][0])


def _accuracy(rows: list[dict[str, Any]]) -> float:
    """Classes that are the same, or numbers with the same sign."""
    hits = [
        row["predicted"] == row["outcome"]
        if isinstance(row["outcome"], str)
        else (row["predicted"] > 0) == (row["outcome"] > 0)
        for row in rows
    ]
    return float(sum(hits) / len(hits))


def test_a_prediction_in_time_waits_for_its_outcome_and_a_late_one_proves_nothing(place: Place) -> None:
    place.bring(270)
    place.step(close_of(270) + HOUR)
    waiting = ktrdr.follow_report(place.model, home=place.home.root)
    place.bring(272)
    place.step(close_of(272) + HOUR)

    settled = ktrdr.follow_report(place.model, home=place.home.root)

    assert (waiting.test.predictions, waiting.test.settled, waiting.predictions[0].outcome) == (1, 0, None)
    assert [row.late for row in settled.predictions] == [False, True, False]
    assert (settled.test.predictions, settled.test.settled) == (2, 1)
    assert settled.predictions[0].settled_at == close_of(271)
    assert ktrdr.looks(home=place.home.root)["samples"].to_list() == [2]


def test_a_verification_says_what_it_found(
    replay: Replay, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replay(most=5)
    options = ("--home", models, "--model", ID, "--replay", tmp_path / "replay", "--verify")

    code, out, _ = run(capsys, *options)
    rows = tmp_path / "replay" / "rows.jsonl"
    rows.write_bytes(rows.read_bytes().replace(b'"late":false', b'"late":true', 1))
    broken, _, err = run(capsys, *options)

    assert (code, broken) == (0, 1)
    assert "The chain of 6 rows is intact.\n5 of 5 predictions came out the same to the bit.\n0 are late" in out
    assert f"{rows}, line 3: it does not hold the hash of the row before" in err


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ((), 2, "no model is named"),
        (("--model", "op_training_20260101_zzzzzz"), 1, "there is no model in"),
        (("--model", ID, "--show"), 2, "is not followed"),
        (("--model", ID, "--symbols", "NOPE"), 1, "no bars of NOPE 1d are stored"),
        (("--model", ID, "--symbols", "a b"), 2, "symbol 'a b' is not allowed"),
        (("--model", ID, "--url", "x"), 2, "--url 'x' is no address"),
    ],
)
def test_refusals_name_what_is_wrong(
    models: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], code: int, words: str
) -> None:
    ended, _, err = run(capsys, "--home", models, *options)

    assert ended == code
    assert words in err
    assert "Traceback" not in err


def test_an_endless_follow_catches_up_and_goes_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.bring(270)
    pauses: list[float] = []

    def wait(seconds: float) -> None:
        pauses.append(seconds)
        place.bring(270 + len(pauses))

    monkeypatch.setattr("ktrdr.follows.request.time.sleep", wait)
    rows = ktrdr.follow(place.model, "UP", load=False, every=timedelta(seconds=30), home=place.home.root)

    found = [next(rows) for _ in range(3)]
    rows.close()  # type: ignore[attr-defined]

    # These bars are of 2020, so their outcomes are long known.
    assert [(row.closes_at, row.late) for row in found] == [(close_of(270 + place), True) for place in range(3)]
    assert pauses == [30, 30]
