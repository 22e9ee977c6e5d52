"""What a simulation of fills reads, and what it writes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ktrdr.payloads.trading_rules import Costs

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FillBars:
    """The bars of one symbol that are traded. Every array is [bars].

    opens: opening instants (us, UTC), rising
    open, high, low, close, volume: of each bar
    days: time from the bar's open to the next bar's, or to its own close where nothing is held after it
    is_last: whether everything is sold at the bar's close: at the end, and before a hole
    """

    opens: NDArray[np.datetime64]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    days: Floats
    is_last: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.open)


@dataclass(frozen=True, slots=True, eq=False)
class Barriers:
    """Where a position that is entered at the open of a bar is left.

    upper, lower: [bars], prices; NaN where they are not known, and nothing is entered
    horizon: bars, the first of them included, after which it is left at the close
    fills_at_next_open: whether closes are compared with the barriers, and the open after them is the fill
    """

    upper: Floats
    lower: Floats
    horizon: int
    fills_at_next_open: bool = False


@dataclass(frozen=True, slots=True)
class FillCosts:
    """Costs of trading and holding as shares, and the limits of an order.

    rate: of the traded value, fee and slippage together
    fee: the part of it that is a fee
    min_fee: least fee of one fill, in the currency of the capital
    borrow: a day, of the value that is held short
    financing: a day, of the capital that is borrowed
    participation: largest share of a bar's volume that is filled; None for no limit
    """

    rate: float = 0.0
    fee: float = 0.0
    min_fee: float = 0.0
    borrow: float = 0.0
    financing: float = 0.0
    participation: float | None = None

    @classmethod
    def of(cls, costs: Costs) -> FillCosts:
        return cls(
            (costs.fee_bps + costs.slippage_bps) / 10_000,
            costs.fee_bps / 10_000,
            costs.min_fee,
            costs.borrow_bps_per_day / 10_000,
            costs.financing_bps_per_day / 10_000,
            costs.participation,
        )

    def at(self, rate: float) -> FillCosts:
        """The same where a trade costs `rate`, of which a fee has the same part."""
        return replace(self, rate=rate, fee=self.fee * (rate / self.rate) if self.rate else rate)


class Reason(StrEnum):
    """Why a fill took place."""

    SIGNAL = "signal"  # it enters, leaves or turns round, as a prediction asks for
    BAND = "band"  # it resizes a position on the same side
    VOLUME = "volume"  # it goes on with an order that the volume of an earlier bar was too small for
    STOP = "stop"
    TARGET = "target"
    HORIZON = "horizon"
    HOLE = "hole"
    END = "end"
    RUIN = "ruin"  # nothing is left of the capital


@dataclass(frozen=True, slots=True, eq=False)
class Fills:
    """All fills of one account in order of time. Every array is [fills].

    bars: rows of the bars
    is_at_open: whether it took place at the bar's open; else within the bar or at its close
    units: bought, or sold if negative
    prices: in the currency of the bars, before slippage
    costs: fee and slippage, in the currency of the capital
    held: units after it
    equity: of the account before it, at its price
    reasons: why it took place
    """

    bars: NDArray[np.int64]
    is_at_open: NDArray[np.bool_]
    units: Floats
    prices: Floats
    costs: Floats
    held: Floats
    equity: Floats
    reasons: list[Reason]

    def __len__(self) -> int:
        return len(self.reasons)

    @property
    def traded(self) -> Floats:
        """[fills], the traded value as a share of the account; 0 where nothing is left of that."""
        value = np.abs(self.units * self.prices)
        return np.divide(value, self.equity, out=np.zeros(len(self)), where=self.equity > 0)


@dataclass(frozen=True, slots=True, eq=False)
class Simulation:
    """What one symbol's account came to, in the currency of the capital.

    equity: [bars], value at the next bar's open, or after the close where everything is sold then
    holding: [bars], cost of holding over that time
    """

    equity: Floats
    holding: Floats
    fills: Fills
