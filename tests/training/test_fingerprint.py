from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from ktrdr.errors import CheckpointMismatch, StorageError
from ktrdr.strategy.spec import Strategy
from ktrdr.training.checkpoint import Checkpoint, write
from ktrdr.training.files import CARD
from ktrdr.training.fingerprint import Fingerprint, check_latest, check_model
from tests.training.test_checkpoint import FINGERPRINT, state_of, step

OTHER = replace(FINGERPRINT, fold=1)


@pytest.fixture
def newest(tmp_path: Path) -> Path:
    """Of two checkpoints; the one before is of another training, so that it shows which of them was read."""
    state = state_of()
    for fingerprint in (OTHER, FINGERPRINT):
        step(state)
        newest = write(tmp_path, Checkpoint.capture(state, fingerprint))
    return newest


def test_the_newest_checkpoint_says_what_it_was_made_from(newest: Path) -> None:
    check_latest(newest.parent, FINGERPRINT)

    with pytest.raises(CheckpointMismatch, match=r"the checkpoint of epoch 2 .*: bars of MSFT 1d, fold differ"):
        check_latest(newest.parent, Fingerprint(FINGERPRINT.strategy, 4, {"AAPL": {"1d": "aa"}, "MSFT": {"1d": "cc"}}))


@pytest.mark.parametrize("left", [0, 7, 8, 100, 5000, -1], ids="{} bytes".format)
def test_where_it_is_torn_the_one_before_is_asked(newest: Path, left: int) -> None:
    newest.write_bytes(newest.read_bytes()[:left])

    check_latest(newest.parent, OTHER)


def test_what_no_head_can_be_read_of_is_left_to_whoever_loads_it(tmp_path: Path) -> None:
    (tmp_path / "epoch-000001.safetensors").write_bytes(b"\xff" * 64)

    check_latest(tmp_path, FINGERPRINT)


def test_a_checkpoint_of_another_format_is_left_to_whoever_loads_it(newest: Path) -> None:
    newest.write_bytes(newest.read_bytes().replace(b'\\"format\\": 3', b'\\"format\\": 2'))

    check_latest(newest.parent, OTHER)


def test_a_model_says_what_it_was_made_from(tmp_path: Path) -> None:
    made_from = asdict(FINGERPRINT)
    (tmp_path / CARD).write_text(json.dumps({**made_from, "data_sha256": made_from["data"]}))

    check_model(tmp_path, FINGERPRINT)

    with pytest.raises(CheckpointMismatch, match="belongs to another training: fold differ"):
        check_model(tmp_path, OTHER)
    with pytest.raises(FileNotFoundError, match=CARD):
        check_model(tmp_path / "nowhere", FINGERPRINT)


@pytest.mark.parametrize("content", ["", '{"strategy": {', "{}", "[]"])
def test_a_damaged_card_is_told_and_not_passed_over(tmp_path: Path, content: str) -> None:
    (tmp_path / CARD).write_text(content)

    with pytest.raises(StorageError, match=f"{CARD} is damaged"):
        check_model(tmp_path, FINGERPRINT)


def test_a_checkpoint_from_before_a_key_was_there_belongs_to_the_same_training() -> None:
    now = Fingerprint(Strategy.model_validate({"name": "s", "model": {"type": "gru"}}).model_dump(mode="json"), 0, {})
    before = Fingerprint({**now.strategy, "data": {"min_coverage": None, "max_gap": None}}, 0, {})
    bridging = Fingerprint({**now.strategy, "data": {"holes": "bridge"}}, 0, {})

    assert before.differences(now) == []
    assert bridging.differences(now) == ["strategy.data.holes"]


def test_a_strategy_without_a_schedule_has_the_fingerprint_of_before_there_were_schedules() -> None:
    document = {"name": "s", "model": {"type": "gru"}}
    without = Strategy.model_validate(document)
    scheduled = Strategy.model_validate({**document, "training": {"schedule": {"type": "cosine"}}})

    assert "schedule" not in without.model_dump(mode="json")["training"]
    one, other = (Fingerprint(each.model_dump(mode="json"), 0, {}) for each in (without, scheduled))
    assert one.differences(other) == ["strategy.training.schedule"]


def test_a_strategy_without_rules_of_trading_has_the_fingerprint_of_before_there_were_any() -> None:
    document = {"name": "s", "model": {"type": "gru"}}
    usual = Strategy.model_validate({**document, "positions": {"rule": "sign"}, "costs": {"min_fee": 0.0}})
    other = Strategy.model_validate({**document, "positions": {"band": 0.1}, "costs": {"borrow_bps_per_day": 1}})

    dumped = usual.model_dump(mode="json")
    assert "positions" not in dumped
    assert dumped["costs"] == {"fee_bps": 1.0, "slippage_bps": 2.0}
    one, two = (Fingerprint(each.model_dump(mode="json"), 0, {}) for each in (usual, other))
    assert one.differences(two) == ["strategy.costs.borrow_bps_per_day", "strategy.positions"]
