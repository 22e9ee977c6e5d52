"""Evidence for a gain: what a bettor's wealth is, and that it never grows by chance more than it may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from ktrdr.evaluation.betting import ENOUGH, STAKES, gather_evidence
from ktrdr.evaluation.forward import ForwardRows, bounded_gains, forward_test
from ktrdr.payloads.forward import USUAL

Floats = NDArray[np.float64]
HOUR = np.timedelta64(1, "h")


def hours(count: int) -> NDArray[np.datetime64]:
    return (np.datetime64("2026-01-01", "us") + np.arange(count) * HOUR).astype("datetime64[us]")


def evidence(gains: list[float], horizon: int = 1) -> Floats:
    opens = hours(len(gains))
    return gather_evidence(opens, opens + horizon * HOUR, np.array(gains)[:, None], horizon).values[:, 0]


def test_wealth_is_the_product_of_what_the_bets_paid() -> None:
    values = evidence([1, -1, 0, 1])

    expected = [np.mean(np.prod([1 + STAKES * gain for gain in done], axis=0)) for done in ([0], [1], [1, -1])]
    assert np.allclose(values[:3], expected)
    assert values[-1] == pytest.approx(np.mean((1 + STAKES) ** 2 * (1 - STAKES)))


def test_a_bet_under_way_counts_as_lost() -> None:
    values = evidence([1, 1, 1, 1], horizon=2)

    assert values[1] == pytest.approx(np.mean([np.mean(1 - STAKES), 1]))
    assert values[-1] == pytest.approx(np.mean((1 + STAKES) ** 2))


def test_an_outcome_that_is_not_known_is_never_paid() -> None:
    opens = hours(3)
    settles = np.array([opens[1], np.datetime64("NaT"), np.datetime64("NaT")], "datetime64[us]")

    values = gather_evidence(opens, settles, np.ones((3, 1)), 2).values

    assert values[-1, 0] == pytest.approx(np.mean([np.mean((1 + STAKES) * (1 - STAKES)), np.mean(1 - STAKES)]))


@pytest.mark.parametrize("horizon", [1, 2, 3])
def test_whoever_stops_at_the_best_moment_gains_nothing_by_chance(horizon: int) -> None:
    """Over all courses of a fair coin. Labels overlap, so who stops knows a part of what is under way."""
    coins = 8
    paths = np.array(list(product((-1.0, 1.0), repeat=coins)))
    bets = range(coins - horizon + 1)
    values = np.array([evidence([path[bet : bet + horizon].mean() for bet in bets], horizon) for path in paths])

    best = values[:, -1]
    for known in reversed(bets):
        # Paths are in order, so those that are alike so far stand together.
        later = best.reshape(2**known, -1).mean(axis=1).repeat(2 ** (coins - known))
        best = np.maximum(values[:, known], later)

    assert best.mean() == pytest.approx(1)


def rows(
    labels: Sequence[float], model: Sequence[float], naive: Sequence[float], *, numbers: bool = False
) -> ForwardRows:
    made_at = hours(len(labels))
    kind = np.float64 if numbers else np.int64
    return ForwardRows(
        made_at=made_at,
        settled_at=(made_at + HOUR).astype("datetime64[us]"),
        symbols=np.zeros(len(labels), np.int64),
        labels=np.array(labels, kind),
        model=np.array(model, kind),
        naive={"mean" if numbers else "majority": np.array(naive, kind)},
        horizon=1,
        is_regression=numbers,
    )


def test_a_model_that_is_always_right_is_found_and_one_that_repeats_itself_is_not() -> None:
    labels = [0, 1] * 20

    right = forward_test(rows(labels, labels, [0] * 40))
    constant = forward_test(rows([1] * 40, [1] * 40, [0] * 40))

    assert right.claimed_at is not None
    assert right.highest >= ENOUGH == right.enough
    assert (right.settled, right.accuracy, right.against["majority"].lead) == (40, 1.0, 0.5)
    assert constant.against["majority"].e_value > 1e6
    assert (constant.claimed_at, constant.hardest) == (None, USUAL)
    assert constant.against[USUAL].e_value == pytest.approx(1)


def test_nothing_settled_says_nothing() -> None:
    own = rows([0, 1], [0, 1], [0, 0])

    found = forward_test(replace(own, settled_at=np.full(2, np.datetime64("NaT", "us"))))

    assert (found.predictions, found.settled, found.against, found.e_value) == (2, 0, {}, 1.0)


def test_gains_of_numbers_are_bounded_and_have_the_sign_of_the_difference_of_squared_errors() -> None:
    random = np.random.default_rng(0)
    labels, model, naive = random.standard_t(2, (3, 2_000)) * [[1.0], [0.3], [0.3]]
    own = rows(labels.tolist(), model.tolist(), naive.tolist(), numbers=True)

    gains = bounded_gains(own, own.naive["mean"])

    better = (naive - np.clip(labels, -4, 4)) ** 2 - (model - np.clip(labels, -4, 4)) ** 2
    assert np.abs(gains).max() <= 1 + 1e-12
    assert (np.sign(gains) == np.sign(better)).all()


def test_symbols_of_one_instant_are_one_bet() -> None:
    one = rows([0, 1] * 10, [0, 1] * 10, [0] * 20)
    twice = replace(
        one,
        made_at=np.repeat(one.made_at, 2),
        settled_at=np.repeat(one.settled_at, 2),
        symbols=np.tile([0, 1], 20),
        labels=np.repeat(one.labels, 2),
        model=np.repeat(one.model, 2),
        naive={"majority": np.repeat(one.naive["majority"], 2)},
    )

    assert forward_test(twice).e_value == pytest.approx(forward_test(one).e_value)
