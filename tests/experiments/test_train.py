from __future__ import annotations

import errno
import json
import logging
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import astuple, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from ktrdr.errors import ArtifactNotFound, CheckpointMismatch, StorageError, TrainingDiverged
from ktrdr.experiments.train import ReadBars
from ktrdr.experiments.train import run_training as run_relative
from ktrdr.features.assemble import build_dataset
from ktrdr.ledger.recorder import Unrecorded
from ktrdr.market.series_file import StoredBars
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.payloads.training import TrainingResults
from ktrdr.saved_models.trained_model import load_model
from ktrdr.training import checkpoint
from ktrdr.training.checkpoint import load_latest
from ktrdr.training.observer import EpochMetrics, Phase, SilentObserver
from ktrdr.training.request import TrainingRequest
from tests.bars import Series, every_source
from tests.features.series import days
from tests.saved_trainings import strategy


def run_training(request: TrainingRequest, *inputs: Any, **options: Any) -> TrainingResults:
    """Its results, with whole paths."""
    return run_relative(request, *inputs, **{"looks": Unrecorded(), **options}).under(request.output)


def weights(outcome: TrainingResults) -> dict[str, torch.Tensor]:
    return dict(load_file(outcome.model_path))


def same_bits(one: TrainingResults, other: TrainingResults) -> bool:
    ours, theirs = weights(one), weights(other)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def losses(outcome: TrainingResults) -> list[tuple[float, ...]]:
    return table_of(Path(outcome.artifacts["metrics_table"]))


def table_of(path: Path) -> list[tuple[float, ...]]:
    """Everything that must come out the same again."""
    return pl.read_parquet(path).drop("duration", "ended_at").rows()


def cut_short(stored: StoredBars) -> StoredBars:
    return replace(stored, frame=stored.frame.head(-1))


