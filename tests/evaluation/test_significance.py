from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import stdtr

from ktrdr.evaluation.breakdown import breakdown
from ktrdr.evaluation.resolution import Resolution
from ktrdr.evaluation.rivals import Rivals
from ktrdr.evaluation.sampling import Sampling
from ktrdr.evaluation.scored_rows import ScoredRows
from ktrdr.evaluation.significance import difference, lead_from_gains, lead_over, measure_significance
from ktrdr.evaluation.verdict import VerdictInput, Wording, verdict
from ktrdr.features.dataset import Part
from ktrdr.formatting import signed_points
from ktrdr.payloads.selection import LuckiestTry, SelectionVerdict

Floats = NDArray[np.float64]


def alone(samples: int, lag: int = 0) -> Sampling:
    """One symbol: a sample at each instant."""
    return Sampling(np.arange(samples), lag)


def part_of(days: Sequence[int], symbols: Sequence[int], horizon: int) -> Part:
    rows, labels = np.array(days, np.int64), np.zeros(len(days), np.int64)
    timestamps = np.datetime64("2020-01-01", "us") + rows * np.timedelta64(1, "D")
    weights = np.ones(len(days), np.float32)
    measures = np.zeros(len(days))
    return Part(rows, labels, labels, timestamps, np.array(symbols), rows, rows + horizon, measures, weights)


def test_without_overlap_it_is_mcnemars_test() -> None:
    model, rival = np.array([1.0] * 30 + [0.0] * 14 + [1.0] * 56), np.array([0.0] * 30 + [1.0] * 14 + [1.0] * 56)

    found = lead_over(model, rival, alone(100))

    assert found.lead == pytest.approx(0.16)
    # McNemar's variance, 44, without the square of the mean.
    assert found.standard_error == pytest.approx(math.sqrt(44 - 16**2 / 100) / 100)
    assert found.p_value == pytest.approx(float(stdtr(43, -0.16 / found.standard_error)), rel=0.01)
    assert found.interval == pytest.approx(
        (0.16 - 2.017 * found.standard_error, 0.16 + 2.017 * found.standard_error), abs=1e-3
    )


def test_the_variance_is_newey_and_wests() -> None:
    values, lag = np.random.default_rng(0).normal(3, 1, size=60), 4
    centred = values - values.mean()
    products = [(1 - k / (lag + 1)) * (centred[k:] @ centred[:-k]) for k in range(1, lag + 1)]
    by_hand = centred @ centred + 2 * sum(products)

    assert alone(60, lag).variance(values) == pytest.approx(by_hand)


def test_two_symbols_that_move_together_tell_no_more_than_one() -> None:
    gains = np.random.default_rng(1).choice([-1.0, 0.0, 1.0], 200)
    nothing = np.zeros(200)
    twice = Sampling(np.tile(np.arange(200), 2), 0)

    one, two = lead_over(gains, nothing, alone(200)), lead_over(np.tile(gains, 2), np.tile(nothing, 2), twice)

    assert (two.lead, two.standard_error, two.p_value) == pytest.approx((one.lead, one.standard_error, one.p_value))
    assert twice.effective_samples(np.tile(np.abs(gains), 2)) == pytest.approx(200, abs=1)


def test_the_lag_reaches_over_the_mean_label() -> None:
    days = list(range(50))

    assert Sampling.of(part_of(days, [0] * 50, horizon=1)).lag == 0
    assert Sampling.of(part_of(days, [0] * 50, horizon=5)).lag == 4
    assert Sampling.of(part_of(days[:4], [0] * 4, horizon=40)).lag == 3
    # Bars of two symbols that never open together: half as far apart.
    apart = part_of(days, [0, 1] * 25, horizon=5)
    assert Sampling.of(apart).lag == 8
    # Triple barriers: one label of 41 bars among many of 3 does not blur all of them.
    uneven = part_of(days, [0] * 50, horizon=3)
    uneven.settled[7] += 38
    assert Sampling.of(uneven).lag == 3


# Where spans differ it is right only about.
@pytest.mark.parametrize(("spans", "tolerance"), [((1,), 0.03), ((10,), 0.05), ((6, 14), 0.12)])
def test_the_variance_of_labels_that_overlap_is_right_on_average(spans: tuple[int, ...], tolerance: float) -> None:
    """Sums of as many moves as a label spans: Bartlett's weights alone see two thirds of what they have in common."""
    samples, tries = 400, 300
    starts, lengths = np.arange(samples), np.resize(spans, samples)
    moves = np.arange(samples + max(spans))
    # [samples, moves], which moves a label sums, in units of its deviation.
    summed = ((moves >= starts[:, None]) & (moves < (starts + lengths)[:, None])) / np.sqrt(lengths)[:, None]
    sampling = Sampling.from_rows(starts.astype("datetime64[D]"), np.zeros(samples, np.int64), lengths)

    markets = np.random.default_rng(7).normal(size=(tries, len(moves)))
    measured = np.mean([sampling.variance(market) for market in markets @ summed.T])

    assert measured / sampling.bias == pytest.approx(float((summed.sum(axis=0) ** 2).sum()), rel=tolerance)


