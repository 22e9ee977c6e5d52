"""When a training's look is in the ledger, and what it comes to."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from ktrdr.errors import StorageError
from ktrdr.experiments.train import ReadBars, run_training
from ktrdr.ledger.store import Ledger
from ktrdr.payloads.looks import Look
from ktrdr.payloads.training import TrainingResults
from ktrdr.training.files import CARD
from ktrdr.training.observer import EpochMetrics, SilentObserver
from ktrdr.training.request import TrainingRequest
from tests.small_trainings import MakeRequest


class Reader(SilentObserver):
    """Reads the ledger whenever an epoch is reported, and asks to stop after some epochs."""

    def __init__(self, ledger: Ledger, stop_after: int = 99) -> None:
        self.ledger, self.stop_after = ledger, stop_after
        self.seen: list[tuple[Look, ...]] = []

    def on_epoch(self, metrics: EpochMetrics, *, replayed: bool = False) -> None:
        self.seen.append(self.ledger.looks())

    def stop_requested(self) -> bool:
        return len(self.seen) >= self.stop_after


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "home" / "ledger.sqlite")


@pytest.fixture
def request_(make_request: MakeRequest) -> TrainingRequest:
    """Lean, so that no pictures are drawn."""
    return replace(make_request(model={"hidden_size": 4}, epochs=2), is_lean=True)


def train(request: TrainingRequest, read_bars: ReadBars, ledger: Ledger) -> tuple[TrainingResults, Reader]:
    reader = Reader(ledger)
    return run_training(request, read_bars, reader, looks=ledger), reader


def test_a_look_is_recorded_before_the_first_epoch_and_closed_with_the_figures_of_the_results(
    request_: TrainingRequest, read_bars: ReadBars, ledger: Ledger
) -> None:
    results, reader = train(request_, read_bars, ledger)

    (before,) = reader.seen[0]
    assert (before.operation_id, before.kind, before.part) == (request_.operation_id, "trial", "validation")
    assert before.closed_at is None
    assert before.symbols == ("UP", "DOWN")

    (look,) = ledger.looks()
    evaluation, backtest = results.evaluation, results.backtest
    assert evaluation
    assert backtest
    assert look.figures
    assert look.figures.accuracy == evaluation.accuracy
    assert look.figures.over is not None
    assert look.figures.lead == evaluation.significance.against[look.figures.over].lead
    assert look.figures.sharpe == backtest.model.sharpe
    assert look.samples == evaluation.samples


def test_the_series_add_up_to_the_figures(request_: TrainingRequest, read_bars: ReadBars, ledger: Ledger) -> None:
    results, _ = train(request_, read_bars, ledger)

    account = ledger.account_of(ledger.looks()[0].look_id)
    (series,) = account.series.values()
    evaluation, backtest = results.evaluation, results.backtest
    assert evaluation
    assert backtest
    assert evaluation.significance.timing
    assert series.samples.sum() == evaluation.samples
    for name in account.baselines:
        lead = evaluation.significance.against[name].lead
        assert account.gains(name).values.sum() / evaluation.samples == pytest.approx(lead, abs=1e-6)
    agreement = account.agreement().values.sum() / evaluation.samples
    assert agreement == pytest.approx(evaluation.significance.timing.lead, abs=1e-6)
    assert np.prod(1 + account.returns().values) - 1 == pytest.approx(backtest.model.total_return, abs=1e-5)
    assert series.instants[0] == np.datetime64(ledger.looks()[0].first.replace(tzinfo=None))


def test_a_cancelled_training_stays_as_a_try_and_its_resumption_is_the_same_one(
    request_: TrainingRequest, read_bars: ReadBars, ledger: Ledger
) -> None:
    run_training(request_, read_bars, SilentObserver(), lambda: True, looks=ledger)
    (stopped,) = ledger.looks()
    assert stopped.closed_at is None

    again = replace(request_, operation_id="resumed", output=request_.output.with_name("resumed"))
    run_training(again, read_bars, SilentObserver(), resume_from=request_.output, looks=ledger)

    account = ledger.account_of(stopped.look_id)
    assert len(account.looks) == 2
    assert [look.operation_id for look in account.tries] == ["resumed"]
    assert account.without_series == 0


def test_other_names_of_strategy_and_symbols_are_no_other_try_and_another_seed_is(
    request_: TrainingRequest, read_bars: ReadBars, ledger: Ledger
) -> None:
    train(request_, read_bars, ledger)
    renamed = replace(
        request_,
        strategy=request_.strategy.model_copy(update={"name": "Quite another"}),
        symbols=("A", "B"),
        output=request_.output.with_name("second"),
    )
    train(renamed, lambda symbol, timeframe: read_bars({"A": "UP", "B": "DOWN"}[symbol], timeframe), ledger)
    seeded = request_.strategy.training.model_copy(update={"seed": 7})
    other = replace(
        request_,
        strategy=request_.strategy.model_copy(update={"training": seeded}),
        output=request_.output.with_name("third"),
    )
    train(other, read_bars, ledger)

    (account,) = ledger.accounts()
    assert (account.looks, account.tries) == (3, 2)


def test_a_trial_and_its_full_training_are_one_try_with_the_same_series(
    request_: TrainingRequest, read_bars: ReadBars, ledger: Ledger
) -> None:
    train(request_, read_bars, ledger)
    (trial,) = ledger.looks()
    before = ledger.account_of(trial.look_id)

    train(replace(request_, is_lean=False, output=request_.output.with_name("full")), read_bars, ledger)

    assert [look.kind for look in ledger.looks()] == ["trial", "training"]
    account = ledger.account_of(ledger.looks()[1].look_id)
    assert len(account.tries) == 1
    assert np.array_equal(account.gains("majority").values, before.gains("majority").values)
    assert np.array_equal(account.returns().values, before.returns().values)


def test_a_training_whose_ledger_cannot_be_written_shows_no_figure(
    request_: TrainingRequest, read_bars: ReadBars, ledger: Ledger
) -> None:
    ledger.path.parent.mkdir()
    ledger.path.write_bytes(b"no database" * 1000)
    reader = Reader(Ledger(ledger.path.with_name("other.sqlite")))

    with pytest.raises(StorageError, match=r"ledger\.sqlite is damaged: file is not a database") as refused:
        run_training(request_, read_bars, reader, looks=ledger)

    assert "ktrdr doctor" in refused.value.hint
    assert reader.seen == []
    assert not (request_.output / CARD).exists()
    assert ledger.path.read_bytes() == b"no database" * 1000


def test_a_look_that_cannot_be_closed_leaves_no_file_with_figures(
    request_: TrainingRequest, read_bars: ReadBars, ledger: Ledger
) -> None:
    class Breaking(SilentObserver):
        def on_epoch(self, metrics: EpochMetrics, *, replayed: bool = False) -> None:
            with closing(sqlite3.connect(ledger.path)) as database:
                database.execute("DROP TABLE IF EXISTS axes")

    with pytest.raises(StorageError, match="is damaged: no such table: axes"):
        run_training(request_, read_bars, Breaking(), looks=ledger)

    assert not (request_.output / CARD).exists()
    assert [look.closed_at for look in ledger.looks()] == [None]


def test_instants_are_those_at_which_bars_close(request_: TrainingRequest, read_bars: ReadBars, ledger: Ledger) -> None:
    results, _ = train(request_, read_bars, ledger)

    (look,) = ledger.looks()
    assert results.evaluation
    day = timedelta(days=1)
    assert (look.first, look.last) == (results.evaluation.first + day, results.evaluation.last + day)
