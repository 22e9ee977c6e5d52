from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ktrdr.evaluation.selection.data_snooping import (
    greatest_by_chance,
    p_value,
    stepwise_p_values,
    superior_ability,
)
from ktrdr.evaluation.selection.resampling import Resampled, resample, resampled_sums

Floats = NDArray[np.float64]
INSTANTS, LOOKS, BLOCK, RESAMPLES = 200, 6, 4, 400


def gains(seed: int, skill: float = 0.0) -> Floats:
    """[instants, looks] that move together; the third has skill, the last is worse than its baseline."""
    random = np.random.default_rng(seed)
    means: Floats = np.array([0, 0, skill, 0.05, 0, -1.0])
    return means + random.normal(size=(INSTANTS, LOOKS)) + random.normal(size=(INSTANTS, 1))


@pytest.fixture(scope="module")
def drawn() -> NDArray[np.int64]:
    """[resamples, instants], the rows that arch's stationary bootstrap draws."""
    from arch.bootstrap import StationaryBootstrap

    bootstrap = StationaryBootstrap(BLOCK, np.arange(INSTANTS), seed=5)
    return np.array([positional[0] for positional, _ in bootstrap.bootstrap(RESAMPLES)])


def resampled_as(series: Floats, drawn: NDArray[np.int64]) -> Resampled:
    weights = np.array([np.bincount(rows, minlength=INSTANTS) for rows in drawn], np.float32)
    residuals = (series - series.mean(axis=0)) / INSTANTS
    return Resampled(series.mean(axis=0), resampled_sums(residuals, weights), INSTANTS)


@pytest.mark.parametrize("skill", [0.0, 0.2, 0.5])
def test_p_values_are_those_of_arch_on_the_same_resamples(skill: float, drawn: NDArray[np.int64]) -> None:
    from arch.bootstrap import SPA

    series = gains(7, skill)
    oracle = SPA(np.zeros(INSTANTS), -series, BLOCK, RESAMPLES, seed=5)
    oracle.compute()

    found = superior_ability(resampled_as(series, drawn))

    # arch does not count the sample itself among the resamples.
    theirs = [(1 + RESAMPLES * oracle.pvalues[name]) / (1 + RESAMPLES) for name in ("lower", "consistent", "upper")]
    assert [found.lower, found.consistent, found.upper] == pytest.approx(theirs, abs=1e-9)
    assert found.lower <= found.consistent <= found.upper


@pytest.mark.parametrize("skill", [0.0, 0.3, 0.5, 0.8])
def test_looks_below_the_level_are_those_that_arch_finds_stepwise(skill: float, drawn: NDArray[np.int64]) -> None:
    from arch.bootstrap import StepM

    series = gains(8, skill) + np.array([0, skill / 2, 0, 0, skill, 0])
    oracle = StepM(np.zeros(INSTANTS), -series, size=0.05, block_size=BLOCK, reps=RESAMPLES, seed=5)
    oracle.compute()

    found = stepwise_p_values(resampled_as(series, drawn))

    assert np.flatnonzero(found < 0.05).tolist() == oracle.superior_models


def test_a_single_look_needs_no_adjustment() -> None:
    looks = resample(gains(9, 0.3)[:, 2:3], np.ones((INSTANTS, 1)), BLOCK).studentized()

    alone = p_value(greatest_by_chance(looks), float(looks.means[0]))

    assert stepwise_p_values(looks) == pytest.approx([alone])
    assert superior_ability(looks).upper == alone


def test_the_best_of_more_looks_is_less_surprising() -> None:
    series = np.random.default_rng(10).normal(size=(INSTANTS, 40))
    first = float(resample(series[:, :1], np.ones((INSTANTS, 1)), BLOCK).studentized().means[0])
    looks = [resample(series[:, :count], np.ones((INSTANTS, count)), BLOCK).studentized() for count in (1, 10, 40)]

    values = [p_value(greatest_by_chance(each), first) for each in looks]

    assert values == sorted(values)
    assert values[0] < values[2]


def test_looks_that_are_alike_count_as_one() -> None:
    one = gains(11, 0.3)[:, 2:3]
    same, counts = np.repeat(one, 30, axis=1), np.ones((INSTANTS, 30))

    single, many = (resample(each, counts[:, : each.shape[1]], BLOCK).studentized() for each in (one, same))

    assert superior_ability(many).upper == superior_ability(single).upper


def test_hopeless_looks_do_not_hide_a_good_one() -> None:
    random = np.random.default_rng(12)
    series = np.hstack([random.normal(0.2, 1, (INSTANTS, 1)), random.normal(-1, 1, (INSTANTS, 60))])

    found = superior_ability(resample(series, np.ones((INSTANTS, 61)), BLOCK).studentized())

    assert found.consistent < 0.02 < found.upper


def test_stepwise_values_by_hand() -> None:
    """Four resamples of three looks; the second look is the best, then the first."""
    deviations = np.array([[3, 0, 0], [0, 1, 0], [0, 0, 2], [0, 4, 0]], np.float32)
    looks = Resampled(np.array([2.5, 3.5, 0.5]), deviations, 100)

    # Greatest of all: 3, 1, 2, 4; of all but the second: 3, 0, 2, 0; of the third alone: 0, 0, 2, 0.
    assert stepwise_p_values(looks, "upper") == pytest.approx([2 / 5, 2 / 5, 2 / 5])
    assert p_value(greatest_by_chance(looks, "upper"), 2.5) == pytest.approx(3 / 5)
