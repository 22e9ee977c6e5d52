"""Labels say what the bars after a bar did, as a slow reading of their definitions does, and nothing of later bars."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ktrdr.features.labels.label import Cuts, Measured
from ktrdr.features.labels.trend import slope_t_values
from ktrdr.features.labels.triple_barrier import BLOCK, volatility
from ktrdr.features.labels.types import LABELS, label_of
from ktrdr.features.uniqueness import average_uniqueness
from ktrdr.strategy.sections.labels import Direction, ForwardReturn, Trend, TripleBarrier
from ktrdr.strategy.spec import Strategy

Spec = Direction | ForwardReturn | TripleBarrier | Trend
Series = NDArray[np.float64]

# Moves that repeat and rest, so that equal closes and touched barriers to the last bit occur.
MOVES = st.sampled_from([-0.05, -0.01, -0.001, 0.0, 0.0, 0.001, 0.01, 0.05]) | st.floats(-0.1, 0.1)
CLOSES = st.lists(MOVES, min_size=0, max_size=60).map(lambda moves: 50 * np.exp(np.cumsum([0.0, *moves])))
SPECS = st.one_of(
    st.builds(Direction, horizon=st.integers(1, 8)),
    st.builds(ForwardReturn, type=st.just("forward_return"), horizon=st.integers(1, 8)),
    st.builds(
        TripleBarrier,
        type=st.just("triple_barrier"),
        horizon=st.integers(1, 20),
        volatility_span=st.integers(2, 10),
        upper=st.sampled_from([0.5, 1.0, 3.0]),
        lower=st.sampled_from([0.5, 1.0, 3.0]),
    ),
    st.builds(Trend, type=st.just("trend"), horizon=st.integers(2, 20)),
)


def measure(spec: Spec, close: Series | list[float]) -> Measured:
    return label_of(spec).measure(spec, pl.DataFrame({"close": np.asarray(close, dtype=np.float64)}))


def classes(spec: Spec, close: list[float]) -> list[str | None]:
    """Of every bar by name, the cuts being made of all of them; None where unknown."""
    label, found = label_of(spec), measure(spec, close)
    cuts = label.cuts(spec, found.values[found.known])
    assert cuts is not None
    names = label.class_names(spec)
    return [
        names[int(cuts.classify(found.values[row : row + 1])[0])] if found.known[row] else None
        for row in range(len(close))
    ]


# Cases by hand.


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (Direction(), ["up", "down", "down", "up", None]),
        (Direction(threshold=0.02), ["up", "down", "flat", "flat", None]),
        (Direction(horizon=3), ["down", "down", None, None, None]),
        (Direction(quantiles=(0.5,)), ["up", "down", "down", "up", None]),
        (Direction(quantiles=(0.3, 0.7)), ["up", "down", "flat", "flat", None]),
    ],
)
def test_directions_of_moves(spec: Direction, expected: list[str | None]) -> None:
    assert classes(spec, [100.0, 110.0, 99.0, 99.0, 100.0]) == expected


def test_quantiles_part_the_training_values() -> None:
    values = np.random.default_rng(1).normal(0.001, 0.02, 3000)
    spec = Direction(quantiles=(0.2, 0.6))

    cuts = label_of(spec).cuts(spec, values)

    assert cuts is not None
    assert np.bincount(cuts.classify(values)).tolist() == [600, 1200, 1200]
    assert Cuts.from_dict(cuts.to_dict()) == cuts


def test_forward_returns_are_logarithmic_and_the_target_itself() -> None:
    spec = ForwardReturn(type="forward_return", horizon=2)

    found = measure(spec, [100.0, 1.0, 200.0, 3.0])

    np.testing.assert_allclose(found.values, [math.log(2), math.log(3), np.nan, np.nan])
    assert found.settled.tolist() == [2, 3, -1, -1]
    assert (label_of(spec).cuts(spec, found.values[:2]), label_of(spec).class_names(spec)) == (None, ())


def test_triple_barriers_settle_at_the_first_touch() -> None:
    # Log returns of +1 % and -1 % in turn, whose deviation is about 1 % from row 2 on: barriers some 2 % away.
    rests = [0.0, 0.01] * 3
    logs = [*rests, 0.0, 0.01, 0.04, 0.04, 0.04, 0.01, 0.04, 0.04]
    spec = TripleBarrier(type="triple_barrier", horizon=4, volatility_span=2)

    found = measure(spec, list(np.exp(logs)))

    assert found.settled[:2].tolist() == [-1, -1], "no deviation of two returns yet"
    assert (found.values[2], found.settled[2]) == (0, 6), "nothing touched: flat after four bars"
    assert (found.values[5], found.settled[5]) == (1, 8), "up, and later falls do not matter"
    assert np.isnan(found.values[12]), "nothing touched before the bars end"
    assert label_of(spec).class_names(spec) == ("down", "flat", "up")


def test_a_barrier_touched_before_the_bars_end_is_known_there() -> None:
    spec = TripleBarrier(type="triple_barrier", horizon=100, volatility_span=2)

    found = measure(spec, [100.0, 101.0, 100.0, 99.0, 50.0])

    assert (found.values.tolist()[2:4], found.settled.tolist()) == ([-1, -1], [-1, -1, 4, 4, -1])


def test_to_reach_a_barrier_is_to_touch_it() -> None:
    spec = TripleBarrier(type="triple_barrier", horizon=3, volatility_span=2)
    close = np.array([100.0, 101.0, 100.0])
    barrier = np.log(close[2]) + 2 * volatility(close, 2)[2]
    reaching = next(price for price in floats_around(math.exp(barrier)) if np.log(price) == barrier)

    found = measure(spec, [*close, reaching, reaching, reaching])

    assert (found.values[2], found.settled[2]) == (1, 3)


def floats_around(value: float) -> list[float]:
    return [value + steps * math.ulp(value) for steps in range(-20, 20)]


def test_trends_are_told_by_their_t_value() -> None:
    spec = Trend(type="trend", horizon=3, t_value=2.0)
    logs = [0.0, 0.01, 0.03, 0.04, 0.03, 0.04, 0.03, 0.02, 0.0]

    found = measure(spec, list(np.exp(logs)))

    # Of 0, 1, 3, 4: slope 1.4, residuals 0.1, -0.3, 0.3, -0.1, so 1.4 / sqrt(0.2 / 2 / 5).
    assert found.values[0] == pytest.approx(1.4 / math.sqrt(0.02), rel=1e-9)
    assert found.settled.tolist() == [3, 4, 5, 6, 7, 8, -1, -1, -1]
    assert classes(spec, list(np.exp(logs))) == ["up", "flat", "flat", "flat", "flat", "down", None, None, None]
    assert set(classes(spec.model_copy(update={"t_value": 0.0}), list(np.exp(logs)))) == {"up", "down", None}


def test_a_price_that_rests_has_no_trend_and_one_that_never_errs_a_finite_one() -> None:
    spec = Trend(type="trend", horizon=5)

    assert measure(spec, [7.0] * 20).values[:15].tolist() == [0.0] * 15
    straight = measure(spec, np.exp(np.arange(20) * 0.01)).values[:15]
    assert np.isfinite(straight).all()
    assert (straight > 1e6).all()


def test_there_is_a_label_for_every_section_of_the_schema() -> None:
    sections = Strategy.model_json_schema()["properties"]["labels"]["discriminator"]["mapping"]

    assert sorted(label.type for label in LABELS) == sorted(sections)


# The definitions, read slowly.


@settings(deadline=None)
@given(CLOSES, SPECS)
def test_labels_equal_their_slow_definitions(close: Series, spec: Spec) -> None:
    found = measure(spec, close)

    assert found.values.shape == found.settled.shape == close.shape
    deviation = volatility(close, spec.volatility_span) if isinstance(spec, TripleBarrier) else close
    for row in range(len(close)):
        value, settled = slowly(spec, close, deviation, row)
        assert found.settled[row] == settled
        if settled < 0:
            assert math.isnan(found.values[row])
        else:
            # Above 10,000 a t-value is made of rounding as much as of prices.
            expected = np.clip([found.values[row], value], -1e4, 1e4)
            assert expected[0] == pytest.approx(expected[1], rel=1e-6, abs=1e-12)


def slowly(spec: Spec, close: Series, deviation: Series, row: int) -> tuple[float, int]:
    settled = row + spec.horizon
    if isinstance(spec, TripleBarrier):
        return first_touch(spec, np.log(close), deviation, row)
    if settled >= len(close):
        return math.nan, -1
    if isinstance(spec, Trend):
        return t_value(np.log(close[row : settled + 1])), settled
    ratio = float(close[settled] / close[row])
    return (math.log(ratio) if isinstance(spec, ForwardReturn) else ratio - 1), settled


def first_touch(spec: TripleBarrier, path: Series, deviation: Series, row: int) -> tuple[float, int]:
    upper, lower = path[row] + spec.upper * deviation[row], path[row] - spec.lower * deviation[row]
    if not lower < path[row] < upper:
        return math.nan, -1
    for bar in range(row + 1, min(row + spec.horizon, len(path) - 1) + 1):
        if path[bar] >= upper or path[bar] <= lower:
            return (1 if path[bar] >= upper else -1), bar
    return (0, row + spec.horizon) if row + spec.horizon < len(path) else (math.nan, -1)


def t_value(values: Series) -> float:
    x, u = np.arange(len(values)) - (len(values) - 1) / 2, values - values[0]
    u -= u.mean()
    if np.ptp(values) == 0:
        return 0.0
    slope = (x @ u) / (x @ x)
    residual = u - slope * x
    # No fit is told to be better than rounding lets it be.
    unexplained = max(residual @ residual, (u @ u) * len(values) * np.finfo(np.float64).eps)
    explained = slope * math.sqrt((x @ x) * (len(values) - 2))
    return float(explained / math.sqrt(unexplained))


@settings(deadline=None)
@given(CLOSES, st.integers(2, 10))
def test_the_deviation_is_exponentially_weighted_and_knows_no_later_return(close: Series, span: int) -> None:
    found = volatility(close, span)

    returns = np.diff(np.log(close))
    for row in range(len(close)):
        if row < span:
            assert math.isnan(found[row])
            continue
        seen = returns[:row]
        weights = (1 - 2 / (span + 1)) ** np.arange(row)[::-1]
        mean = np.average(seen, weights=weights)
        unbiased = weights.sum() ** 2 / (weights.sum() ** 2 - (weights**2).sum())
        expected = math.sqrt(unbiased * np.average((seen - mean) ** 2, weights=weights))
        assert found[row] == pytest.approx(expected, rel=1e-6, abs=1e-9)


@settings(deadline=None)
@given(CLOSES, SPECS, st.data())
def test_a_label_is_the_same_to_the_bit_when_the_bars_end_where_it_is_settled(
    close: Series, spec: Spec, data: st.DataObject
) -> None:
    whole = measure(spec, close)
    end = data.draw(st.integers(1, len(close)))

    cut = measure(spec, close[:end])

    known = (whole.settled >= 0) & (whole.settled < end)
    assert cut.settled.tolist() == np.where(known, whole.settled, -1)[:end].tolist()
    assert cut.values.tobytes() == np.where(known, whole.values, np.nan)[:end].tobytes()


def test_long_series_are_labelled_as_short_ones_are() -> None:
    """Across the blocks that barriers are searched in, and without the rounding of sums over the whole series."""
    random = np.random.default_rng(3)
    rows = 2 * BLOCK + 500
    close = 40_000 * np.exp(np.cumsum(random.normal(0, 1e-5, rows)))
    barrier = TripleBarrier(type="triple_barrier", horizon=300, upper=12.0, lower=9.0)
    found, deviation, path = measure(barrier, close), volatility(close, 20), np.log(close)
    slopes = slope_t_values(path, 101)

    for row in [*range(BLOCK - 40, BLOCK + 40), *random.integers(20, rows - 300, 200)]:
        assert (found.values[row], found.settled[row]) == first_touch(barrier, path, deviation, row)
        assert slopes[row] == pytest.approx(t_value(path[row : row + 101]), rel=1e-8)
    assert {-1.0, 0.0, 1.0} <= set(found.values)


# Uniqueness.


def test_a_label_alone_is_unique_and_one_of_two_is_half() -> None:
    rows, settled = np.array([0, 4, 4, 8]), np.array([3, 6, 6, 12])

    assert average_uniqueness(rows, settled, 20).tolist() == [1.0, 0.5, 0.5, 1.0]
    # Bar 2 is spanned by one label, bars 3 and 4 by two, bar 5 by one.
    np.testing.assert_allclose(average_uniqueness(np.array([1, 2]), np.array([4, 5]), 6), [2 / 3, 2 / 3])


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=30))
def test_uniqueness_equals_its_slow_definition(spans: list[tuple[int, int]]) -> None:
    rows = np.array([row for row, _ in spans], dtype=np.int64)
    settled = np.array([row + span for row, span in spans], dtype=np.int64)

    found = average_uniqueness(rows, settled, 40)

    covered = [set(range(row + 1, end + 1)) for row, end in zip(rows, settled, strict=True)]
    for own, value in zip(covered, found, strict=True):
        shares = [1 / sum(bar in other for other in covered) for bar in own]
        assert value == pytest.approx(sum(shares) / len(own), rel=1e-9)