class StopAt(SilentObserver):
    """Asks to stop once a certain batch of a certain epoch was told."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.wanted, self.reached = (epoch, batch), False

    def on_batch(self, epoch: int, batch: int, batches: int, samples_seen: int) -> None:
        self.reached = self.reached or (epoch, batch) >= self.wanted

    def stop_requested(self) -> bool:
        return self.reached


def test_a_planted_signal_is_learned_and_everything_told(
    make_request: Any, read_bars: ReadBars, recorder: Any, caplog: pytest.LogCaptureFixture
) -> None:
    request = make_request()

    with caplog.at_level(logging.DEBUG, logger="ktrdr"):
        outcome = run_training(request, read_bars, recorder)

    assert outcome.status == "success"
    assert recorder.phases == list(Phase)
    evaluation = outcome.evaluation
    assert evaluation is not None
    assert evaluation.accuracy > 0.8
    naive = [evaluation.baselines[name].accuracy for name in ("majority", "persistence", "shuffled_control")]
    assert evaluation.accuracy > max(naive) + 0.2
    assert evaluation.significance.beats_baselines
    assert outcome.leak_gate is not None
    assert outcome.leak_gate.passed
    table = pl.read_parquet(outcome.artifacts["metrics_table"])
    assert table.drop("ended_at").rows() == [astuple(metrics)[:-1] for metrics in recorder.epochs]
    assert table["ended_at"].is_sorted()
    assert timedelta(0) < datetime.now(UTC) - table["ended_at"][-1] < timedelta(minutes=1)
    assert not recorder.replayed
    final = outcome.final_metrics
    best = recorder.epochs[(final.best_epoch or 0) - 1]
    assert (final.best_val_loss, final.best_val_accuracy) == (best.val_loss, best.val_accuracy)
    assert (final.final_train_loss, final.final_val_loss) == (
        recorder.epochs[-1].train_loss,
        recorder.epochs[-1].val_loss,
    )
    assert final.total_epochs == 6
    assert evaluation.accuracy == pytest.approx(best.val_accuracy)
    assert set(outcome.phases_seconds) == {name.lower() for name in Phase.__members__} - {"completed"}
    json.dumps(outcome.model_dump(mode="json"), allow_nan=False)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("ktrdr")]
    assert [line for line in lines if line.startswith("on_epoch 3/6: train_loss=")]
    assert lines[-1] == "Training completed successfully"
    assert not [line for line in lines if any(word in line for word in ("failed", "Exception", "Traceback"))]
    assert all(Path(path).is_file() for path in outcome.artifacts.values())


@pytest.mark.parametrize("model", ["lstm", "tcn"])
def test_a_loaded_model_says_the_same_bits(model: str, make_request: Any, read_bars: ReadBars) -> None:
    request = make_request(model={"type": model, "layers": 2, "dropout": 0.1}, epochs=2)
    outcome = run_training(request, read_bars, SilentObserver())

    loaded = load_model(request.output)

    bars = {symbol: SymbolBars({"1d": read_bars(symbol, "1d").frame}) for symbol in request.symbols}
    dataset = build_dataset(request.strategy, bars)
    length = dataset.sequence_length
    windows = torch.stack([torch.from_numpy(dataset.values[i - length + 1 : i + 1]) for i in dataset.validation.ends])
    predicted = loaded.module(windows).argmax(1).numpy()
    assert outcome.evaluation is not None
    assert (predicted == dataset.validation.labels).mean() == outcome.evaluation.accuracy
    assert all(torch.equal(tensor, weights(outcome)[name]) for name, tensor in loaded.module.state_dict().items())
    again = load_model(request.output)
    assert torch.equal(loaded.module(windows), again.module(windows))
    assert loaded.feature_names == dataset.feature_names
    assert (loaded.scaler.center == dataset.scaler.center).all()


def test_an_empty_folder_holds_no_model(tmp_path: Path) -> None:
    with pytest.raises(ArtifactNotFound, match="there is no model in"):
        load_model(tmp_path)


def test_the_same_inputs_give_the_same_bits(make_request: Any, read_bars: ReadBars) -> None:
    settings: dict[str, Any] = {"model": {"layers": 2, "dropout": 0.2}, "epochs": 3}
    first = run_training(make_request("first", **settings), read_bars, SilentObserver())
    second = run_training(make_request("second", **settings), read_bars, SilentObserver())
    other = run_training(make_request("other", **settings, seed=7), read_bars, SilentObserver())

    assert same_bits(first, second)
    assert losses(first) == losses(second)
    assert first.evaluation == second.evaluation
    assert not same_bits(first, other)


@pytest.mark.parametrize(("epoch", "batch", "optimizer"), [(1, 1, "adam"), (4, 5, "sgd"), (6, 13, "adamw")])
def test_a_stopped_training_goes_on_to_the_same_bits(
    epoch: int,
    batch: int,
    optimizer: str,
    make_request: Any,
    read_bars: ReadBars,
    recorder: Any,
) -> None:
    settings: dict[str, Any] = {"model": {"layers": 2, "dropout": 0.2}, "optimizer": optimizer}
    settings["early_stopping"] = {"patience": 6}
    whole, part, rest = (make_request(name, **settings) for name in ("whole", "part", "rest"))
    uninterrupted = run_training(whole, read_bars, SilentObserver())
    stopper = StopAt(epoch, batch)
    stopped = run_training(part, read_bars, stopper, stopper.stop_requested)
    assert (stopped.status, stopped.final_metrics.total_epochs) == ("cancelled", epoch - 1)

    resumed = run_training(rest, read_bars, recorder, resume_from=part.output)

    assert resumed.status == "success"
    assert same_bits(resumed, uninterrupted)
    assert losses(resumed) == losses(uninterrupted)
    assert resumed.evaluation == uninterrupted.evaluation
    last, expected = last_state(rest.output), last_state(whole.output)
    assert last.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in last.items())
    # The epochs before the stop are told again, so that the new operation has them all, with the instants they had.
    assert [metrics.epoch for metrics in recorder.epochs] == [1, 2, 3, 4, 5, 6]
    assert len(recorder.replayed) == epoch - 1
    if epoch > 1:
        before = pl.read_parquet(stopped.artifacts["metrics_table"])["ended_at"]
        assert [metrics.ended_at for metrics in recorder.replayed] == pytest.approx(
            [instant.timestamp() for instant in before], abs=1e-5
        )
        assert pl.read_parquet(resumed.artifacts["metrics_table"])["ended_at"].head(epoch - 1).equals(before)


def last_state(output: Path) -> dict[str, torch.Tensor]:
    latest = load_latest(output / "checkpoints")
    assert latest is not None
    return {name: t for name, t in latest.tensors.items() if name.startswith(("model.", "optimizer."))}


def test_a_cancelled_training_gives_what_there_is(make_request: Any, read_bars: ReadBars, recorder: Any) -> None:
    request = make_request()

    outcome = run_training(request, read_bars, recorder, lambda: len(recorder.batches) > 30)

    assert outcome.status == "cancelled"
    assert Phase.COMPLETED not in recorder.phases
    assert outcome.final_metrics.total_epochs == len(recorder.epochs) == 2
    assert outcome.evaluation is not None
    assert load_model(request.output).class_names == ("down", "up")
    assert "2 of 6 epochs, then cancelled" in Path(outcome.artifacts["model_summary"]).read_text()


def test_a_stop_after_the_last_epoch_is_a_cancel_too_and_a_resume_ends_with_the_same_bits(
    make_request: Any, read_bars: ReadBars, recorder: Any
) -> None:
    whole, part, rest = make_request("whole"), make_request("part"), make_request("rest")
    uninterrupted = run_training(whole, read_bars, SilentObserver())

    stopped = run_training(part, read_bars, recorder, lambda: recorder.phases[-1] == Phase.EVALUATING)
    resumed = run_training(rest, read_bars, SilentObserver(), resume_from=part.output)

    assert (stopped.status, stopped.final_metrics.total_epochs) == ("cancelled", 6)
    assert stopped.evaluation is not None
    assert "shuffled_control" not in stopped.evaluation.baselines
    assert same_bits(resumed, uninterrupted)
    assert resumed.evaluation == uninterrupted.evaluation


def test_cancelled_before_the_first_epoch_there_is_no_model(make_request: Any, read_bars: ReadBars) -> None:
    request = make_request()

    outcome = run_training(request, read_bars, SilentObserver(), lambda: True)

    assert (outcome.status, outcome.final_metrics.total_epochs) == ("cancelled", 0)
    assert (outcome.model_path, outcome.artifacts, outcome.evaluation) == ("", {}, None)
    assert outcome.final_metrics.best_val_loss is None
    json.dumps(outcome.model_dump(mode="json"), allow_nan=False)


def test_resume_refuses_other_bars_and_another_strategy(make_request: Any, read_bars: ReadBars) -> None:
    part = make_request("part")
    stopper = StopAt(2, 1)
    run_training(part, read_bars, stopper, stopper.stop_requested)

    with pytest.raises(CheckpointMismatch, match="bars of DOWN 1d differ"):
        run_training(
            make_request("bars"),
            lambda symbol, of: cut_short(read_bars(symbol, of)) if symbol == "DOWN" else read_bars(symbol, of),
            SilentObserver(),
            resume_from=part.output,
        )
    with pytest.raises(CheckpointMismatch, match=r"strategy.training.learning_rate differ"):
        run_training(make_request("rate", learning_rate=0.02), read_bars, SilentObserver(), resume_from=part.output)


def test_a_diverged_training_keeps_its_last_good_epoch(make_request: Any, read_bars: ReadBars) -> None:
    class Poison(SilentObserver):
        def on_epoch(self, metrics: EpochMetrics, *, replayed: bool = False) -> None:
            if metrics.epoch == 2:
                torch.nn.Module.__call__ = poisoned  # type: ignore[method-assign]

    honest = torch.nn.Module.__call__

    def poisoned(module: torch.nn.Module, *inputs: Any) -> Any:
        result = honest(module, *inputs)
        return result * math.nan if module.__class__.__name__ == "LSTMModel" else result

    request = make_request()
    try:
        with pytest.raises(TrainingDiverged, match="in epoch 3"):
            run_training(request, read_bars, Poison())
    finally:
        torch.nn.Module.__call__ = honest  # type: ignore[method-assign]

    latest = load_latest(request.output / "checkpoints")
    assert latest is not None
    assert len(latest.history) == 2


def test_a_full_disk_is_named_and_earlier_files_stay(
    make_request: Any, read_bars: ReadBars, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = make_request(epochs=1)
    outcome = run_training(request, read_bars, SilentObserver())
    before = {path: Path(path).read_bytes() for path in outcome.artifacts.values()}

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="the disk is full") as refused:
        run_training(request, read_bars, SilentObserver())

    assert refused.value.hint == "Free some space, then resume it or start it again."
    assert {path: Path(path).read_bytes() for path in before} == before


CHILD = """
import sys
import time
from pathlib import Path
sys.path.insert(0, {tests!r})
from ktrdr.ledger.recorder import Unrecorded
from ktrdr.market.series_file import StoredBars
from ktrdr.strategy.spec import Strategy
from ktrdr.experiments.train import run_training
from ktrdr.training.observer import SilentObserver
from ktrdr.training.request import TrainingRequest
from tests.small_trainings import planted_bars
strategy = Strategy.model_validate_json({strategy!r})
request = TrainingRequest("child", strategy, "tides", "", ("UP", "DOWN"), None, None, Path({output!r}))
series = {{"UP": StoredBars(planted_bars(seed=1), "planted"), "DOWN": StoredBars(planted_bars(seed=2), "planted")}}
class Slow(SilentObserver):
    def on_epoch(self, *_, **__):
        time.sleep({pause})
