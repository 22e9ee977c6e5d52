"""Which series of bars are of one market. Bars are random walks; nothing is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from ktrdr.ledger.footprint import Footprint, Track
from ktrdr.ledger.overlap import footprints_overlap, tracks_overlap
from ktrdr.timeframe import Timeframe

Floats = NDArray[np.float64]


class Bars(NamedTuple):
    """Closes at closing instants."""

    timeframe: Timeframe
    instants: NDArray[np.datetime64]
    closes: Floats

    @property
    def track(self) -> Track:
        return Track.of(self.timeframe, self.instants, self.closes)

    def rows(self, rows: slice | NDArray[np.int64]) -> Bars:
        return Bars(self.timeframe, self.instants[rows], self.closes[rows])


def walk(timeframe: str = "1d", bars: int = 500, seed: int = 1, volatility: float = 0.01, price: float = 90.0) -> Bars:
    return priced(timeframe, np.random.default_rng(seed).normal(0, volatility, bars), price)


def priced(timeframe: str, returns: Floats, price: float = 90.0) -> Bars:
    length = Timeframe(timeframe)
    instants = np.datetime64("2020-01-02T00:00", "us") + np.timedelta64(length.length) * (1 + np.arange(len(returns)))
    return Bars(length, instants, price * np.exp(np.cumsum(returns)))


def resampled(bars: Bars, timeframe: str) -> Bars:
    """The last close of each longer bar."""
    longer = np.timedelta64(Timeframe(timeframe).length).astype("timedelta64[us]")
    opened = bars.instants - np.timedelta64(1, "us")
    ends = (opened.astype(np.int64) // longer.astype(np.int64) + 1) * longer.astype(np.int64)
    last = np.flatnonzero(np.append(np.diff(ends) > 0, True))
    return Bars(Timeframe(timeframe), ends[last].astype("datetime64[us]"), bars.closes[last])


def with_split(bars: Bars) -> Bars:
    """Half way through, four shares become one, and this source has not adjusted its prices."""
    factor = np.where(np.arange(len(bars.closes)) < len(bars.closes) // 2, 4.0, 1.0)
    return bars._replace(closes=bars.closes * factor)


def with_dividends(bars: Bars) -> Bars:
    """Every 63rd bar a dividend of 1 %, for which the other source has adjusted its prices."""
    return bars._replace(closes=bars.closes * 0.99 ** (np.arange(len(bars.closes)) // 63))


def with_bad_prices(bars: Bars) -> Bars:
    closes = bars.closes.copy()
    closes[[100, 300]] *= 10
    return bars._replace(closes=closes)


DAILY, HOURLY, MINUTES = walk(), walk("1h", 24 * 120, seed=2, volatility=0.003), walk("1m", 3000, 3, 1e-4, 1.1)
SHUFFLED = np.random.default_rng(0).permutation(500)
HOUR = np.timedelta64(1, "h")

SAME: dict[str, tuple[Bars, Bars]] = {
    "renamed": (DAILY, DAILY),
    "a day cut off the end": (DAILY, DAILY.rows(slice(None, -1))),
    "a day cut off the start": (DAILY, DAILY.rows(slice(1, None))),
    "a range shifted by some bars": (DAILY.rows(slice(None, 400)), DAILY.rows(slice(37, None))),
    "a short piece of it": (DAILY, DAILY.rows(slice(200, 210))),
    "every second bar": (DAILY, DAILY.rows(slice(None, None, 2))),
    "rows in another order": (DAILY, DAILY.rows(SHUFFLED)),
    "scattered bars missing": (DAILY, DAILY.rows(np.sort(SHUFFLED[:300]))),
    "hours made into days": (HOURLY, resampled(HOURLY, "1d")),
    "hours made into four hours": (HOURLY, resampled(HOURLY, "4h")),
    "days made into weeks": (DAILY, resampled(DAILY, "1w")),
    "minutes made into quarters": (MINUTES, resampled(MINUTES, "15m")),
    "rounded to cents": (DAILY, DAILY._replace(closes=DAILY.closes.round(2))),
    "rounded to pips": (MINUTES, MINUTES._replace(closes=MINUTES.closes.round(4))),
    "rounded to whole dollars": (DAILY, DAILY._replace(closes=DAILY.closes.round())),
    "in pence": (DAILY, DAILY._replace(closes=DAILY.closes * 100)),
    "adjusted for a later split": (DAILY, DAILY._replace(closes=DAILY.closes / 7)),
    "not adjusted for a split within": (DAILY, with_split(DAILY)),
    "not adjusted for dividends": (DAILY, with_dividends(DAILY)),
    "with single wrong prices": (DAILY, with_bad_prices(DAILY)),
    "its inverse": (DAILY, DAILY._replace(closes=1 / DAILY.closes)),
    "closing with the session": (DAILY, DAILY._replace(instants=DAILY.instants - 3 * HOUR)),
    "hours made into days that close with the session": (
        HOURLY,
        resampled(HOURLY, "1d")._replace(instants=resampled(HOURLY, "1d").instants - np.timedelta64(25, "m")),
    ),
    "hours in another zone": (HOURLY, HOURLY._replace(instants=HOURLY.instants + 5 * HOUR)),
    "minutes in another zone, a part of them": (
        MINUTES,
        MINUTES.rows(slice(400, 2400))._replace(instants=MINUTES.instants[400:2400] - 11 * HOUR),
    ),
    "days a day later": (DAILY, DAILY._replace(instants=DAILY.instants + 24 * HOUR)),
    "in fewer bytes": (DAILY, DAILY._replace(closes=DAILY.closes.astype(np.float32).astype(np.float64))),
}


@pytest.mark.parametrize("attempt", SAME)
def test_no_disguise_makes_other_bars_of_the_same(attempt: str) -> None:
    one, other = (bars.track for bars in SAME[attempt])

    assert tracks_overlap(one, other)
    assert tracks_overlap(other, one)


def correlated(correlation: float, bars: int, seed: int, fat: bool) -> tuple[Bars, Bars]:
    random = np.random.default_rng(seed)
    common, own = random.normal(size=(2, bars))
    scale = np.exp(0.8 * random.normal(size=bars)) / 100 if fat else np.full(bars, 0.01)
    other = correlation * common + np.sqrt(1 - correlation**2) * own
    return priced("1d", common * scale), priced("1d", other * scale)


DIFFERENT: dict[str, Callable[[int, int], tuple[Bars, Bars]]] = {
    "independent walks": lambda bars, seed: correlated(0.0, bars, seed, fat=False),
    "correlated by 0.7": lambda bars, seed: correlated(0.7, bars, seed, fat=False),
    "correlated by 0.7, with fat tails": lambda bars, seed: correlated(0.7, bars, seed, fat=True),
    "correlated by -0.7": lambda bars, seed: correlated(-0.7, bars, seed, fat=False),
}


@pytest.mark.parametrize("markets", DIFFERENT)
@pytest.mark.parametrize("bars", [8, 30, 250, 1000])
def test_different_markets_are_not_joined(markets: str, bars: int) -> None:
    pairs = [DIFFERENT[markets](bars, seed) for seed in range(40)]

    assert not any(tracks_overlap(one.track, other.track) for one, other in pairs)


def test_the_same_market_at_another_time_is_another() -> None:
    assert not tracks_overlap(DAILY.rows(slice(None, 250)).track, DAILY.rows(slice(250, None)).track)


def test_a_price_that_stands_still_is_not_every_other_that_does() -> None:
    still = DAILY._replace(closes=np.full(500, 5.0))

    assert not tracks_overlap(still.track, still._replace(closes=np.full(500, 7.0)).track)


def test_one_common_symbol_is_enough_whatever_the_order() -> None:
    others = [walk(seed=seed).track for seed in (11, 12)]
    one, other = Footprint((DAILY.track, others[0])), Footprint((others[1], DAILY.track))

    assert footprints_overlap(one, other)
    assert not footprints_overlap(Footprint((others[0],)), Footprint((others[1],)))


def test_the_order_of_symbols_and_rows_is_not_content() -> None:
    other = walk(seed=11).track
    shuffled = DAILY.rows(SHUFFLED).track

    assert Footprint((DAILY.track, other)).sha256 == Footprint((other, shuffled)).sha256
