"""Whether two series of evaluated bars are bars of the same market at the same time, told by their prices alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ktrdr.ledger.footprint import Footprint, Track

Floats = NDArray[np.float64]

# Returns of different markets correlate by 0.7 and more, and of funds that hold the same shares by 0.99.
_SAME = 0.95
_DIFFERENT = 0.8
# Standard errors by which a correlation of few returns must exceed `_DIFFERENT`.
_CERTAINTY = 4.0
_LEAST_RETURNS = 5
# Bars that one return spans. Rounded prices hide short returns and not long ones.
_STRIDES = (1, 4, 16, 64)
# A correlation below this is not made the same by longer returns.
_HOPELESS = 0.3
# A split, a dividend or a bad price makes single returns of the same market differ.
_TRIMMED = 0.05
# Zones of time are up to 14 hours from UTC.
_LONGEST_SHIFT = np.timedelta64(26, "h")
_LEAST_SHIFTED = 30


def footprints_overlap(one: Footprint, other: Footprint) -> bool:
    """Whether some symbol of the one has bars of some symbol of the other."""
    # Symbols mostly come in the same order, so that the first pairs decide.
    pairs = sorted(
        product(enumerate(one.tracks), enumerate(other.tracks)), key=lambda pair: abs(pair[0][0] - pair[1][0])
    )
    return any(tracks_overlap(mine, theirs) for (_, mine), (_, theirs) in pairs)


def tracks_overlap(one: Track, other: Track) -> bool:
    """Whether both have enough closes at the same instants, of the coarser timeframe, that move as one market does.

    They do where their log returns correlate by 0.95 or more, or by -0.95 where one price is the other's inverse, and
    by more where there are few. Scale and rounding of prices, single wrong prices and splits do not matter. Nor do
    instants of bars of one length that are all shifted by up to a day.
    """
    prices = common_closes(one, other)
    return any(_are_same(*returns) for returns in _returns(*map(np.log, prices))) or _overlap_shifted(one, other)


def common_closes(one: Track, other: Track) -> tuple[Floats, Floats]:
    """Both tracks' closes at the closing instants of the coarser that the finer has as well; each is [instants].

    The finer one's close is its last at that instant or before, by less than a bar of the coarser. It may come by half
    a bar of the finer later, because sources disagree about the minute or hour at which a session's last bar closes.
    """
    coarse, fine = (one, other) if one.length >= other.length else (other, one)
    places = np.searchsorted(fine.instants, coarse.instants + fine.length // 2, "right") - 1
    near = (places >= 0) & (coarse.instants - fine.instants[np.maximum(places, 0)] < coarse.length)
    places, first = np.unique(places[near], return_index=True)
    closes = coarse.closes[near][first], fine.closes[places]
    return closes if coarse is one else closes[::-1]


def _returns(one: Floats, other: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Log returns over more and more bars, as long as these may show more than those before."""
    for stride in _STRIDES:
        returns = np.diff(one[::stride]), np.diff(other[::stride])
        moved = (returns[0] != 0) | (returns[1] != 0)
        if np.count_nonzero(moved) < _LEAST_RETURNS:
            return
        yield returns[0][moved], returns[1][moved]
        if abs(_correlation(*returns)) < _HOPELESS:
            return


def _overlap_shifted(one: Track, other: Track) -> bool:
    """Whether bars of one length are the same under instants that are all shifted, as by another zone of time."""
    if one.length != other.length or min(len(one.closes), len(other.closes)) < _LEAST_SHIFTED:
        return False
    returns = np.diff(np.log(one.closes)), np.diff(np.log(other.closes))
    lag = _best_lag(*map(_clipped, returns))
    mine, theirs = (slice(max(0, lag), None), slice(max(0, -lag), None))
    count = min(len(returns[0][mine]), len(returns[1][theirs]))
    shift = np.abs(one.instants[mine][0] - other.instants[theirs][0])
    if count < _LEAST_SHIFTED - 1 or shift > _LONGEST_SHIFT + one.length:
        return False
    return _are_same(returns[0][mine][:count], returns[1][theirs][:count])


def _best_lag(one: Floats, other: Floats) -> int:
    """The number of rows by which `other` must come later to be most like `one`."""
    size = len(one) + len(other)
    products = np.fft.irfft(np.fft.rfft(one, size) * np.conj(np.fft.rfft(other, size)), size)
    lag = int(np.abs(products).argmax())
    return lag if lag < len(one) else lag - size


def _clipped(returns: Floats) -> Floats:
    """Without the weight of a split or a wrong price."""
    limit = 4 * np.abs(returns).mean()
    return np.clip(returns, -limit, limit)


def _are_same(one: Floats, other: Floats) -> bool:
    correlation = max(_trimmed_correlation(one, other), _trimmed_correlation(one, -other))
    # Fisher's transformation: the standard error of artanh(r) is 1 / sqrt(n - 3).
    needed = math.tanh(math.atanh(_DIFFERENT) + _CERTAINTY / math.sqrt(len(one) - 3))
    return correlation >= max(_SAME, needed)


def _trimmed_correlation(one: Floats, other: Floats) -> float:
    """Pearson's, without the twentieth of the returns that differ most."""
    differences = np.abs(one - other)
    left = len(one) - math.floor(_TRIMMED * len(one))
    nearest = np.argpartition(differences, left - 1)[:left]
    return _correlation(one[nearest], other[nearest])


def _correlation(one: Floats, other: Floats) -> float:
    """Pearson's; zero where one of the two does not vary."""
    one, other = one - one.mean(), other - other.mean()
    scale = math.sqrt(float(one @ one) * float(other @ other))
    return float(one @ other) / scale if scale > 0 else 0.0