run_training(request, lambda symbol, _: series[symbol], Slow(), looks=Unrecorded())
"""


def child_of(request: TrainingRequest, pause: float = 0.0) -> subprocess.Popen[bytes]:
    script = CHILD.format(
        tests=str(Path(__file__).parents[2]),
        strategy=request.strategy.model_dump_json(),
        output=str(request.output),
        pause=pause,
    )
    return subprocess.Popen([sys.executable, "-c", script])


@pytest.mark.processes
def test_another_process_gives_the_same_bits(make_request: Any, read_bars: ReadBars) -> None:
    here = make_request("here", model={"layers": 2, "dropout": 0.2}, epochs=2)
    there = replace(here, output=here.output.with_name("there"))
    ours = run_training(here, read_bars, SilentObserver())

    with child_of(there) as child:
        child.communicate(timeout=60)

    assert child.returncode == 0
    theirs = load_file(there.output / "model.safetensors")
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in weights(ours).items())
    assert losses(ours) == table_of(there.output / "metrics.parquet")


@pytest.mark.processes
def test_a_killed_training_goes_on_to_the_same_bits(make_request: Any, read_bars: ReadBars) -> None:
    settings: dict[str, Any] = {"model": {"layers": 2, "dropout": 0.2}, "epochs": 5}
    whole, rest = make_request("whole", **settings), make_request("rest", **settings)
    killed = replace(whole, output=whole.output.with_name("killed"))
    uninterrupted = run_training(whole, read_bars, SilentObserver())

    with child_of(killed, pause=0.6) as child:
        deadline = time.monotonic() + 60
        while not list(killed.output.glob("checkpoints/epoch-*[1-9].safetensors")) and time.monotonic() < deadline:
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
    latest = load_latest(killed.output / "checkpoints")
    assert latest is not None
    assert 0 < len(latest.history) < 5

    resumed = run_training(rest, read_bars, SilentObserver(), resume_from=killed.output)

    assert same_bits(resumed, uninterrupted)
    assert losses(resumed) == losses(uninterrupted)


def test_checkpoints_of_short_epochs_are_few(
    make_request: Any, read_bars: ReadBars, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []
    write = checkpoint.write
    monkeypatch.setattr(checkpoint, "write", lambda *given: written.append(write(*given)))

    run_training(make_request(epochs=20, model={"type": "mlp"}), read_bars, SilentObserver())

    assert 1 <= len(written) < 10


@every_source
def test_bars_of_two_symbols_train_to_a_model_and_an_account(make_request: Any, series: Series) -> None:
    def read(symbol: str, _: str) -> StoredBars:
        return StoredBars(series(f"{symbol}_1d").tail(500), {"AAPL": "sample", "MSFT": "csv"}[symbol])

    request = replace(make_request(epochs=2), symbols=("AAPL", "MSFT"))

    outcome = run_training(request, read, SilentObserver())

    card = json.loads(Path(outcome.artifacts["model_card"]).read_text())
    assert card["symbols"] == ["AAPL", "MSFT"]
    assert card["feature_names"] == list(load_model(request.output).feature_names)
    assert card["data_providers"] == {"AAPL": {"1d": "sample"}, "MSFT": {"1d": "csv"}}
    assert {len(digests["1d"]) for digests in card["data_sha256"].values()} == {64}
    assert card["results"]["final_metrics"] == outcome.final_metrics.model_dump()
    assert card["strategy_text"] == request.strategy_text


def test_a_fold_names_the_symbols_that_it_leaves_out(tmp_path: Path) -> None:
    """In results, card and summary; its model knows the others alone."""
    spec = strategy("mlp", validation={"type": "walk_forward", "folds": 2}, training={"epochs": 1})
    bars = {"OLD": days(0, 800), "YOUNG": days(640, 800, seed=1), "GONE": days(0, 250, seed=2)}
    request = TrainingRequest("op_fold", spec, "x", "name: x", tuple(bars), None, None, tmp_path)

    outcome = run_training(request, lambda symbol, each: StoredBars(bars[symbol][each], "made"), SilentObserver())

    assert outcome.preflight is not None
    assert [row.symbol for row in outcome.preflight.symbols] == ["OLD", "GONE"]
    named = {row.symbol: (row.parts, f"{row.first:%Y-%m-%d}") for row in outcome.preflight.left_out}
    assert named == {
        "YOUNG": (("train", "validation"), "2021-10-02"),
        "GONE": (("validation",), "2020-01-01"),
    }
    card = json.loads((tmp_path / "model.json").read_text())
    assert (card["symbols"], list(card["first_windows"])) == (["OLD", "YOUNG", "GONE"], ["OLD", "GONE"])
    assert [row["symbol"] for row in card["left_out"]] == ["YOUNG", "GONE"]
    summary = (tmp_path / "summary.txt").read_text()
    assert "YOUNG (bars from 2021-10-02" in summary
    assert load_model(tmp_path).symbols.keys() == {"OLD", "GONE"}
