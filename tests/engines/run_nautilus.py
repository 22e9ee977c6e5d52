"""Trades cases in NautilusTrader: `python -m tests.engines.run_nautilus < cases.json > outcomes.json`."""

from __future__ import annotations

import sys
from collections import Counter
from decimal import Decimal
from typing import Any

from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.models import FeeModel, MakerTakerFeeModel
from nautilus_trader.config import LoggingConfig, RiskEngineConfig
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import AccountType, CurrencyType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Currency, Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

from tests.engines.case import Case, Fill, Outcome, trade_all
from tests.engines.trader import Trader

DIGITS = 9
# With a dollar's two digits every fill would be rounded to cents.
MONEY = Currency("MONEY", DIGITS, 0, "Money", CurrencyType.CRYPTO)
# More than anybody trades, so that each order is one fill.
DEPTH = Quantity(1e10, DIGITS)


def pair(number: int, rate: float) -> CurrencyPair:
    """An instrument that is traded in any fraction, on a venue of its own with an account of its own."""
    name = f"S{number}"
    return CurrencyPair(
        instrument_id=InstrumentId(Symbol(name), Venue(f"V{number}")),
        raw_symbol=Symbol(name),
        base_currency=Currency(name, DIGITS, 0, name, CurrencyType.CRYPTO),
        quote_currency=MONEY,
        price_precision=DIGITS,
        size_precision=DIGITS,
        price_increment=Price(10**-DIGITS, DIGITS),
        size_increment=Quantity(10**-DIGITS, DIGITS),
        margin_init=Decimal(0),
        margin_maint=Decimal(0),
        maker_fee=Decimal(str(rate)),
        taker_fee=Decimal(str(rate)),
        ts_event=0,
        ts_init=0,
    )


class Fees(FeeModel):  # type: ignore[misc]
    """The engine's own, unless the trader has named another for an order, as its tag."""

    def __init__(self) -> None:
        self.own = MakerTakerFeeModel()

    def get_commission(self, order: Any, fill_qty: Any, fill_px: Any, instrument: Any) -> Any:
        if order.tags:
            return Money(float(order.tags[0]), MONEY)
        return self.own.get_commission(order, fill_qty, fill_px, instrument)


class Desk(Strategy):  # type: ignore[misc]
    """Follows the trader on the prints at opens and closes."""

    fills_gaps = False

    def open_desk(self, case: Case, pairs: list[CurrencyPair]) -> None:
        self.case, self.pairs = case, pairs
        self.trader = Trader(case, self)
        self.symbols = {own.id: number for number, own in enumerate(pairs)}
        self.prints = [own.prints() for own in case.symbols]
        self.bars = [-1 for _ in pairs]
        self.opening: list[tuple[int, int]] = []
        self.at_instant = Counter(instant for own in case.symbols for instant in own.opens)
        self.equity: list[list[float]] = [[] for _ in pairs]
        self.filled: list[Fill] = []
        self.protection: dict[int, list[Any]] = {}

    def on_start(self) -> None:
        for own in self.pairs:
            self.subscribe_quote_ticks(own.id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        symbol = self.symbols[tick.instrument_id]
        own = next(self.prints[symbol])
        if own.kind == "close":
            self.trader.at_close(symbol, own.bar)
        elif own.kind == "split":
            self.trader.after_split(symbol)
        elif own.kind == "open":
            self._value(symbol, own.bar, own.price)
            self.bars[symbol] = own.bar
            self.opening.append((symbol, own.bar))
            if len(self.opening) == self.at_instant[own.instant]:
                opening, self.opening = sorted(self.opening), []
                self.trader.at_open(opening)

    def _value(self, symbol: int, bar: int, price: float) -> None:
        if len(self.equity[symbol]) < bar:
            self.equity[symbol].append(self.cash(symbol) + self.units(symbol) * price)

    def units(self, symbol: int) -> float:
        return float(self.portfolio.net_position(self.pairs[symbol].id))

    def cash(self, symbol: int) -> float:
        """The balance has the gains of what was closed; of what is open it lacks what was paid for it."""
        own = self.pairs[symbol].id
        account = self.portfolio.account(own.venue)
        paid = sum(each.signed_qty * each.avg_px_open for each in self.cache.positions_open(instrument_id=own))
        return float(account.balance_total(MONEY).as_double() - paid)

    def trade(self, symbol: int, units: float, fee: float | None) -> None:
        tags = None if fee is None else [repr(fee)]
        self.submit_order(
            self.order_factory.market(self.pairs[symbol].id, self._side(units), self._size(units), tags=tags)
        )

    def protect(self, symbol: int, units: float, stop: float, target: float) -> None:
        own, side, size = self.pairs[symbol].id, self._side(units), self._size(units)
        first = self.order_factory.stop_market(own, side, size, Price(stop, DIGITS))
        second = self.order_factory.limit(own, side, size, Price(target, DIGITS))
        self.protection[symbol] = [first, second]
        for order in self.protection[symbol]:
            self.submit_order(order)

    def withdraw(self, symbol: int) -> None:
        for order in self.protection.pop(symbol, []):
            if order.is_open:
                self.cancel_order(order)

    def _side(self, units: float) -> OrderSide:
        return OrderSide.BUY if units > 0 else OrderSide.SELL

    def _size(self, units: float) -> Quantity:
        return Quantity(abs(units), DIGITS)

    def on_order_filled(self, event: Any) -> None:
        symbol = self.symbols[event.instrument_id]
        units = event.last_qty.as_double() * (1 if event.order_side == OrderSide.BUY else -1)
        price, cost = event.last_px.as_double(), event.commission.as_double()
        self.filled.append(Fill(symbol, self.bars[symbol], units, price, cost))
        if any(order.client_order_id == event.client_order_id for order in self.protection.get(symbol, [])):
            self.withdraw(symbol)

    def on_order_rejected(self, event: Any) -> None:
        raise RuntimeError(f"the venue rejected an order: {event}")


def trade_case(case: Case) -> Outcome:
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True), risk_engine=RiskEngineConfig(bypass=True), run_analysis=False
        )
    )
    pairs = [pair(number, case.rate) for number in range(len(case.symbols))]
    desk = Desk()
    for own, each in zip(pairs, case.symbols, strict=True):
        balance = [Money(case.share, MONEY)]
        engine.add_venue(
            own.id.venue, OmsType.NETTING, AccountType.MARGIN, balance, MONEY, Decimal(1000), fee_model=Fees()
        )
        engine.add_instrument(own)
        prints = [(one.instant, Price(one.price, DIGITS)) for one in each.prints()]
        engine.add_data([QuoteTick(own.id, price, price, DEPTH, DEPTH, at, at) for at, price in prints])
    desk.open_desk(case, pairs)
    engine.add_strategy(desk)
    engine.run()
    for symbol, each in enumerate(case.symbols):
        desk.equity[symbol].append(desk.cash(symbol) + desk.units(symbol) * each.close[-1])
    outcome = Outcome(desk.filled, desk.equity, sum(each[-1] for each in desk.equity))
    engine.dispose()
    return outcome


if __name__ == "__main__":
    sys.stdout.write(trade_all(sys.stdin.read(), trade_case))
