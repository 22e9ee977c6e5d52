"""Trades cases in backtrader: `python -m tests.engines.run_backtrader < cases.json > outcomes.json`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import backtrader as bt

from tests.engines.case import Case, Fill, Outcome, SymbolCase, trade_all
from tests.engines.trader import Trader

# Its broker rejects an order that a rounding error makes too dear, so it gets capital that is never touched.
RESERVE = 1e9


class Prints(bt.feed.DataBase):  # type: ignore[misc]
    """Each bar, and after it its close once more, as a bar of its own: an order at a close is filled there."""

    params = (("case", None),)

    def start(self) -> None:
        super().start()
        self._rows = iter(prints(self.p.case))

    def _load(self) -> bool:
        row = next(self._rows, None)
        if row is None:
            return False
        instant, *prices = row
        self.lines.datetime[0] = bt.date2num(instant)
        for line, price in zip(
            (self.lines.open, self.lines.high, self.lines.low, self.lines.close), prices, strict=True
        ):
            line[0] = price
        self.lines.volume[0] = self.lines.openinterest[0] = 0
        return True


def prints(case: SymbolCase) -> list[tuple[datetime, float, float, float, float]]:
    rows = []
    for number, instant in enumerate(case.opens):
        close = case.close[number]
        rows.append((_at(instant), case.open[number], case.high[number], case.low[number], close))
        rows.append((_at(case.closes[number] - 1_000_000), close, close, close, close))
    return rows


def _at(nanoseconds: int) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1000)).replace(tzinfo=None)


class Fee(bt.CommInfoBase):  # type: ignore[misc]
    """A share of the traded value, or what the trader has named for the order."""

    params = (("rate", 0.0), ("stocklike", True), ("commtype", bt.CommInfoBase.COMM_PERC), ("percabs", True))
    named: float | None = None

    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
        return abs(size) * price * self.p.rate if self.named is None else self.named


class Desk(bt.Strategy):  # type: ignore[misc]
    """Follows the trader; keeps the cash of each symbol from the fills that the broker reports."""

    params = (("case", None),)
    fills_gaps = True

    def __init__(self) -> None:
        self.case: Case = self.p.case
        self.trader = Trader(self.case, self)
        self.cash_of = [self.case.share for _ in self.case.symbols]
        self.bars = [-1 for _ in self.case.symbols]
        self.equity: list[list[float]] = [[] for _ in self.case.symbols]
        self.fills: list[Fill] = []
        self.protection: dict[int, list[Any]] = {}
        self.read = [0 for _ in self.case.symbols]

    def units(self, symbol: int) -> float:
        return float(self.getposition(self.datas[symbol]).size)

    def cash(self, symbol: int) -> float:
        return self.cash_of[symbol]

    def trade(self, symbol: int, units: float, fee: float | None) -> None:
        self._send(symbol, units, bt.Order.Market, fee=fee)

    def protect(self, symbol: int, units: float, stop: float, target: float) -> None:
        first = self._send(symbol, units, bt.Order.Stop, price=stop)
        self.protection[symbol] = [first, self._send(symbol, units, bt.Order.Limit, price=target, oco=first)]

    def withdraw(self, symbol: int) -> None:
        for order in self.protection.pop(symbol, []):
            self.cancel(order)

    def _send(self, symbol: int, units: float, kind: int, fee: float | None = None, **how: Any) -> Any:
        send = self.buy if units > 0 else self.sell
        return send(data=self.datas[symbol], size=abs(units), exectype=kind, symbol=symbol, fee=fee, **how)

    def next_open(self) -> None:
        begun = []
        for symbol, data in enumerate(self.datas):
            if len(data) > self.read[symbol]:
                self.read[symbol] = len(data)
                if len(data) % 2:
                    begun.append((symbol, (len(data) - 1) // 2))
                else:
                    self.trader.at_close(symbol, (len(data) - 1) // 2)
        for symbol, bar in begun:
            self.bars[symbol] = bar
            if bar and len(self.equity[symbol]) < bar:
                self._value(symbol, self.case.symbols[symbol].open[bar])
        if begun:
            self.trader.at_open(begun)

    # The first bars of all, while another symbol has none.
    nextstart_open = prenext_open = next_open

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        for symbol, data in enumerate(self.datas):
            bar = (len(data) - 1) // 2
            is_closed = len(data) and not len(data) % 2
            if is_closed and len(self.equity[symbol]) == bar and self.case.symbols[symbol].is_last[bar]:
                self._value(symbol, self.case.symbols[symbol].close[bar])

    def _value(self, symbol: int, price: float) -> None:
        self.equity[symbol].append(self.cash(symbol) + self.units(symbol) * price)

    def notify_order(self, order: Any) -> None:
        if order.status in (order.Rejected, order.Margin):
            raise RuntimeError(f"the broker refused an order: {order}")
        if order.status != order.Completed:
            return
        done, symbol = order.executed, order.info.symbol
        self.cash_of[symbol] -= done.size * done.price + done.comm
        self.fills.append(Fill(symbol, self.bars[symbol], done.size, done.price, done.comm))


class NamedFees(bt.brokers.BackBroker):  # type: ignore[misc]
    """Tells the fee of an order to its commission scheme before it fills."""

    def _execute(self, order: Any, *args: Any, **how: Any) -> Any:
        self.getcommissioninfo(order.data).named = order.info.fee
        return super()._execute(order, *args, **how)


def trade_case(case: Case) -> Outcome:
    cerebro = bt.Cerebro(stdstats=False, cheat_on_open=True, runonce=False)
    cerebro.broker = NamedFees()
    cerebro.broker.set_coo(True)
    cerebro.broker.set_cash(case.capital + RESERVE)
    cerebro.broker.addcommissioninfo(Fee(rate=case.rate))
    for own in case.symbols:
        cerebro.adddata(Prints(case=own), name=own.name)
    cerebro.addstrategy(Desk, case=case)
    (desk,) = cerebro.run()
    total = cerebro.broker.getvalue() - RESERVE
    return Outcome(desk.fills, desk.equity, total)


if __name__ == "__main__":
    sys.stdout.write(trade_all(sys.stdin.read(), trade_case))
