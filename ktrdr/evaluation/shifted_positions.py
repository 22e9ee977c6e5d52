"""What positions would have made at other times, of many shifts at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

# With more levels the products themselves are faster than sums of logarithms.
_MOST_LEVELS = 4
# Periods whose values stay in a core's cache while all shifts pass over them.
_BLOCK = 32_768
# A level that is held in fewer periods than one of so many is faster looked up than multiplied.
_RARE = 50
_TINY = np.finfo(np.float64).tiny


def shifted_ends(positions: Floats, returns: Floats, rate: float, shifts: Rows) -> Floats:
    """[shifts], the value at the end if `positions` [periods] had come so many periods later, wrapped; it begins as 1.

    `returns` are [periods], `shifts` from 0 to periods - 1, and each change costs `rate` of the traded value.
    """
    costs = np.exp(_log_costs(positions, rate, shifts))
    levels = _levels(positions)
    if len(levels) > _MOST_LEVELS or _may_ruin(levels, returns):
        return np.asarray(costs * _growth(positions, returns, shifts), np.float64)
    return np.asarray(costs * np.exp(_log_growth(levels, positions, returns, shifts)), np.float64)


def _levels(positions: Floats) -> Floats:
    """The distinct positions, in order."""
    is_first = np.append(True, positions[1:] != positions[:-1])
    return np.unique(positions[is_first])


def _may_ruin(levels: Floats, returns: Floats) -> bool:
    return bool((1 + np.outer(levels, [returns.min(), returns.max()]) <= 0).any())


def _log_costs(positions: Floats, rate: float, shifts: Rows) -> Floats:
    """Every shift makes the changes around the circle, but where the shift opens the circle it enters and leaves."""
    changes = np.diff(positions, append=positions[:1])
    around = _log_cost(changes[changes != 0], rate).sum()
    first, last = positions[-shifts], positions[-shifts - 1]
    return np.asarray(around - _log_cost(first - last, rate) + _log_cost(first, rate) + _log_cost(last, rate))


def _log_cost(change: Floats, rate: float) -> Floats:
    return np.asarray(np.log(np.maximum(1 - rate * np.abs(change), _TINY)))


def _log_growth(levels: Floats, positions: Floats, returns: Floats, shifts: Rows) -> Floats:
    """[shifts], the sums of log(1 + position * return).

    They are the sums at the most frequent level, plus what each other level adds to them where it is held.
    """
    held = [positions == level for level in levels]
    first = int(np.argmax([np.count_nonzero(each) for each in held]))
    at_first = np.log1p(levels[first] * returns)
    sums = np.full(len(shifts), at_first.sum())
    for number, level in enumerate(levels):
        if number != first:
            sums += _sums_where(held[number], np.log1p(level * returns) - at_first, shifts)
    return sums


def _sums_where(is_held: NDArray[np.bool_], values: Floats, shifts: Rows) -> Floats:
    """[shifts], the sums of `values` where `is_held`, so many periods later, is true."""
    places = np.flatnonzero(is_held)
    if _RARE * len(places) < len(is_held):
        return np.array([values[(places + shift) % len(values)].sum() for shift in shifts])
    sums, weights = np.zeros(len(shifts)), is_held.astype(np.float64)
    for place, later, block in _shifted_blocks(weights, values, shifts):
        sums[place] += later @ block
    return sums


def _growth(positions: Floats, returns: Floats, shifts: Rows) -> Floats:
    """[shifts], the products of 1 + position * return; a position loses at most all."""
    products = np.ones(len(shifts))
    for place, later, block in _shifted_blocks(positions, returns, shifts):
        products[place] *= np.maximum(1 + later * block, 0.0).prod()
    return products


def _shifted_blocks(values: Floats, others: Floats, shifts: Rows) -> Iterator[tuple[int, Floats, Floats]]:
    """The place of each shift, a block of `values` so many periods later, wrapped, and the same block of `others`."""
    periods, twice = len(values), np.concatenate([values, values])
    for begin in range(0, periods, _BLOCK):
        block = others[begin : begin + _BLOCK]
        for place, first in enumerate((periods - shifts + begin).tolist()):
            yield place, twice[first : first + len(block)], block
