"""One symbol's account: units and cash, bar by bar."""

from __future__ import annotations

import math

import numpy as np

from ktrdr.evaluation.fills.orders import Barriers, FillBars, FillCosts, Fills, Floats, Reason, Simulation

# Orders below this share of the account are rounding errors.
_LEAST_ORDER = 1e-9


class Account:
    """Holds the position that is asked for at each open, within a band.

    Call `mark`, `leave`, `enter` and `finish` for each bar in order. Not safe to share between threads.
    """

    __slots__ = (
        "_at_open", "_band", "_bar", "_carries", "_close", "_costs", "_days", "_equities", "_fee", "_high", "_holding",
        "_is_last", "_log", "_low", "_min_fee", "_open", "_participation", "_rate", "_reasons", "_room", "_targets",
        "_unfilled", "_volume", "cash", "equity", "price", "units",
    )  # fmt: skip

    def __init__(
        self, bars: FillBars, targets: Floats, costs: FillCosts, capital: float = 1.0, band: float = 0.0
    ) -> None:
        # Lists and plain attributes: a bar takes a microsecond or two.
        self._open, self._high, self._low = bars.open.tolist(), bars.high.tolist(), bars.low.tolist()
        self._close, self._volume = bars.close.tolist(), np.nan_to_num(bars.volume).tolist()
        self._days, self._is_last = bars.days.tolist(), bars.is_last.tolist()
        self._targets = targets.tolist()
        self._costs, self._rate, self._fee, self._min_fee = costs, costs.rate, costs.fee, costs.min_fee
        self._participation, self._band = costs.participation, max(band, _LEAST_ORDER)
        self._carries = costs.borrow > 0 or costs.financing > 0
        self._equities: list[float] = []
        self._holding: list[float] = []
        self._log: list[float] = []
        self._reasons: list[Reason] = []
        self._bar, self._at_open, self._room, self._unfilled = 0, True, math.inf, False
        self.cash, self.units, self.price, self.equity = capital, 0.0, 0.0, capital

    def mark(self, bar: int) -> None:
        """Value the account at the open of `bar`."""
        self._bar, self._at_open = bar, True
        if self._participation is not None:
            self._room = self._participation * self._volume[bar]
        self._value_at(self._open[bar])

    def leave(self) -> None:
        """Close what has to be closed at the open, whatever is asked for."""

    def demand(self) -> float | None:
        """The value that would be held from the open on; None where the position stays, whatever the limit."""
        target: float = abs(self._targets[self._bar]) * max(0.0, self.equity)
        return target if self.wish() is not None else max(target, abs(self.units * self.price))

    def wish(self, scale: float = 1.0) -> float | None:
        """The position to hold from the open on, `scale` times the target; None to leave it as it is."""
        target: float = scale * self._targets[self._bar]
        units, equity = self.units, self.equity
        if units == 0.0:
            return target if target and equity > 0 else None
        if target * units <= 0 or self._unfilled:
            return target
        gap = abs(target) * equity - abs(units) * self.price
        return target if abs(gap) > self._band * equity or (scale < 1 and gap < 0) else None

    def enter(self, scale: float = 1.0) -> None:
        """Trade to `scale` times the target, where that is wished for."""
        if (target := self.wish(scale)) is not None:
            self._trade_to(target, self._reason(target))

    def finish(self) -> None:
        """Go on to the bar's close, pay for holding, and value the account at the next open."""
        bar = self._bar
        if self._carries:
            self._pay_for_holding(bar)
        self._pass_bar()
        if self._is_last[bar]:
            self._close_all(Reason.END if bar + 1 == len(self._open) else Reason.HOLE)
            self._equities.append(self.equity)
        else:
            # The last price that is known until the next bar, however long that takes.
            self.price = self._close[bar]
            self.equity = self.cash + self.units * self.price
            self._equities.append(max(0.0, self.cash + self.units * self._open[bar + 1]))

    def result(self) -> Simulation:
        holding = np.array(self._holding) if self._carries else np.zeros(len(self._equities))
        return Simulation(np.array(self._equities), holding, self._fills())

    def _fills(self) -> Fills:
        bars, is_at_open, units, prices, costs, held, equity = np.array(self._log, np.float64).reshape(-1, 7).T
        rows, places = bars.astype(np.int64), is_at_open.astype(np.bool_)
        return Fills(rows, places, units, prices, costs, held, equity, self._reasons)

    def _pass_bar(self) -> None:
        """What happens between the open and the close."""

    def _reason(self, target: float) -> Reason:
        if self._unfilled:
            return Reason.VOLUME
        return Reason.BAND if target * self.units > 0 else Reason.SIGNAL

    def _value_at(self, price: float) -> None:
        self.price = price
        self.equity = self.cash + self.units * price
        if self.equity <= 0 and self.units:
            self._liquidate()

    def _liquidate(self) -> None:
        """Close at the price at which nothing is left: nobody loses more than the capital."""
        self.price = -self.cash / self.units
        self._record(-self.units, 0.0, 0.0, 0.0, Reason.RUIN)
        self.cash = self.units = self.equity = 0.0

    def _trade_to(self, target: float, reason: Reason) -> None:
        """Fill at the current price, as far as the volume allows."""
        if self.price <= 0:
            return
        units = self._change(target) / self.price if target else -self.units
        if self._participation is not None:
            units = self._within_volume(units)
        if units:
            self._fill(units, reason)

    def _change(self, target: float) -> float:
        """The traded value after which the position is `target` times what is left of the account after its costs.

        With value H, equity E and costs k |change|, H + change = target (E - k |change|) gives
        change = (target E - H) / (1 + k target sign(change)).
        """
        value = self.units * self.price
        change = _solve(target, self.equity, value, self._rate)
        if self._fee * abs(change) < self._min_fee:
            change = self._change_at_min_fee(change, target, value)
        return change if abs(change) > _LEAST_ORDER * self.equity else 0.0

    def _change_at_min_fee(self, change: float, target: float, value: float) -> float:
        """An order that is not worth its fee is none."""
        after_fee = self.equity - self._min_fee
        lesser = _solve(target, after_fee, value, self._rate - self._fee) if after_fee > 0 else 0.0
        return lesser if lesser * change > 0 else 0.0

    def _within_volume(self, units: float) -> float:
        self._unfilled = abs(units) > self._room
        return math.copysign(self._room, units) if self._unfilled else units

    def _fill(self, units: float, reason: Reason) -> None:
        value, equity = units * self.price, self.equity
        traded = abs(value)
        cost = self._rate * traded
        if self._fee * traded < self._min_fee:
            cost += self._min_fee - self._fee * traded
        if cost > equity:
            cost = equity
        self.cash -= value + cost
        self.units += units
        self.equity = equity - cost
        self._room -= abs(units)
        self._record(units, cost, self.units, equity, reason)

    def _record(self, units: float, cost: float, held: float, equity: float, reason: Reason) -> None:
        self._log += (self._bar, self._at_open, units, self.price, cost, held, equity)
        self._reasons.append(reason)

    def _close_all(self, reason: Reason) -> None:
        """At the close, whatever the volume."""
        self._at_open, self._room, self._unfilled = False, math.inf, False
        self._value_at(self._close[self._bar])
        if self.units:
            self._fill(-self.units, reason)

    def _pay_for_holding(self, bar: int) -> None:
        """On what is held after the open, from there to the next open."""
        costs = self._costs
        short, borrowed = max(0.0, -self.units * self.price), max(0.0, -self.cash)
        paid = self._days[bar] * (costs.borrow * short + costs.financing * borrowed)
        self._holding.append(paid)
        self.cash -= paid