@pytest.mark.parametrize(("horizon", "low", "high"), [(1, 0.02, 0.08), (10, 0.015, 0.085)])
def test_where_there_is_nothing_to_know_it_finds_something_as_rarely_as_it_says(
    horizon: int, low: float, high: float
) -> None:
    """Stubborn guesses against labels that overlap: what makes naive tests see things."""
    random, samples, tries = np.random.default_rng(5), 300, 600
    sampling = Sampling.of(part_of(range(samples), [0] * samples, horizon))
    found, naive = 0, 0
    for _ in range(tries):
        price = np.concatenate([[0.0], np.cumsum(random.normal(size=samples + horizon))])
        ups = price[horizon : horizon + samples] > price[:samples]
        guesses = np.cumsum(random.random(samples) < 0.1) % 2 == 0
        model, majority = (guesses == ups).astype(float), ups.astype(float)
        found += lead_over(model, majority, sampling).p_value < 0.05
        naive += lead_over(model, majority, alone(samples)).p_value < 0.05

    assert low <= found / tries <= high
    assert horizon == 1 or naive / tries > 0.15


def test_what_never_differs_is_no_lead() -> None:
    same = np.ones(20)

    found = lead_over(same, same, alone(20))

    assert (found.lead, found.standard_error, found.p_value, found.interval) == (0, 0, 0.5, (0, 0))


@pytest.mark.parametrize(("right", "exact"), [(3, 0.125), (4, 0.0625), (5, 0.03125), (6, 0.015625)])
def test_few_disagreements_are_few_tosses_of_a_coin(right: int, exact: float) -> None:
    """The model differs from its rival on so few of 500 samples, and is right each time."""
    gains = np.zeros(500)
    gains[np.arange(right) * 70] = 1.0

    assert exact <= lead_from_gains(gains, alone(500)).p_value < 2 * exact


def test_one_long_run_of_overlapping_labels_is_one_occasion() -> None:
    gains = np.zeros(500)
    gains[100:120] = 1.0

    assert lead_from_gains(gains, alone(500, lag=38)).p_value > 0.2
    assert lead_from_gains(gains, alone(500)).p_value < 0.001


def test_gains_that_never_vary_are_as_sure_as_they_are_many() -> None:
    always = np.ones(100)

    short, long = (lead_from_gains(always, Sampling(np.arange(100), lag, lag / 2 + 1)) for lag in (0, 98))

    assert short.lead == 1.0
    assert short.standard_error == pytest.approx(0.1)
    assert short.p_value < 1e-6
    assert long.p_value > 0.15  # two labels


def test_the_other_side_of_a_lead_is_as_improbable() -> None:
    gains = np.random.default_rng(4).normal(0.1, 1, 80)

    ahead, behind = lead_from_gains(gains, alone(80, 3)), lead_from_gains(-gains, alone(80, 3))

    assert ahead.p_value + behind.p_value == pytest.approx(1)
    assert ahead.interval is not None
    assert behind.interval == pytest.approx((-ahead.interval[1], -ahead.interval[0]))


def test_two_models_are_compared_on_the_same_rows_either_way() -> None:
    random = np.random.default_rng(6)
    ups = random.random(2000) < 0.5
    one, other = ((random.random(2000) < share) == ups for share in (0.5, 0.5))
    better = np.where(random.random(2000) < 0.08, ups == ups, one)

    found, back = (
        difference(*pair, alone(2000))
        for pair in ((better.astype(float), one.astype(float)), (one.astype(float), better.astype(float)))
    )
    alike = difference(one.astype(float), other.astype(float), alone(2000))

    assert found.difference == pytest.approx(0.04, abs=0.01)
    assert found.p_value == pytest.approx(back.p_value)
    assert found.p_value < 0.001 < alike.p_value
    assert found.interval[0] > 0 > back.interval[1]
    assert alike.interval[0] < 0 < alike.interval[1]


