"""A row for each bar that closes, before its outcome exists, over kills; live and replayed to the same bits."""

from __future__ import annotations

import os
from datetime import timedelta
from itertools import islice
from pathlib import Path

import polars as pl
import pytest

import ktrdr
from ktrdr.errors import ConflictError, StorageError
from ktrdr.follows.chain import Chain, read_chain
from ktrdr.market.store import BarStore
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.payloads.follows import PredictionRow
from ktrdr.saved_models.predict import predict_last
from ktrdr.saved_models.trained_model import load_model
from ktrdr.strategy.spec import Strategy
from tests.follows.conftest import BARS, DOCUMENT, ID, TRAINED, Place, Replay, close_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def bits(row: PredictionRow) -> tuple[object, ...]:
    return row.signal_id, row.bar, row.read, row.outputs, row.probabilities, row.baselines


def test_every_stored_bar_is_replayed_once_with_the_bits_of_a_prediction(
    replay: Replay, models: Path, tmp_path: Path
) -> None:
    rows = replay(symbols=["UP", "DOWN"])

    stored = BarStore(models / "bars").read_stored("UP", "1d")
    table = predict_last(load_model(models / "models" / ID), "UP", SymbolBars.of({"1d": stored}), len(rows))
    predicted = dict(zip(table["timestamp"], table["probability_up"], strict=True))
    of_up = [row for row in rows if row.symbol == "UP"]
    assert [row.opens_at for row in of_up] == BARS["timestamp"].to_list()[-len(of_up) :]
    assert len(of_up) >= len(BARS) - TRAINED - 1
    assert [float.fromhex(row.probabilities["up"]) for row in of_up] == [predicted[row.opens_at] for row in of_up]
    assert len({row.signal_id for row in rows}) == len(rows) == 2 * len(of_up)
    assert not any(row.late for row in rows)
    verification = ktrdr.verify_follow(models / "models" / ID, replay=tmp_path / "replay", home=models)
    assert (verification.predictions, verification.identical, verification.findings) == (len(rows), len(rows), ())


def test_bars_that_arrive_one_at_a_time_give_the_bits_of_the_replay(replay: Replay, place: Place) -> None:
    replayed = {row.closes_at: bits(row) for row in replay()}

    for row in range(270, 274):
        place.bring(row)
        (live,) = place.step(close_of(row) + HOUR)
        assert bits(live) == replayed[live.closes_at]
        assert not live.late
    assert place.step(close_of(273) + 2 * HOUR) == []


@pytest.mark.parametrize("cut", [1, 2, 100, 700, 1500])
def test_a_torn_end_is_cut_and_its_bars_are_predicted_again(replay: Replay, tmp_path: Path, cut: int) -> None:
    whole = [bits(row) for row in replay(most=12)]
    path = tmp_path / "replay" / "rows.jsonl"

    os.truncate(path, path.stat().st_size - cut)
    rest = replay(most=12 - sum(1 for stored in read_chain(path.parent)) + 1)

    stored = [each.row for each in read_chain(path.parent)]
    assert rest
    assert [bits(row) for row in stored if isinstance(row, PredictionRow)] == whole
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_row_is_late_once_the_next_bar_may_have_closed(place: Place) -> None:
    place.bring(270)
    (first,) = place.step(close_of(270) + HOUR)
    place.bring(273)

    caught_up = place.step(close_of(273) + HOUR)
    place.bring(274)
    (overslept,) = place.step(close_of(275))

    assert not first.late
    assert [row.late for row in caught_up] == [True, True, False]
    assert overslept.late


def test_a_row_that_takes_until_the_next_close_is_late(place: Place) -> None:
    place.bring(270)

    with place.follower(close_of(270)) as follower:
        (written,) = (each.row for each in follower.step(close_of(270), lambda: close_of(271)))

    assert isinstance(written, PredictionRow)
    assert (written.late, written.written_at) == (True, close_of(271))


def test_a_restart_without_a_new_bar_waits_for_the_next_close(place: Place) -> None:
    place.bring(270)
    place.step(close_of(270) + HOUR)

    with place.follower(close_of(270) + 2 * HOUR) as follower:
        assert follower.step(close_of(270) + 2 * HOUR) == []
        assert follower.next_closes == {"UP": close_of(271)}


