from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrdr.features.matrix import build_dataset
from ktrdr.training.evaluate import Evaluation, evaluate
from ktrdr.training.fingerprint import Fingerprint
from ktrdr.training.loop import Ending, EpochMetrics
from ktrdr.training.models.families import build_model
from ktrdr.training.report import Account, plot, spread, summary, verdict

DAY = timedelta(days=1)


@pytest.fixture
def account(make_request: Any, read_bars: Any) -> Account:
    request = make_request()
    dataset = build_dataset(request.strategy, {symbol: read_bars(symbol).frame for symbol in request.symbols}, DAY)
    model = build_model(request.strategy.model, len(dataset.feature_names), 2)
    evaluation = evaluate(dataset.validation.labels, dataset.validation, dataset.train.labels, dataset.class_names)
    fingerprint = Fingerprint(request.strategy.model_dump(mode="json"), "1d", {"UP": "a" * 64, "DOWN": "b" * 64})
    providers = {"UP": "sample", "DOWN": "synthetic"}
    return Account(request, dataset, fingerprint, providers, model, history_of(10), 4, evaluation, Ending.ALL_EPOCHS)


def history_of(epochs: int) -> tuple[EpochMetrics, ...]:
    return tuple(
        EpochMetrics(n, 32 * n, 0.7 / n, 1 - 0.5 / n, 0.7 - 0.1 * math.sin(n), 0.5 + 0.01 * math.sin(n), 1e-3, 0.1, n)
        for n in range(1, epochs + 1)
    )


@pytest.mark.parametrize("epochs", [1, 10, 200])
def test_the_plot_is_a_png_of_one_size_however_many_epochs(epochs: int, account: Account) -> None:
    image = plot(replace(account, history=history_of(epochs), best_epoch=1))

    assert image.startswith(b"\x89PNG")
    width, height = (int.from_bytes(image[start : start + 4], "big") for start in (16, 20))
    assert (width, height) == (1320, 594)


def test_awkward_names_and_equal_values_are_drawn_all_the_same(account: Account) -> None:
    strategy = account.request.strategy.model_copy(update={"name": "costs $5 or $6_ " + "long " * 30})
    flat = tuple(replace(metrics, train_loss=0.0, val_loss=0.0, val_accuracy=1.0) for metrics in history_of(2))

    image = plot(replace(account, request=replace(account.request, strategy=strategy), history=flat, best_epoch=1))

    assert image.startswith(b"\x89PNG")


def test_the_summary_tells_what_was_trained_and_how_to_do_it_again(account: Account) -> None:
    request = replace(account.request, output=Path("/models/op 1"), start=date(2023, 1, 1), end=date(2023, 6, 30))

    page = summary(replace(account, request=request), {"preparing": 0.1234, "training": 5.0})

    assert "Best epoch 4: validation loss 0.7757, training loss 0.1750" in page
    assert "--strategy '/models/op 1/strategy.yaml'" in page
    assert "--symbols UP,DOWN" in page
    assert "--start-date 2023-01-01" in page
    assert re.search(r"^Bars from +sample, synthetic$", page, re.MULTILINE)
    assert re.search(r"^DOWN +synthetic +2020-01-01", page, re.MULTILINE)
    assert re.search(r"^training +5\.000$", page, re.MULTILINE)
    assert re.search(r"^total +5\.123$", page, re.MULTILINE)
    total = sum(parameter.numel() for parameter in account.model.parameters())
    assert f"{total:,}" in page
    for coverage in account.dataset.coverage:
        rows = " ".join(line for line in page.splitlines() if line.startswith(coverage.symbol))
        assert f"{coverage.train_samples}" in rows
        assert f"{coverage.border.date()}" in rows
    assert f"{len(account.dataset.validation.labels)} validation samples" in page


def test_no_line_of_the_summary_is_longer_than_a_hundred(account: Account) -> None:
    long = account.request.strategy.model_copy(update={"name": "n" * 128, "description": "word " * 200})
    coverage = tuple(
        replace(part, symbol="S" * 32, bars=2_500_000, train_samples=1_999_999) for part in account.dataset.coverage
    )
    dataset = replace(account.dataset, coverage=coverage)
    symbols = tuple(f"SYMBOL{n}" for n in range(60))
    request = replace(account.request, strategy=long, symbols=symbols, output=Path("models"))

    providers = {"S" * 32: "synthetic"}
    page = summary(replace(account, request=request, dataset=dataset, providers=providers), {"training": 5.0})

    too_long = [line for line in page.splitlines() if len(line) > 100 and "--symbols" not in line]
    assert not too_long


def evaluation_of(accuracy: float, majority: float, persistence: float, samples: int) -> Evaluation:
    scores = {"majority": majority, "persistence": persistence}
    return Evaluation(
        validation_samples=samples,
        accuracy=accuracy,
        balanced_accuracy=accuracy,
        f1={},
        confusion=[],
        class_names=["down", "up"],
        baselines={name: {"accuracy": score, "balanced_accuracy": 0.5} for name, score in scores.items()},
    )


@pytest.mark.parametrize(
    ("evaluation", "sentence"),
    [
        (evaluation_of(0.52, 0.55, 0.50, 100), "the model does not beat its baselines: 52.0% against 55.0% (majority)"),
        (evaluation_of(0.55, 0.55, 0.50, 100), "the model does not beat its baselines"),
        (evaluation_of(0.58, 0.50, 0.55, 100), "but by less than two standard errors: that can be chance"),
        (evaluation_of(0.80, 0.50, 0.55, 100), "the model beats its baselines: 80.0% against 55.0% (persistence)"),
    ],
)
def test_the_verdict_is_honest(evaluation: Evaluation, sentence: str) -> None:
    assert sentence in verdict(evaluation)
    assert "100 validation samples" in verdict(evaluation)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_labels_keep_their_distance_and_their_order(wanted: list[float]) -> None:
    placed = spread(wanted, 0.07)

    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    gaps = [placed[after] - placed[before] for before, after in pairwise(order)]
    assert all(gap >= 0.07 - 1e-9 for gap in gaps)
    if all(wanted[b] - wanted[a] >= 0.07 for a, b in pairwise(order)):
        assert placed == pytest.approx(wanted)
