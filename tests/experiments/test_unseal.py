"""The sealed test part: nothing shows it before it is opened, and every opening is counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from ktrdr.errors import ConflictError, StorageError
from ktrdr.evaluation.significance import opening_level
from ktrdr.experiments.train import run_training
from ktrdr.experiments.unseal import run_unsealing
from ktrdr.files import checksum
from ktrdr.ledger.recorder import Unrecorded
from ktrdr.ledger.store import Ledger
from ktrdr.market.series_file import StoredBars
from ktrdr.payloads.training import TrainingResults
from ktrdr.payloads.unsealing import UnsealingResults
from ktrdr.saved_models.unsealed import read_unsealing, with_opening
from ktrdr.strategy.spec import Strategy
from ktrdr.training.observer import SilentObserver
from ktrdr.training.request import TrainingRequest
from tests.small_trainings import planted_bars

BARS = planted_bars(200)


@dataclass(frozen=True)
class Trained:
    results: TrainingResults
    folder: Path


def train(folder: Path, bars: Mapping[str, pl.DataFrame], **sections: object) -> Trained:
    document = {
        "name": "Sealed",
        "timeframes": ["1d"],
        "model": {"type": "mlp", "layers": 1, "hidden_size": 4, "sequence_length": 4},
        "training": {"epochs": 2, "learning_rate": 0.01},
        "indicators": [{"name": "rsi", "period": 5}],
        "validation": {"test": 0.2},
        **sections,
    }
    strategy = Strategy.model_validate(document)
    request = TrainingRequest(folder.name, strategy, "sealed", "name: s\n", tuple(bars), None, None, folder)
    return Trained(run_training(request, reader(bars), SilentObserver(), looks=Unrecorded()).under(folder), folder)


def reader(bars: Mapping[str, pl.DataFrame]) -> Callable[..., StoredBars]:
    return lambda symbol, *_: StoredBars(bars[symbol], "planted")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(tmp_path_factory.mktemp("sealed") / "op_1", {"UP": BARS})


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        yield ledger


def unseal(trained: Trained, ledger: Ledger, bars: pl.DataFrame = BARS, symbol: str = "UP") -> UnsealingResults:
    opened = run_unsealing(trained.folder, "Ada", reader({symbol: bars}), ledger)
    assert opened
    return opened


def test_a_training_says_that_its_test_part_is_sealed_and_evaluates_it_nowhere(tmp_path: Path) -> None:
    trained = train(tmp_path / "op_1", {"UP": BARS})

    sealed = trained.results.sealed
    assert sealed
    assert (sealed.samples, sealed.opening) == (39, None)
    assert (trained.results.test_evaluation, trained.results.test_backtest) == (None, None)
    assert read_unsealing(trained.folder) is None
    for path in trained.folder.glob("*.parquet"):
        table = pl.read_parquet(path)
        if "timestamp" in table.columns:
            assert table.filter(pl.col("timestamp") >= sealed.first).is_empty(), path.name


def test_opening_changes_no_file_of_the_training_and_the_same_again_is_the_same(
    trained: Trained, ledger: Ledger
) -> None:
    def content() -> dict[str, str]:
        return {path.name: checksum(path) for path in trained.folder.iterdir() if path.is_file()}

    before = content()
    opened, again = unseal(trained, ledger), unseal(trained, ledger)

    assert content() == before
    assert opened == again == read_unsealing(trained.folder)
    assert (opened.opening.number, opened.opening.level, opened.opening.by) == (1, 0.025, "Ada")
    assert opened.evaluation.significance.level == 0.025
    assert "the significance level is 2.5%" in opened.evaluation.verdict
    served = with_opening(trained.results)
    assert served.test_evaluation == opened.evaluation
    assert served.sealed
    assert served.sealed.opening == opened.opening
    (look,) = ledger.looks()
    assert (look.kind, look.part, look.samples) == ("unsealing", "test", opened.evaluation.samples)
    assert (look.operation_id, look.has_series) == (trained.folder.name, True)
    assert look.figures
    assert look.figures.accuracy == opened.evaluation.accuracy


def test_another_model_on_the_same_bars_under_another_name_spends_the_next_half(
    trained: Trained, ledger: Ledger, tmp_path: Path
) -> None:
    first = unseal(trained, ledger)
    other = train(tmp_path / "op_3", {"RENAMED": BARS}, training={"epochs": 1, "seed": 7})

    second = unseal(other, ledger, symbol="RENAMED")

    assert (first.opening.number, second.opening.number) == (1, 2)
    assert (second.opening.level, second.evaluation.significance.level) == (0.0125, 0.0125)
    assert "the significance level is 1.25%" in second.evaluation.verdict


def test_an_opening_travels_with_the_looks_of_its_training(trained: Trained, ledger: Ledger, tmp_path: Path) -> None:
    unseal(trained, ledger)
    with closing(Ledger(tmp_path / "elsewhere.sqlite")) as elsewhere:
        elsewhere.merge(ledger.stored([trained.folder.name]))

        assert unseal(train(tmp_path / "op_4", {"UP": BARS}, training={"epochs": 1}), elsewhere).opening.number == 2


def test_other_bars_open_an_account_of_their_own(trained: Trained, ledger: Ledger, tmp_path: Path) -> None:
    unseal(trained, ledger)
    bars = planted_bars(200, seed=9)
    other = train(tmp_path / "op_3", {"UP": bars})

    assert unseal(other, ledger, bars).opening.number == 1


def test_an_opening_that_cannot_be_recorded_shows_nothing(tmp_path: Path) -> None:
    trained = train(tmp_path / "op_1", {"UP": BARS})
    damaged = tmp_path / "ledger.sqlite"
    damaged.write_bytes(b"no ledger at all" * 64)

    with closing(Ledger(damaged)) as ledger, pytest.raises(StorageError, match=r"ledger\.sqlite"):
        unseal(trained, ledger)

    assert not (trained.folder / "unsealed").exists()


def test_what_was_recorded_and_never_shown_counts_and_can_be_had_again(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = train(tmp_path / "op_1", {"UP": BARS})

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ktrdr.experiments.unseal.evaluate_part", killed)
        with pytest.raises(KeyboardInterrupt):
            unseal(trained, ledger)

    (look,) = ledger.looks()
    assert (look.closed_at, read_unsealing(trained.folder)) == (None, None)
    opened = unseal(trained, ledger)
    assert opened.opening.look_id == look.look_id
    assert [each.number for each in ledger.openings_of(look.look_id)] == [1]


def test_a_stop_before_the_opening_spends_nothing(trained: Trained, ledger: Ledger) -> None:
    stopped = run_unsealing(trained.folder, "Ada", reader({"UP": BARS}), ledger, stop_requested=lambda: True)

    assert stopped is None
    assert ledger.looks() == ()


def test_other_bars_than_those_of_the_training_are_refused(trained: Trained, ledger: Ledger) -> None:
    revised = BARS.with_columns(pl.col("close") * 1.0001)

    with pytest.raises(ConflictError, match="the stored bars of UP 1d are not those that the model was trained on"):
        unseal(trained, ledger, revised)
    assert ledger.looks() == ()


def test_bars_that_divide_differently_are_refused(tmp_path: Path, ledger: Ledger) -> None:
    trained = train(tmp_path / "op_1", {"UP": BARS})
    path = trained.folder / "model.json"
    card = json.loads(path.read_bytes())
    card["results"]["sealed"]["samples"] += 1
    path.write_text(json.dumps(card))

    with pytest.raises(ConflictError, match="no longer give the same samples"):
        unseal(trained, ledger)


def test_a_model_without_a_test_part_has_nothing_to_open(tmp_path: Path, ledger: Ledger) -> None:
    trained = train(tmp_path / "op_1", {"UP": BARS}, validation={})

    with pytest.raises(ConflictError, match="op_1 has no sealed test part"):
        unseal(trained, ledger)


def test_a_damaged_file_of_the_opening_seals_it_again(trained: Trained, ledger: Ledger) -> None:
    unseal(trained, ledger)
    (trained.folder / "unsealed" / "unsealing.json").write_bytes(b"{")

    assert read_unsealing(trained.folder) is None
    assert unseal(trained, ledger).opening.number == 1
    assert read_unsealing(trained.folder)


def test_the_levels_of_all_openings_together_stay_below_five_percent() -> None:
    levels = [opening_level(number) for number in range(1, 40)]

    assert levels[:3] == [0.025, 0.0125, 0.00625]
    assert sum(levels) == pytest.approx(0.05)
