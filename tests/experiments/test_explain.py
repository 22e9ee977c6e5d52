"""What a model depends on: the indicator that knows the outcome, and not one that knows nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

import ktrdr
from ktrdr.evaluation.importance import holm
from ktrdr.home import Home
from ktrdr.market.store import BarStore
from ktrdr.python_api import Training
from tests.small_trainings import planted_bars

STRATEGY = """
name: Explained
timeframes: [1d]
model: {type: MODEL, sequence_length: 3}
training: {epochs: 12, learning_rate: 0.02, batch_size: 32}
features: {returns: true}
indicators: [{name: rsi, period: 5, source: volume, as: noise}, {name: rsi, period: 9, source: volume}]
controls: {shuffled_labels: none}
validation: {test: 0.2}
"""
BARS = planted_bars(500)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    BarStore(Home(home).bars).merge("UP", "1d", BARS, "made up")
    return home


def train(home: Path, output: Path, model: str = "mlp", more: str = "") -> Training:
    return ktrdr.train(STRATEGY.replace("MODEL", model) + more, "UP", output=output, home=home)


@pytest.fixture(scope="module")
def trained(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Training:
    return train(home, tmp_path_factory.mktemp("models") / "model", "mlp, layers: 1, hidden_size: 8")


def test_what_knows_the_outcome_comes_first_and_noise_is_not_named(
    trained: Training, home: Path, tmp_path: Path
) -> None:
    found = ktrdr.explain(trained, output=tmp_path / "why", home=home)

    best, *others = found.groups
    assert (best.name, best.features) == ("returns", ("log_return",))
    assert {group.name for group in others} == {"noise", "indicators[1]"}
    assert best.adjusted_p_value < 0.01
    assert best.importance.lead > 0.1
    assert best.accuracy_lost > 0.1
    assert all(group.adjusted_p_value > 0.05 for group in others)
    assert "depends on returns" in found.verdict
    assert "noise" not in found.verdict
    assert Path(found.artifacts["importance_plot"]).read_bytes().startswith(b"\x89PNG")


def test_it_looks_at_validation_rows_alone_and_says_the_same_again(
    trained: Training, home: Path, tmp_path: Path
) -> None:
    evaluation = trained.results.evaluation
    assert evaluation
    before = len(ktrdr.looks(home=home))

    one, other = (ktrdr.explain(trained, output=tmp_path / name, home=home) for name in "ab")

    assert (one.samples, one.first, one.last) == (evaluation.samples, evaluation.first, evaluation.last)
    assert one.groups == other.groups
    assert len(ktrdr.looks(home=home)) == before


@pytest.mark.parametrize(
    ("model", "more"),
    [("gradient_boosting", ""), ("mlp, layers: 1, hidden_size: 8", "labels: {type: forward_return}\n")],
)
def test_trees_and_regressions_are_explained_too(model: str, more: str, home: Path, tmp_path: Path) -> None:
    text = STRATEGY.replace("training: {epochs: 12, learning_rate: 0.02, batch_size: 32}\n", "training: {epochs: 20}\n")
    trained = ktrdr.train(text.replace("MODEL", model) + more, "UP", output=tmp_path / "model", home=home)

    found = ktrdr.explain(trained, repeats=3, output=tmp_path / "why", home=home)

    assert found.measure == ("squared_error" if more else "log_loss")
    first, *others = found.groups
    assert first.name == "returns"
    if model == "gradient_boosting":
        assert sum(group.gain or 0.0 for group in found.groups) == pytest.approx(1.0)
        assert first.gain is not None
        assert first.gain > 0.9
        assert all(group.splits is not None and first.splits > group.splits for group in others)  # type: ignore[operator]
    else:
        assert {(group.gain, group.splits) for group in found.groups} == {(None, None)}


def test_holm_counts_all_groups() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
