from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.ft2font import FT2Font

from ktrdr.errors import StorageError
from ktrdr.evaluation.backtest import backtest
from ktrdr.evaluation.baselines import Guess
from ktrdr.evaluation.evaluate import evaluate
from ktrdr.experiments.evaluate_model import sealed_part
from ktrdr.features.assemble import build_dataset
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.payloads.backtest import EquityCurve
from ktrdr.payloads.evaluation import Breakdown, GroupLead
from ktrdr.payloads.looks import Opening
from ktrdr.payloads.unsealing import UnsealingResults
from ktrdr.plot_style import new_figure, png
from ktrdr.reports import (
    TrainingReport,
    equity_plot,
    plot_equity,
    plot_metrics,
    plot_test_equity,
    summary,
    unsealing_summary,
)
from ktrdr.reports.plot_labels import spread
from ktrdr.strategy.spec import Strategy
from ktrdr.training.architectures.model import layers
from ktrdr.training.families import build_model
from ktrdr.training.fingerprint import Fingerprint
from ktrdr.training.observer import EpochMetrics
from tests.sample_results import final_metrics, leak_gate, preflight_report, training
from tests.small_trainings import planted_bars

BARS = {"UP": SymbolBars({"1d": planted_bars(seed=1)}), "DOWN": SymbolBars({"1d": planted_bars(seed=2)})}
LSTM = {"type": "lstm", "layers": 1, "hidden_size": 12, "sequence_length": 5}


def report_of(model: dict[str, Any] = LSTM, **sections: Any) -> TrainingReport:
    document = {"name": "Turning tides", "model": model, "indicators": [{"name": "rsi", "period": 5}], **sections}
    strategy = Strategy.model_validate(document).on(["1d"])
    dataset = build_dataset(strategy, BARS)
    network = build_model(strategy.model, len(dataset.feature_names), dataset.outputs)
    frames = {symbol: frames["1d"] for symbol, frames in BARS.items()}
    outputs = noise(len(dataset.validation.labels), dataset.outputs)
    guess = Guess(outputs[:, 0].astype(np.float64) if dataset.is_regression else outputs.argmax(axis=1))
    results = training(
        final_metrics=final_metrics(best_epoch=4),
        evaluation=evaluate(outputs, dataset, dataset.validation),
        backtest=backtest(guess, dataset.validation, dataset, frames, strategy).result,
        sealed=sealed_part(dataset),
        leak_gate=leak_gate("No leak was found."),
        preflight=preflight_report(warnings=("few samples", "class up is rare")),
    )
    return TrainingReport(
        request_of(strategy),
        dataset,
        Fingerprint(strategy.model_dump(mode="json"), 0, {"UP": {"1d": "a" * 64}, "DOWN": {"1d": "b" * 64}}),
        {"UP": {"1d": "sample"}, "DOWN": {"1d": "synthetic"}},
        tuple(layers(network)),
        history_of(10),
        results,
    )


def with_results(report: TrainingReport, **changes: Any) -> TrainingReport:
    return replace(report, results=report.results.model_copy(update=changes))


def noise(samples: int, outputs: int) -> Any:
    return np.random.default_rng(0).normal(size=(samples, outputs)).astype(np.float32)


def request_of(strategy: Strategy, **changes: Any) -> Any:
    given = {"operation_id": "op_1", "symbols": ("UP", "DOWN"), "start": None, "end": None, "output": Path("models")}
    return SimpleNamespace(strategy=strategy, **(given | changes))


def history_of(epochs: int) -> tuple[EpochMetrics, ...]:
    return tuple(
        EpochMetrics(n, 32 * n, 0.7 / n, 1 - 0.5 / n, 0.7 - 0.1 * math.sin(n), 0.5 + 0.01 * math.sin(n), 1e-3, 0.1, n)
        for n in range(1, epochs + 1)
    )


@pytest.fixture(scope="module")
def report() -> TrainingReport:
    return report_of()


@pytest.fixture(scope="module")
def regression() -> TrainingReport:
    boosting = {"type": "gradient_boosting", "leaves": 7}
    return report_of(boosting, labels={"type": "forward_return"}, validation={"type": "holdout", "test": 0.2})


def size_of(image: bytes) -> tuple[int, int]:
    assert image.startswith(b"\x89PNG")
    width, height = (int.from_bytes(image[start : start + 4], "big") for start in (16, 20))
    return width, height


@pytest.mark.parametrize("epochs", [1, 10, 200])
def test_the_plot_is_a_png_of_one_size_however_many_epochs(epochs: int, report: TrainingReport) -> None:
    first = with_results(report, final_metrics=final_metrics(best_epoch=1))

    image = plot_metrics(replace(first, history=history_of(epochs)))

    assert size_of(image) == (1320, 594)


