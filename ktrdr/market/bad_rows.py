"""One rule for the rows of all providers that no market can have made: put right, left out and counted."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import polars as pl

from ktrdr.formatting import counted
from ktrdr.market.bars import PRICES, ROUNDING


@dataclass(frozen=True, slots=True)
class Mending:
    """How many rows were put right or left out, by the reason.

    widened: high or low did not hold open and close, and was widened to it
    without_price: left out, because a price is missing or not a finite number
    not_positive: left out, because a price is zero or negative
    bad_volume: left out, because the volume is negative or infinite
    without_volume: the volume is missing, and counts as 0
    """

    widened: int = 0
    without_price: int = 0
    not_positive: int = 0
    bad_volume: int = 0
    without_volume: int = 0

    def __add__(self, other: Mending) -> Mending:
        return Mending(*(ours + theirs for ours, theirs in zip(astuple(self), astuple(other), strict=True)))

    @property
    def left_out(self) -> int:
        return self.without_price + self.not_positive + self.bad_volume

    @property
    def note(self) -> str:
        """For people; empty where nothing was changed."""
        return "; ".join(words for count, words in self._parts() if count)

    def _parts(self) -> list[tuple[int, str]]:
        return [
            (self.without_price, f"{counted(self.without_price, 'bar')} without prices left out"),
            (self.not_positive, f"{counted(self.not_positive, 'bar')} with a price of zero or below left out"),
            (self.bad_volume, f"{counted(self.bad_volume, 'bar')} with a negative or infinite volume left out"),
            (self.widened, f"high or low widened to hold open and close in {counted(self.widened, 'bar')}"),
            (self.without_volume, f"volume missing in {counted(self.without_volume, 'bar')}, taken as 0"),
        ]


UNCHANGED = Mending()


def mend(frame: pl.DataFrame) -> tuple[pl.DataFrame, Mending]:
    """Bars without rows that cannot be right; the frame may have other columns besides those of bars."""
    present, without_price = _without(frame, ~pl.all_horizontal(pl.col(name).is_finite() for name in PRICES))
    positive, not_positive = _without(present, pl.any_horizontal(pl.col(name) <= 0 for name in PRICES))
    missing = pl.col("volume").is_null() | pl.col("volume").is_nan()
    without_volume = int(positive.select(missing.sum()).item())
    counted = positive.with_columns(volume=pl.when(missing).then(0.0).otherwise("volume"))
    right, bad_volume = _without(counted, (pl.col("volume") < 0) | pl.col("volume").is_infinite())
    widened = right.with_columns(high=pl.max_horizontal(*PRICES), low=pl.min_horizontal(*PRICES))
    return widened, Mending(_moved(right, widened), without_price, not_positive, bad_volume, without_volume)


def _without(frame: pl.DataFrame, is_bad: pl.Expr) -> tuple[pl.DataFrame, int]:
    rest = frame.filter(~is_bad.fill_null(True))
    return rest, len(frame) - len(rest)


def _moved(before: pl.DataFrame, after: pl.DataFrame) -> int:
    """Rows whose high or low is another one now; adjusted prices differ by rounding alone."""
    slack = ROUNDING * after["high"]
    moved = ((after["high"] - before["high"]) > slack) | ((before["low"] - after["low"]) > slack)
    return int(moved.sum())