class BarrierAccount(Account):
    """Enters when it holds nothing, and holds to a barrier or to the horizon, whatever is asked for meanwhile."""

    __slots__ = (
        "_at_next_open",
        "_deadline",
        "_has_gapped",
        "_horizon",
        "_leaving",
        "_lower",
        "_stop",
        "_take",
        "_upper",
    )

    def __init__(
        self, bars: FillBars, targets: Floats, costs: FillCosts, barriers: Barriers, capital: float = 1.0
    ) -> None:
        super().__init__(bars, targets, costs, capital)
        self._upper, self._lower = barriers.upper.tolist(), barriers.lower.tolist()
        self._horizon, self._at_next_open = barriers.horizon, barriers.fills_at_next_open
        self._stop = self._take = math.nan
        self._deadline, self._has_gapped = 0, False
        self._leaving: Reason | None = None

    def leave(self) -> None:
        self._has_gapped = False
        if not self.units:
            return
        if self._leaving is None and not self._at_next_open:
            self._leaving = self._touched(self.price, self.price)
            self._has_gapped = self._leaving is not None
        if self._leaving is not None:
            self._exit(self._leaving)

    def demand(self) -> float | None:
        return None if (target := self.wish()) is None else abs(target) * self.equity

    def wish(self, scale: float = 1.0) -> float | None:
        target, bar = scale * self._targets[self._bar], self._bar
        # At the close before a gap nobody knew that the position would end, so nothing was ordered.
        if self.units or not target or self._has_gapped or self.equity <= 0:
            return None
        # An open beyond a barrier has ended the trade before it began; a comparison with NaN is false.
        return target if self._lower[bar] < self.price < self._upper[bar] else None

    def enter(self, scale: float = 1.0) -> None:
        if (target := self.wish(scale)) is None:
            return
        self._trade_to(target, Reason.SIGNAL)
        self._unfilled = False  # the rest of an entry is cancelled
        bar = self._bar
        self._stop, self._take = self._lower[bar], self._upper[bar]
        if target < 0:
            self._stop, self._take = self._take, self._stop
        self._deadline = bar + self._horizon - 1

    def _pass_bar(self) -> None:
        if not self.units or self._leaving is not None:
            return
        bar, close = self._bar, self._close[self._bar]
        self._at_open = False
        if self._at_next_open:
            self._leaving = self._touched(close, close) or (Reason.HORIZON if bar >= self._deadline else None)
        elif reason := self._touched(self._low[bar], self._high[bar]):
            self._value_at(self._stop if reason is Reason.STOP else self._take)
            self._exit(reason)
        elif bar >= self._deadline:
            self._value_at(close)
            self._exit(Reason.HORIZON)

    def _touched(self, low: float, high: float) -> Reason | None:
        """Of a bar that touches both barriers the stop counts: which came first is not known."""
        is_long = self.units > 0
        if low <= self._stop if is_long else high >= self._stop:
            return Reason.STOP
        return Reason.TARGET if (high >= self._take if is_long else low <= self._take) else None

    def _exit(self, reason: Reason) -> None:
        self._trade_to(0.0, reason)
        self._leaving = reason if self.units else None

    def _close_all(self, reason: Reason) -> None:
        super()._close_all(reason)
        self._leaving = None


def _solve(target: float, equity: float, value: float, rate: float) -> float:
    gap = target * equity - value
    share = 1 + rate * target * (1.0 if gap > 0 else -1.0)
    return gap / share if share > 0 else -value
