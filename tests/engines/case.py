"""What an engine is asked to trade, and what it came to: JSON between ktrdr's Python and the engines' own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

Fees = Literal["traded value", "share of the account"]
Kind = Literal["open", "within", "close", "split"]
# A millisecond.
PAUSE = 1_000_000


@dataclass(frozen=True)
class Print:
    """A price at an instant (ns, UTC) of a bar."""

    instant: int
    kind: Kind
    bar: int
    price: float


@dataclass(frozen=True)
class SymbolCase:
    """The bars of one symbol and what is asked for. Every list is [bars].

    opens, closes: instants at which bars open and close (ns, UTC)
    is_last: whether everything is sold at the bar's close
    targets: positions from the bar's open on, as shares of the symbol's account
    lower, upper: prices at which a position that is entered at the bar's open is left; empty without barriers
    low_first: whether the price falls before it rises; a bar does not tell
    split_at: bar before whose open one share becomes `split` shares
    """

    name: str
    opens: list[int]
    closes: list[int]
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    is_last: list[bool]
    targets: list[float]
    lower: list[float]
    upper: list[float]
    low_first: list[bool]
    split_at: int | None = None
    split: float = 1.0

    def prints(self) -> Iterator[Print]:
        """Of each bar its open, its two extremes and its close; before a split the first price after it."""
        for bar, (opened, closed) in enumerate(zip(self.opens, self.closes, strict=True)):
            extremes = (self.low[bar], self.high[bar]) if self.low_first[bar] else (self.high[bar], self.low[bar])
            close = self.close[bar]
            yield Print(opened, "open", bar, self.open[bar])
            for place, price in enumerate(extremes, start=1):
                yield Print(opened + place * (closed - opened) // 4, "within", bar, price)
            yield Print(closed - 2 * PAUSE, "close", bar, close)
            if bar + 1 == self.split_at:
                yield Print(closed - PAUSE, "split", bar, close / self.split)


@dataclass(frozen=True)
class Case:
    """What to trade, with an equal share of `capital` for each symbol.

    rate: cost of a trade
    fees: what the rate is a share of: the traded value; or of the account as much as the position changes, in shares of
        it, while it is rebalanced at each open without a cost
    band: how far a position may be from its target, as a share of the account
    max_gross: largest sum of all positions, as a share of all accounts
    horizon: bars after which a position between barriers is left
    at_next_open: whether only closes are compared with the barriers, and the next open is the fill
    """

    symbols: list[SymbolCase]
    capital: float
    rate: float
    fees: Fees = "traded value"
    band: float = 0.0
    max_gross: float | None = None
    horizon: int | None = None
    at_next_open: bool = False

    @property
    def share(self) -> float:
        return self.capital / len(self.symbols)


@dataclass(frozen=True)
class Fill:
    """units: bought, or sold if negative"""

    symbol: int
    bar: int
    units: float
    price: float
    cost: float


@dataclass(frozen=True)
class Outcome:
    """What an engine came to.

    equity: [symbols][bars], value at the next bar's open before it trades, or after the close where all is sold then
    total: of the engine's own account or accounts, at the end
    """

    fills: list[Fill]
    equity: list[list[float]]
    total: float


def write_cases(cases: Mapping[str, Case]) -> str:
    return json.dumps({name: asdict(case) for name, case in cases.items()})


def read_cases(text: str) -> dict[str, Case]:
    return {
        name: Case(**case | {"symbols": [SymbolCase(**own) for own in case["symbols"]]})
        for name, case in json.loads(text).items()
    }


def read_outcomes(text: str) -> dict[str, Outcome]:
    return {
        name: Outcome(**outcome | {"fills": [Fill(**own) for own in outcome["fills"]]})
        for name, outcome in json.loads(text).items()
    }


def trade_all(text: str, trade_case: Callable[[Case], Outcome]) -> str:
    """What an engine's script does with its input."""
    return json.dumps({name: asdict(trade_case(case)) for name, case in read_cases(text).items()})