def test_awkward_names_and_equal_values_are_drawn_all_the_same(report: TrainingReport) -> None:
    strategy = report.strategy.model_copy(update={"name": "costs $5 or $6_ " + "long " * 30})
    flat = tuple(replace(metrics, train_loss=0.0, val_loss=0.0, val_accuracy=1.0) for metrics in history_of(2))
    first = with_results(report, final_metrics=final_metrics(best_epoch=1))
    odd = replace(first, request=request_of(strategy), history=flat)

    assert size_of(plot_metrics(odd)) == (1320, 594)
    assert size_of(plot_equity(odd)) == (1320, 682)


def test_a_regression_is_drawn_too(regression: TrainingReport) -> None:
    assert size_of(plot_metrics(regression)) == (1320, 594)
    assert size_of(plot_equity(regression)) == (1320, 682)
    assert size_of(plot_test_equity(regression.backtest, "costs $5", ("UP", "DOWN"))) == (1320, 682)


@pytest.mark.parametrize("equity", [[1.0, 1.0, 1.0], [1.0, 40.0, 900.0], [0.5, 0.0, 0.0], [1.01]])
def test_equity_that_rests_soars_or_ends_is_drawn(equity: list[float], report: TrainingReport) -> None:
    days = tuple(datetime(2020, 1, day, tzinfo=UTC) for day in range(1, len(equity) + 1))
    curve = EquityCurve(timestamps=days, model=tuple(equity), buy_and_hold=(1.0,) * len(equity))
    drawn = with_results(report, backtest=report.backtest.model_copy(update={"equity": curve}))

    assert size_of(plot_equity(drawn)) == (1320, 682)


@pytest.mark.parametrize(
    ("lowest", "highest"), [(0.3, 2.0), (0.29, 1.9), (0.01, 0.9), (1.0, 7.0), (0.5, 400.0), (1.0, 1e6)]
)
def test_a_logarithmic_axis_has_several_labels_and_not_too_many(lowest: float, highest: float) -> None:
    axes = new_figure(5).subplots()

    assert equity_plot.scale_equity(axes, lowest, highest)

    low, high = axes.get_ylim()
    labels = [tick for tick in axes.yaxis.get_major_locator()() if low <= tick <= high]
    assert 3 <= len(labels) <= 12


def test_the_summary_begins_with_the_verdict_and_shows_every_rival(report: TrainingReport) -> None:
    page = summary(report, {"training": 5.0})

    titles = re.findall(r"^(.+)\n-+$", page, re.MULTILINE)
    assert titles[:3] == ["Verdict", "Validation rows", "Backtest on the validation rows"]
    assert "Test rows" not in titles
    flowing = " ".join(page.split())
    assert report.evaluation.verdict in flowing
    assert report.backtest.verdict in flowing
    assert re.search(r"^Leaks +No leak was found\.$", page, re.MULTILINE)
    assert re.search(r"^Preflight +Few samples\. Class up is rare\.$", page, re.MULTILINE)
    for name in ("this model", "majority", "persistence", "logistic regression", "true class", "total return"):
        assert re.search(rf"^{name} +\S", page, re.MULTILINE)
    samples = report.evaluation.samples
    assert f"{samples:,} samples" in page


def test_the_summary_of_a_boosted_regression_with_a_test_part(regression: TrainingReport) -> None:
    page = summary(regression, {"training": 5.0})

    sealed = regression.results.sealed
    assert sealed
    assert f"Test {sealed.samples} test samples from {sealed.first:%Y-%m-%d}" in " ".join(page.split())
    assert "are sealed. To open them, which is counted: ktrdr models unseal op_1" in " ".join(page.split())
    for title in ("Targets", "Model"):
        assert f"\n{title}\n" in page
    assert "gradient boosting, 7 leaves" in page
    assert re.search(r"^ridge regression +\d", page, re.MULTILINE)
    assert re.search(r"^min_leaf_samples +20$", page, re.MULTILINE)
    assert not [line for line in page.splitlines() if len(line) > 100]


def test_the_summary_of_an_opened_test_part_begins_with_its_opening(regression: TrainingReport) -> None:
    opening = Opening(look_id="look_1", number=2, level=0.0125, opened_at=datetime(2026, 1, 2, tzinfo=UTC), by="Ada")
    opened = UnsealingResults(
        model="op_1", opening=opening, evaluation=regression.evaluation, backtest=regression.backtest
    )

    page = unsealing_summary(opened, "Turning tides")

    assert page.startswith("Turning tides: the test part of op_1\n")
    assert "was opened by Ada at 2026-01-02 00:00 UTC. It is opening 2 of these bars" in " ".join(page.split())
    assert "at a significance level of 1.25%." in " ".join(page.split())
    assert regression.evaluation.verdict in " ".join(page.split())
    assert re.search(r"^ridge regression +\d", page, re.MULTILINE)
    assert "\nBacktest on the test rows\n" in page


