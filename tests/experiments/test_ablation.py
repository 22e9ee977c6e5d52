"""What a model loses without each of its indicators, as trainings of the same bars that lack one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

import ktrdr
from ktrdr.errors import ConflictError
from ktrdr.experiments.ablation import ReducedModel, compare_reduced
from ktrdr.home import Home
from ktrdr.jobs.ablation_plan import AblationPlan, ablation_job
from ktrdr.market.store import BarStore
from ktrdr.payloads.ablations import AblationResults, TrainedWithout
from ktrdr.python_api import Training
from ktrdr.training.files import CARD, EVALUATED_ROWS, WEIGHTS
from tests.experiments.test_explain import STRATEGY
from tests.small_trainings import planted_bars

MODEL = STRATEGY.replace("MODEL", "mlp, layers: 1, hidden_size: 8").replace(
    "{name: rsi, period: 9, source: volume}", "{name: rsi, period: 30, source: volume}"
)
BARS = planted_bars(520)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    BarStore(Home(home).bars).merge("UP", "1d", BARS.head(500), "made up")
    return home


@pytest.fixture(scope="module")
def trained(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Training:
    trained = ktrdr.train(MODEL, "UP", output=tmp_path_factory.mktemp("models") / "model", home=home)
    BarStore(Home(home).bars).merge("UP", "1d", BARS, "made up")  # which are none of its business
    return trained


@pytest.fixture(scope="module")
def ablation(trained: Training, home: Path, tmp_path_factory: pytest.TempPathFactory) -> AblationResults:
    return ktrdr.explain(trained, drop_one=True, output=tmp_path_factory.mktemp("ablations") / "why", home=home)


def folder_of(ablation: AblationResults, name: str) -> Path:
    (operation,) = (each.operation_id for each in ablation.indicators if each.name == name)
    return Path(ablation.artifacts["ablation_plot"]).parents[2] / "models" / operation


def test_without_what_knows_the_outcome_the_model_is_worse_and_without_noise_it_is_not(
    ablation: AblationResults, trained: Training
) -> None:
    first, *others = ablation.indicators

    assert (first.name, {each.name for each in others}) == ("returns", {"noise", "indicators[1]"})
    assert first.lost is not None
    assert first.lost.lead > 0.1
    assert first.accuracy_lost is not None
    assert first.accuracy_lost > 0.1
    assert first.adjusted_p_value is not None
    assert first.adjusted_p_value < 0.01
    assert all((each.adjusted_p_value or 0.0) > 0.05 for each in others)
    assert "worse" in ablation.verdict
    assert "trained without returns" in ablation.verdict
    assert Path(ablation.artifacts["ablation_plot"]).read_bytes().startswith(b"\x89PNG")
    evaluation = trained.results.evaluation
    assert evaluation
    assert ablation.val_loss == trained.results.final_metrics.best_val_loss
    assert ablation.lead == evaluation.significance.hardest_baseline[1].lead


def test_each_training_is_that_of_the_strategy_without_it_on_the_bars_of_the_model(
    ablation: AblationResults, tmp_path: Path, trained: Training
) -> None:
    own = folder_of(ablation, "noise")
    home = tmp_path / "home"
    BarStore(Home(home).bars).merge("UP", "1d", BARS.head(500), "made up")
    without = MODEL.replace("{name: rsi, period: 5, source: volume, as: noise}, ", "")
    assert without != MODEL

    plain = ktrdr.train(without, "UP", output=tmp_path / "plain", home=home)

    assert (own / WEIGHTS).read_bytes() == (plain.folder / WEIGHTS).read_bytes()
    (each,) = (each for each in ablation.indicators if each.name == "noise")
    assert each.val_loss == plain.results.final_metrics.best_val_loss


def test_every_training_is_a_try_and_none_has_seen_a_sealed_row_of_the_model(
    ablation: AblationResults, trained: Training, home: Path
) -> None:
    looks = ktrdr.looks(home=home)

    assert looks["kind"].to_list() == ["training", *["trial"] * 3]
    assert (looks["account"].n_unique(), set(looks["part"])) == (1, {"validation"})
    assert trained.results.sealed is not None
    for each in ablation.indicators:
        seen = pl.read_parquet(folder_of(ablation, each.name) / EVALUATED_ROWS)["timestamp"].max()
        assert seen < trained.results.sealed.first  # type: ignore[operator]
    # Without the longest warm-up there are more samples, so that the last ones are sealed: those of all are compared.
    evaluation = trained.results.evaluation
    assert evaluation
    assert evaluation.samples - 10 < ablation.samples < evaluation.samples


def test_a_strategy_of_one_indicator_has_none_to_leave_out(home: Path, tmp_path: Path) -> None:
    text = MODEL.split("features:")[0].replace("epochs: 12", "epochs: 1") + "indicators: [{name: rsi}]\n"
    trained = ktrdr.train(text + "features: {returns: false}\n", "UP", output=tmp_path / "model", home=home)

    with pytest.raises(ConflictError, match="0 sources of features that can be left out") as refused:
        ktrdr.explain(trained, drop_one=True, output=tmp_path / "why", home=home)

    assert "ktrdr models explain" in refused.value.hint
    (trained.folder / EVALUATED_ROWS).unlink()
    (trained.folder / CARD).write_text((trained.folder / CARD).read_text().replace("returns: false", "returns: true"))
    with pytest.raises(ConflictError, match="no stored predictions"):
        ktrdr.explain(trained, drop_one=True, output=tmp_path / "old", home=home)


def test_where_the_bars_have_changed_nothing_is_trained(trained: Training, tmp_path: Path) -> None:
    BarStore(Home(tmp_path / "home").bars).merge("UP", "1d", planted_bars(500, seed=9), "made up")

    with pytest.raises(ConflictError, match="UP 1d are not those that the model was trained on"):
        ktrdr.explain(trained, drop_one=True, output=tmp_path / "why", home=tmp_path / "home")

    assert not (tmp_path / "why").exists()
    assert len(ktrdr.looks(home=tmp_path / "home")) == 0


def test_trainings_of_other_bars_or_rows_are_not_compared(
    trained: Training, ablation: AblationResults, tmp_path: Path
) -> None:
    folder = tmp_path / "reduced"
    shutil.copytree(folder_of(ablation, "noise"), folder)
    reduced = [ReducedModel(TrainedWithout(name="noise", indicator="rsi", operation_id="op_1"), folder)]
    rows = pl.read_parquet(folder / EVALUATED_ROWS)
    rows.with_columns(pl.col("timestamp").dt.offset_by("1h")).write_parquet(folder / EVALUATED_ROWS)

    with pytest.raises(ConflictError, match="share no validation samples"):
        compare_reduced("op_0", trained.folder, reduced, (), tmp_path)

    card = json.loads((folder / CARD).read_bytes())
    (folder / CARD).write_text(json.dumps(card | {"data_sha256": {}}))
    with pytest.raises(ConflictError, match="the bars have changed since the model was trained: op_1"):
        compare_reduced("op_0", trained.folder, reduced, (), tmp_path)


def test_bars_of_another_symbol_are_in_use_while_an_ablation_runs(home: Path, tmp_path: Path) -> None:
    BarStore(Home(home).bars).merge("OTHER", "1d", BARS, "made up")
    strategy = MODEL.replace("{name: rsi, period: 30, source: volume}", "{name: rsi, period: 5, symbol: OTHER}")
    other = ktrdr.train(strategy, "UP", output=tmp_path / "model", home=home)

    job = ablation_job("op_training", other.folder)

    assert job.uses("OTHER", "1d")
    assert job.uses("UP", "1d")
    assert not job.uses("OTHER", "1h")
    assert AblationPlan("op_ablation", job).training_of(0).uses("OTHER", "1d")
