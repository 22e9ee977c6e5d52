from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr

from ktrdr.evaluation.sampling import Sampling
from ktrdr.evaluation.selection.joint_test import Tries, joint_test
from ktrdr.evaluation.significance import lead_from_gains
from ktrdr.payloads.evaluation import Lead

Floats = NDArray[np.float64]
ROWS = 600


def tries_of(series: Floats, without_series: int = 0) -> Tries:
    return Tries(series, np.ones_like(series), block=2, without_series=without_series)


def alone(series: Floats) -> Lead:
    return lead_from_gains(series, Sampling(np.arange(len(series)), 0))


def gains(tries: int, seed: int = 0) -> Floats:
    """[rows, tries] of guesses that know nothing."""
    return np.asarray(np.random.default_rng(seed).choice([-1.0, 0.0, 1.0], (ROWS, tries)), np.float64)


def test_a_try_by_itself_keeps_its_own_p_value() -> None:
    series = gains(1)

    found = joint_test(tries_of(series), alone(series[:, 0]))

    assert found.p_value == alone(series[:, 0]).p_value
    assert found.luckiest_at(1 - 0.16) == pytest.approx(alone(series[:, 0]).standard_error, rel=0.1)


@pytest.mark.parametrize("count", [5, 50])
def test_independent_tries_are_corrected_as_sidak_does(count: int) -> None:
    series = gains(count)
    lead = Lead(lead=0.1, standard_error=0.04, p_value=0.01)

    found = joint_test(tries_of(series), lead)

    assert found.p_value == pytest.approx(1 - (1 - 0.01) ** count, abs=0.04)


def test_tries_that_left_no_series_count_as_independent_ones() -> None:
    series = gains(1)
    lead = Lead(lead=0.1, standard_error=0.04, p_value=0.01)

    found = [joint_test(tries_of(series, missing), lead).p_value for missing in (0, 9, 49)]

    assert found == sorted(found)
    assert found[1:] == pytest.approx([1 - 0.99**10, 1 - 0.99**50], abs=0.03)


def test_tries_that_are_alike_cost_nothing() -> None:
    series = gains(1)
    lead = Lead(lead=0.1, standard_error=0.04, p_value=0.01)

    assert (
        joint_test(tries_of(np.repeat(series, 50, axis=1)), lead).p_value == joint_test(tries_of(series), lead).p_value
    )


def test_another_try_never_makes_a_lead_more_significant() -> None:
    series = gains(40)
    lead = Lead(lead=0.1, standard_error=0.04, p_value=0.003)

    found = [joint_test(tries_of(series[:, :count]), lead).p_value for count in range(1, 41)]

    assert found == sorted(found)


def test_the_luckiest_is_ahead_by_more_than_a_lead_that_is_not_significant() -> None:
    series = gains(50)
    leads = [Lead(lead=0.02 * z, standard_error=0.02, p_value=float(ndtr(-z))) for z in np.linspace(1.5, 4, 26)]

    for lead in leads:
        found = joint_test(tries_of(series), lead)
        assert (lead.lead > found.luckiest_at(0.975)) == (found.p_value < 0.025)
        assert found.luckiest_at(0.5) == pytest.approx(0.02 * 2.2, abs=0.003)


def test_looks_at_other_rows_are_set_beside_by_time() -> None:
    series = gains(3)
    series[: ROWS // 2, 1] = np.nan
    counts = np.where(np.isnan(series), np.nan, 1.0)

    tries = Tries(series, counts, block=2)

    assert joint_test(tries, Lead(lead=0.1, standard_error=0.04, p_value=0.01)).p_value == pytest.approx(
        0.03, abs=0.012
    )


def test_a_lead_below_zero_is_no_winner() -> None:
    series = gains(20) - 0.1

    assert joint_test(tries_of(series), alone(series[:, 0])).p_value > 0.9