def test_the_summary_tells_what_was_trained_and_how_to_do_it_again(report: TrainingReport) -> None:
    request = request_of(report.strategy, output=Path("/models/op 1"), start=date(2023, 1, 1), end=date(2023, 6, 30))

    page = summary(replace(report, request=request), {"preparing": 0.1234, "training": 5.0})

    assert "Best epoch 4 of 10: validation loss 0.7757, training loss 0.1750" in page
    assert "--strategy strategy.yaml" in page
    assert "/models" not in page
    assert "--symbols UP,DOWN" in page
    assert "--timeframes 1d" in page
    assert "--start-date 2023-01-01" in page
    assert re.search(r"^Bars from +sample, synthetic$", page, re.MULTILINE)
    assert re.search(r"^DOWN +2020-01-01 .* synthetic$", page, re.MULTILINE)
    assert re.search(r"^training +5\.000$", page, re.MULTILINE)
    assert re.search(r"^total +5\.123$", page, re.MULTILINE)
    assert re.search(rf"^UP 1d +{'a' * 64}$", page, re.MULTILINE)
    total = sum(layer.parameters for layer in report.layers)
    assert f"{total:,}" in page
    for coverage in report.dataset.coverage:
        rows = " ".join(line for line in page.splitlines() if line.startswith(coverage.symbol))
        assert f"{coverage.train_samples}" in rows
        assert coverage.border is not None
        assert f"{coverage.border.date()}" in rows


def test_no_line_of_the_summary_is_longer_than_a_hundred(report: TrainingReport) -> None:
    long = report.strategy.model_copy(update={"name": "n" * 128, "description": "word " * 200})
    coverage = tuple(
        replace(part, symbol="S" * 32, bars=2_500_000, train_samples=1_999_999) for part in report.dataset.coverage
    )
    dataset = replace(report.dataset, coverage=coverage)
    request = request_of(long, symbols=tuple(f"SYMBOL{n}" for n in range(60)))

    providers = {"S" * 32: {"1h": "synthetic", "1d": "a provider with a very long name indeed"}}
    page = summary(replace(report, request=request, dataset=dataset, providers=providers), {"training": 5.0})

    assert not [line for line in page.splitlines() if len(line) > 100 and "--symbols" not in line]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_labels_keep_their_distance_and_their_order(wanted: list[float]) -> None:
    placed = spread(wanted, 0.07)

    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    gaps = [placed[after] - placed[before] for before, after in pairwise(order)]
    assert all(gap >= 0.07 - 1e-9 for gap in gaps)
    if all(wanted[b] - wanted[a] >= 0.07 for a, b in pairwise(order)):
        assert placed == pytest.approx(wanted)


def test_the_summary_shows_the_lead_by_symbol_and_of_many_symbols_the_ends(report: TrainingReport) -> None:
    evaluation = report.evaluation
    assert evaluation.breakdown is not None
    lead = evaluation.significance.against["majority"]
    groups = tuple(
        GroupLead(
            group=f"SYM{number:02}",
            samples=100 + number,
            accuracy=0.5,
            lead=lead.model_copy(update={"lead": number / 100}),
        )
        for number in range(14)
    )
    leads = Breakdown(rival="majority", by_symbol=groups, by_year=())
    changed = replace(
        report,
        results=report.results.model_copy(update={"evaluation": evaluation.model_copy(update={"breakdown": leads})}),
    )

    lines = summary(changed, {}).splitlines()

    shown = [line.split()[0] for line in lines if line.startswith(("SYM", "(4 between)"))]
    assert shown == [*(f"SYM{number:02}" for number in range(5)), "(4", *(f"SYM{number:02}" for number in range(9, 14))]
    assert any("lead over majority" in line for line in lines)


def test_a_font_that_cannot_be_read_is_an_error_of_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = new_figure(2)
    figure.text(0.5, 0.5, "words")

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("FT_Load_Glyph failed with error 0x55: invalid stream operation")

    monkeypatch.setattr(FT2Font, "set_text", fail)

    with pytest.raises(StorageError, match="its fonts cannot be read: FT_Load_Glyph") as refused:
        png(figure)
    assert "resume" in refused.value.hint
