from __future__ import annotations

import numpy as np

from ktrdr.evaluation.evaluate import evaluate
from ktrdr.payloads.evaluation import Breakdown
from tests.evaluation.walks import as_regression, dataset_of_paths, logits_of, walk

DATASET = dataset_of_paths(walk(2000, 5, symbols=3), 700, 1)


def breakdown_of(predicted: np.ndarray[tuple[int], np.dtype[np.int64]]) -> tuple[Breakdown, str]:
    found = evaluate(logits_of(predicted), DATASET, DATASET.validation)
    assert found.breakdown is not None
    return found.breakdown, found.verdict


def test_every_symbol_and_every_year_has_its_lead() -> None:
    labels, symbols = DATASET.validation.labels.astype(np.int64), DATASET.validation.symbols

    found, sentence = breakdown_of(np.where(symbols == 1, labels, 1 - labels))

    assert [group.group for group in found.by_symbol] == ["S0", "S1", "S2"]
    assert [group.accuracy for group in found.by_symbol] == [0.0, 1.0, 0.0]
    assert [group.lead.p_value < 0.01 for group in found.by_symbol] == [False, True, False]
    years = DATASET.validation.timestamps.astype("datetime64[Y]").astype(str)
    assert [group.group for group in found.by_year] == sorted(set(years))
    assert sum(group.samples for group in found.by_year) == len(labels)
    assert f"By symbol its lead over {found.rival} is -" in sentence
    assert "(S1) points, above zero in 1 of 3." in sentence
    assert f"above zero in 0 of {len(found.by_year)}." in sentence


def test_the_groups_of_a_lead_add_up_to_it() -> None:
    predicted = np.random.default_rng(0).integers(0, 2, len(DATASET.validation.labels))

    found = evaluate(logits_of(predicted), DATASET, DATASET.validation)

    assert found.breakdown is not None
    whole = found.significance.against[found.breakdown.rival].lead
    for groups in (found.breakdown.by_symbol, found.breakdown.by_year):
        weighted = sum(group.samples * group.lead.lead for group in groups) / len(predicted)
        assert abs(weighted - whole) < 1e-12


def test_one_symbol_within_one_year_needs_no_sentence() -> None:
    dataset = dataset_of_paths(walk(1250, 6), 60, 1)

    found = evaluate(logits_of(dataset.validation.labels.astype(np.int64)), dataset, dataset.validation)

    assert found.breakdown is not None
    assert [len(found.breakdown.by_symbol), len(found.breakdown.by_year)] == [1, 1]
    assert "its lead over" not in found.verdict


def test_a_regression_has_groups_in_training_variances() -> None:
    dataset = as_regression(DATASET)

    found = evaluate(dataset.validation.labels[:, None].astype(np.float32), dataset, dataset.validation)

    assert found.breakdown is not None
    assert found.breakdown.rival in {"mean", "persistence"}
    assert " training variances, above zero in" in found.verdict
