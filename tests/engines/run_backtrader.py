"""Trades cases in backtrader: `python -m tests.engines.run_backtrader < cases.json > outcomes.json`."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import Any

import backtrader as bt

from tests.engines.case import Case, Fill, Outcome, Print, SymbolCase, trade_all
from tests.engines.trader import Trader

# Its broker rejects an order that a rounding error makes too dear, so it gets capital that is never touched.
RESERVE = 1e9


class Feed(bt.feed.DataBase):  # type: ignore[misc]
    """Each bar, and after it its close once more, as a bar of its own: an order at a close is filled there."""

    params = (("case", None),)

    def start(self) -> None:
        super().start()
        self._rows = iter(rows(self.p.case))

    def _load(self) -> bool:
        row = next(self._rows, None)
        if row is None:
            return False
        lines, own = self.lines, self.p.case
        lines.datetime[0] = bt.date2num(_at(row.instant))
        lines.open[0] = lines.high[0] = lines.low[0] = lines.close[0] = row.price
        lines.volume[0] = lines.openinterest[0] = 0
        if row.kind == "open":
            lines.high[0], lines.low[0], lines.close[0] = own.high[row.bar], own.low[row.bar], own.close[row.bar]
        return True


def rows(case: SymbolCase) -> list[Print]:
    return [each for each in case.prints() if each.kind != "within"]


def _at(nanoseconds: int) -> datetime:
    return datetime(1970, 1, 1) + timedelta(microseconds=nanoseconds // 1000)  # noqa: DTZ001


class Fee(bt.CommInfoBase):  # type: ignore[misc]
    """A share of the traded value, or what the trader has named for the order, by unit."""

    params = (("rate", 0.0), ("stocklike", True), ("commtype", bt.CommInfoBase.COMM_PERC), ("percabs", True))
    named: float | None = None

    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
        return abs(size) * (price * self.p.rate if self.named is None else self.named)


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
        self.rows = [rows(own) for own in self.case.symbols]
        self.read = [0 for _ in self.case.symbols]

    def units(self, symbol: int) -> float:
        return float(self.getposition(self.datas[symbol]).size)

    def cash(self, symbol: int) -> float:
        return float(self.cash_of[symbol])

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
        opening = []
        for symbol, data in enumerate(self.datas):
            if len(data) > self.read[symbol]:
                self.read[symbol] = len(data)
                row = self.rows[symbol][len(data) - 1]
                if row.kind == "open":
                    self._value(symbol, row.bar, row.price)
                    opening.append((symbol, row.bar))
                elif row.kind == "close":
                    self.trader.at_close(symbol, row.bar)
                else:
                    self.trader.after_split(symbol)
        for symbol, bar in opening:
            self.bars[symbol] = bar
        if opening:
            self.trader.at_open(opening)

    # The first bars of all, while another symbol has none.
    nextstart_open = prenext_open = next_open

    def stop(self) -> None:
        for symbol, own in enumerate(self.case.symbols):
            self._value(symbol, len(own.opens), own.close[-1])

    def _value(self, symbol: int, bar: int, price: float) -> None:
        if len(self.equity[symbol]) < bar:
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
        fee = order.info.fee
        self.getcommissioninfo(order.data).named = None if fee is None else fee / abs(order.size)
        return super()._execute(order, *args, **how)


def trade_case(case: Case) -> Outcome:
    cerebro = bt.Cerebro(stdstats=False, cheat_on_open=True, runonce=False)
    cerebro.broker = NamedFees()
    cerebro.broker.set_coo(True)
    cerebro.broker.set_cash(case.capital + RESERVE)
    cerebro.broker.addcommissioninfo(Fee(rate=case.rate))
    for own in case.symbols:
        cerebro.adddata(Feed(case=own), name=own.name)
    cerebro.addstrategy(Desk, case=case)
    (desk,) = cerebro.run()
    total = cerebro.broker.getvalue() - RESERVE
    return Outcome(desk.fills, desk.equity, total)


if __name__ == "__main__":
    sys.stdout.write(trade_all(sys.stdin.read(), trade_case))