def verdict_on(
    model: Floats,
    naive: dict[str, Floats],
    yardstick: Floats,
    part: str = "validation",
    selection: SelectionVerdict | None = None,
    *,
    is_trial: bool = False,
) -> str:
    rivals = Rivals(naive, {"logistic_regression": yardstick})
    rows = rows_of(model, rivals, agreement=model - 0.5)
    found = measure_significance(rows, level=0.025)
    wording = Wording(
        model=f"{model.mean():.1%}",
        rivals=rivals.map(lambda hits: f"{hits.mean():.1%}"),
        constant=None,
        lead=signed_points,
        unit="points",
    )
    case = VerdictInput(
        part=part,
        samples=200,
        wording=wording,
        control_beats=False,
        breakdown=breakdown(rows, found, ("A",)),
        log_loss_lead=None,
        resolution=Resolution(samples=200, effective=150.2, least=0.123, is_regression=False, is_hopeless=False),
        selection=selection,
        is_trial=is_trial,
    )
    return verdict(case, found)


def rows_of(model: Floats, rivals: Rivals[Floats], agreement: Floats) -> ScoredRows:
    """One symbol, a day after the other, labels of a bar."""
    days = np.datetime64("2020-01-01", "us") + np.arange(len(model)) * np.timedelta64(1, "D")
    ones = np.ones(len(model), np.int64)
    return ScoredRows(days, 0 * ones, ones, model, model, rivals, agreement)


def hits(share: float, start: int = 0, samples: int = 200) -> Floats:
    return np.roll(np.arange(samples) < round(share * samples), start).astype(float)


def test_the_verdict_says_what_can_be_chance() -> None:
    naive = {"majority": hits(0.55), "persistence": hits(0.5, 40)}

    ahead = verdict_on(hits(0.6, 30), naive, hits(0.58, 50))
    behind = verdict_on(hits(0.52, 30), naive, hits(0.58, 50))
    well = verdict_on(hits(0.8), naive, hits(0.58), part="test")

    assert "is ahead of its baselines, 60.0% against 55.0% (majority) and 50.0% (persistence), but" in ahead
    assert "Its lead over a logistic regression on the last bar's features (58.0%) may be chance" in ahead
    assert "The best epoch was selected on these same rows, which flatters it; the significance level is 2.5%" in ahead
    assert "does not beat the majority baseline: 52.0% against 55.0%" in behind
    assert "A logistic regression on the last bar's features does as well or better (58.0%)." in behind
    assert "beats its baselines beyond chance: 80.0% against 55.0% (majority)" in well
    assert "It beats a logistic regression on the last bar's features too (58.0%)." in well
    assert "Nothing was selected on these rows" in well
    needed = "These 200 validation samples, worth about 150 independent ones, need a lead of about 12 points over a"
    assert all(needed in sentence for sentence in (ahead, behind))


def beside(tries: int, p_value: float) -> SelectionVerdict:
    return SelectionVerdict(
        tries=tries,
        without_series=0,
        over="majority",
        lead=0.25,
        rank=1,
        single_p_value=0.001,
        p_value=p_value,
        level=0.025,
        beats_baselines=p_value < 0.025,
        luckiest=LuckiestTry(median=0.1, upper=0.2, quantiles=()),
        verdict=f"So it is beside {tries} tries.",
    )


def test_all_tries_decide_what_the_verdict_says_first() -> None:
    model, naive, yardstick = hits(0.8), {"majority": hits(0.55), "persistence": hits(0.5, 40)}, hits(0.58)

    only, stands, outdone = (
        verdict_on(model, naive, yardstick, selection=beside(*each)) for each in ((1, 0.001), (43, 0.004), (43, 0.09))
    )
    trial = verdict_on(model, naive, yardstick, is_trial=True)

    figures = "80.0% against 55.0% (majority) and 50.0% (persistence)."
    assert only == verdict_on(model, naive, yardstick)
    assert stands.startswith(
        f"The model beats its baselines beyond chance: {figures} So it is beside 43 tries. It beats"
    )
    assert outdone.startswith(
        f"The model does not beat its baselines beyond luck: {figures} So it is beside 43 tries. Taken alone it beats"
    )
    assert trial.startswith(f"Taken alone this trial would beat its baselines: {figures} What that is worth")


def test_tries_change_nothing_where_the_model_is_behind() -> None:
    naive = {"majority": hits(0.55), "persistence": hits(0.5, 40)}
    behind = beside(43, 1.0).model_copy(update={"lead": -0.03})

    assert verdict_on(hits(0.52, 30), naive, hits(0.58), selection=behind) == verdict_on(
        hits(0.52, 30), naive, hits(0.58)
    )


def test_a_copy_of_a_baseline_is_called_one() -> None:
    naive = {"majority": hits(0.55), "persistence": hits(0.5, 40)}

    assert "On all 200 validation samples it does exactly as the majority baseline." in verdict_on(
        hits(0.55), naive, hits(0.5)
    )
