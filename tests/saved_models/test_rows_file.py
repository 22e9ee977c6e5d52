"""evaluated_rows.parquet gives back what an evaluation was made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ktrdr.errors import StorageError
from ktrdr.evaluation.baselines import Guess
from ktrdr.evaluation.evaluate import evaluate_rows
from ktrdr.evaluation.evaluated_rows import EvaluatedRows
from ktrdr.evaluation.rivals import Rivals
from ktrdr.saved_models.rows_file import read_rows, write_rows
from ktrdr.training.files import EVALUATED_ROWS
from tests.made_rows import rows


def rivalled(own: EvaluatedRows, yardstick: str) -> EvaluatedRows:
    """With a yardstick and a control besides, and class probabilities of two predictors."""
    random = np.random.default_rng(0)
    probabilities = None
    if own.class_names:
        share = random.random(len(own))
        probabilities = np.column_stack([share, 1 - share])
    other = Guess(own.model.predicted[::-1].copy(), probabilities)
    persistence = Guess(own.rivals.naive["persistence"].predicted)
    naive = {**own.rivals.naive, "persistence": persistence}
    return replace(
        own, model=replace(own.model, probabilities=probabilities), rivals=Rivals(naive, {yardstick: other}, other)
    )


def classes(part: str) -> EvaluatedRows:
    random = np.random.default_rng(1)
    labels, predicted = random.integers(0, 2, (2, 80))
    own = rows(labels, predicted, {"majority": 1, "persistence": 0}, span=3, part=part)
    return rivalled(own, "logistic_regression")


def numbers(part: str) -> EvaluatedRows:
    labels, predicted = np.random.default_rng(2).normal(size=(2, 80))
    own = rows(labels, predicted, {"mean": 0.1, "persistence": np.roll(labels, 1)}, classes=(), part=part)
    return rivalled(replace(own, scales=np.full(80, 0.02)), "ridge_regression")


@pytest.mark.parametrize("make", [classes, numbers])
def test_what_was_written_is_evaluated_alike(make: Callable[[str], EvaluatedRows], tmp_path: Path) -> None:
    validation, test = make("validation"), make("test")

    write_rows(tmp_path, [validation, test])

    for written in (validation, test):
        read = read_rows(tmp_path, written.part)
        assert read is not None
        assert (read.class_names, list(read.rivals.by_name)) == (written.class_names, list(written.rivals.by_name))
        for name in ("timestamps", "symbols", "spans", "labels", "scales", "look_back"):
            assert np.array_equal(getattr(read, name), getattr(written, name)), name
        found, expected = evaluate_rows(read), evaluate_rows(written)
        assert found.significance == expected.significance
        assert found.verdict == expected.verdict
        for name, scores in expected.baselines.items():
            # Probabilities are stored in single precision.
            assert found.baselines[name].model_dump() == pytest.approx(scores.model_dump(), abs=1e-6)


def test_a_part_that_was_not_evaluated_has_no_rows(tmp_path: Path) -> None:
    assert read_rows(tmp_path, "validation") is None

    write_rows(tmp_path, [classes("validation")])

    assert read_rows(tmp_path, "test") is None


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / EVALUATED_ROWS).write_bytes(b"PAR1 and no more")

    with pytest.raises(StorageError, match=EVALUATED_ROWS):
        read_rows(tmp_path, "validation")