def test_bars_of_the_training_are_not_predicted(place: Place) -> None:
    place.bring(TRAINED - 2)

    with pytest.raises(AssertionError, match="no bar has closed since the training"):
        place.step(close_of(TRAINED - 2) + HOUR)


def test_two_processes_cannot_follow_one_model(place: Place) -> None:
    place.bring(270)

    with Chain(place.home.follows / ID), pytest.raises(ConflictError, match="followed already"):
        place.step(close_of(270) + HOUR)


def test_a_replay_and_a_live_follow_never_share_a_file(place: Place, models: Path) -> None:
    place.bring(270)
    place.step(close_of(270) + HOUR)

    with pytest.raises(ConflictError, match="made live"):
        next(ktrdr.follow(place.model, "UP", replay=place.rows_file.parent, home=models))


@pytest.mark.parametrize("line", [1, 2, 3])
def test_no_row_can_be_changed_or_removed_unseen(place: Place, line: int) -> None:
    for row in (270, 271, 272):
        place.bring(row)
        place.step(close_of(row) + HOUR)
    lines = place.rows_file.read_bytes().splitlines(keepends=True)

    for forged in (lines[line - 1].replace(b"UP", b"XX").replace(b"forward", b"backward"), b""):
        place.rows_file.write_bytes(b"".join([*lines[: line - 1], forged, *lines[line:]]))
        with pytest.raises(StorageError, match="it does not hold the hash of the row before"):
            ktrdr.verify_follow(place.model, home=place.home.root)


def test_a_revised_bar_is_named_and_a_forged_prediction_is_found(place: Place) -> None:
    for row in (270, 271, 272):
        place.bring(row)
        place.step(close_of(row) + HOUR)
    stamp = pl.col("timestamp") == BARS["timestamp"][271]
    revised = BARS.head(273).with_columns(close=pl.when(stamp).then(pl.col("high")).otherwise("close"))

    place.store.merge("UP", "1d", revised, "made up")
    verification = ktrdr.verify_follow(place.model, home=place.home.root)

    assert (verification.identical, verification.is_sound) == (1, True)
    assert [each.finding for each in verification.findings] == ["revised", "revised"]
    assert f"the bar of {BARS['timestamp'][271]:%Y-%m-%d} 00:00 was revised since: close" in (
        verification.findings[0].detail
    )
    assert "an earlier bar was revised" in verification.findings[1].detail


def test_a_prediction_that_the_model_never_made_is_found(place: Place) -> None:
    place.bring(270)
    place.step(close_of(270) + HOUR)
    with Chain(place.rows_file.parent) as chain:
        own = [stored.row for stored in chain.read()][-1]
        assert isinstance(own, PredictionRow)
        place.bring(271)
        forged = own.model_copy(update={"outputs": ("0x1.0p+0", "0x1.8p+0")})
        chain.append([forged])

    verification = ktrdr.verify_follow(place.model, home=place.home.root)

    assert not verification.is_sound
    assert [(each.row, each.finding) for each in verification.findings] == [(3, "differs")]
    assert "on the same bars the model says" in verification.findings[0].detail


def test_bars_of_another_symbol_count_as_read(models: Path, tmp_path: Path) -> None:
    indicators = [{"name": "rsi", "period": 5}, {"name": "rsi", "period": 5, "symbol": "DOWN", "as": "down"}]
    strategy = Strategy.model_validate(DOCUMENT | {"indicators": indicators})
    model = ktrdr.train(strategy, "UP", end=BARS["timestamp"][TRAINED].date(), output=tmp_path / "two", home=models)

    rows = list(islice(ktrdr.follow(model, replay=tmp_path / "replay", home=models), 3))
    verification = ktrdr.verify_follow(model, replay=tmp_path / "replay", home=models)

    assert all(row.read["1d"].rows == row.read["DOWN 1d"].rows for row in rows)
    assert len({row.read["DOWN 1d"].sha256 for row in rows}) == 3
    assert (verification.predictions, verification.identical) == (3, 3)
