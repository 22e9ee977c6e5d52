"""The rules of positions as a trader in somebody else's engine follows them: it orders, and the engine fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tests.engines.case import Case, SymbolCase

# Orders below this share of the account are rounding errors.
LEAST_ORDER = 1e-9


class Engine(Protocol):
    """What the trader knows of an engine; a symbol is its place in the case.

    fills_gaps: whether a stop that the open is beyond fills at that open, and not at its own price
    """

    @property
    def fills_gaps(self) -> bool: ...

    def units(self, symbol: int) -> float: ...

    def cash(self, symbol: int) -> float:
        """Of the symbol's account."""

    def trade(self, symbol: int, units: float, fee: float | None) -> None:
        """Send a market order, which is filled at the current price; with a `fee` it costs that and nothing else."""

    def protect(self, symbol: int, units: float, stop: float, target: float) -> None:
        """Send a stop and a limit order that close `units`; whichever fills first cancels the other."""

    def withdraw(self, symbol: int) -> None:
        """Cancel these two."""


@dataclass
class Account:
    """What the trader knows of one symbol, from its last look at the engine and the orders it has sent since."""

    case: SymbolCase
    units: float = 0.0
    equity: float = 0.0
    price: float = 0.0
    bar: int = -1
    position: float = 0.0
    stop: float = 0.0
    target: float = 0.0
    deadline: int = 0
    is_leaving: bool = False
    gapped_at: int = -1

    @property
    def value(self) -> float:
        return self.units * self.price

    @property
    def asked(self) -> float:
        return self.case.targets[self.bar]


class Trader:
    """Call `at_open` with all bars that open at an instant, then `at_close` with each bar that closes."""

    def __init__(self, case: Case, engine: Engine) -> None:
        self._case, self._engine = case, engine
        self._accounts = [Account(own, equity=case.share) for own in case.symbols]
        self._split_units = 0.0

    def at_open(self, bars: Sequence[tuple[int, int]]) -> None:
        """`bars` are pairs of symbol and bar."""
        for symbol, bar in bars:
            self._look(symbol, bar, self._accounts[symbol].case.open[bar])
        for symbol, _ in bars:
            self._leave(symbol)
        scale = self._scale([symbol for symbol, _ in bars])
        for symbol, _ in bars:
            self._enter(symbol, scale)

    def at_close(self, symbol: int, bar: int) -> None:
        account = self._accounts[symbol]
        close = account.case.close[bar]
        self._look(symbol, bar, close)
        if not account.units:
            return
        if bar + 1 == account.case.split_at:
            self._split_units = account.units
            self._engine.trade(symbol, -account.units, 0.0)
        elif account.case.is_last[bar] or (self._ends_at_close(account, bar) and not self._case.at_next_open):
            self._close(symbol)
        elif not self._case.at_next_open:
            if not self._engine.fills_gaps:
                self._engine.withdraw(symbol)
        else:
            account.is_leaving = self._is_beyond(account, close) or self._ends_at_close(account, bar)

    def after_split(self, symbol: int) -> None:
        """An engine that knows no splits sold the old shares at the close, and buys the new ones at theirs."""
        account, split = self._accounts[symbol], self._accounts[symbol].case.split
        account.price /= split
        if self._split_units:
            self._engine.trade(symbol, self._split_units * split, 0.0)
        self._split_units = 0.0

    def _ends_at_close(self, account: Account, bar: int) -> bool:
        return self._case.horizon is not None and bar >= account.deadline

    def _is_beyond(self, account: Account, price: float) -> bool:
        lower, upper = sorted((account.stop, account.target))
        return price <= lower or price >= upper

    def _look(self, symbol: int, bar: int, price: float) -> None:
        account, engine = self._accounts[symbol], self._engine
        account.bar, account.price, account.units = bar, price, engine.units(symbol)
        account.equity = engine.cash(symbol) + account.units * price

    def _leave(self, symbol: int) -> None:
        """Where a close was beyond a barrier, and where the open is: there the engine fills the stop by itself."""
        account = self._accounts[symbol]
        if not account.units or self._case.horizon is None:
            return
        if account.is_leaving:
            self._close(symbol)
        elif self._case.at_next_open:
            return
        elif not self._is_beyond(account, account.price):
            if not self._engine.fills_gaps:
                self._engine.protect(symbol, -account.units, account.stop, account.target)
        elif self._engine.fills_gaps:
            account.gapped_at = account.bar
            account.equity -= self._case.rate * abs(account.value)
            account.units = 0.0
        else:
            account.gapped_at = account.bar
            self._close(symbol)

    def _enter(self, symbol: int, scale: float) -> None:
        account = self._accounts[symbol]
        if self._case.fees == "share of the account":
            self._keep_share(symbol)
        elif self._case.horizon is not None:
            self._enter_between_barriers(symbol, scale)
        elif self._is_wished(account, scale):
            self._order(symbol, scale * account.asked)

    def _is_wished(self, account: Account, scale: float = 1.0) -> bool:
        asked = scale * account.asked
        if account.gapped_at == account.bar:
            return False
        if not account.units:
            return bool(asked) and account.equity > 0
        if self._case.horizon is not None:
            return False
        if asked * account.units <= 0:
            return True
        gap = abs(asked) * account.equity - abs(account.value)
        return abs(gap) > max(self._case.band, LEAST_ORDER) * account.equity or (scale < 1 and gap < 0)

    def _enter_between_barriers(self, symbol: int, scale: float) -> None:
        account, bar = self._accounts[symbol], self._accounts[symbol].bar
        lower, upper = account.case.lower[bar], account.case.upper[bar]
        if account.gapped_at == account.bar or account.units or not account.asked or not lower < account.price < upper:
            return
        self._order(symbol, scale * account.asked)
        account.stop, account.target = (lower, upper) if account.asked > 0 else (upper, lower)
        account.deadline, account.is_leaving = bar + (self._case.horizon or 0) - 1, False
        if not self._case.at_next_open:
            self._engine.protect(symbol, -account.units, account.stop, account.target)

    def _order(self, symbol: int, asked: float) -> None:
        """Trade until `asked` of what is left after the costs is held."""
        account, rate = self._accounts[symbol], self._case.rate
        gap = asked * account.equity - account.value
        change = gap / (1 + rate * asked * (1 if gap > 0 else -1))
        if abs(change) <= LEAST_ORDER * account.equity:
            return
        self._trade(symbol, change / account.price if asked else -account.units, rate * abs(change))

    def _keep_share(self, symbol: int) -> None:
        """Hold the target exactly; each change of it costs its size times the account, and nothing else does."""
        account = self._accounts[symbol]
        cost = self._case.rate * abs(account.asked - account.position) * account.equity
        units = account.asked * (account.equity - cost) / account.price - account.units
        account.position = account.asked
        if abs(units * account.price) > LEAST_ORDER * account.equity:
            self._trade(symbol, units if account.asked else -account.units, cost)

    def _close(self, symbol: int) -> None:
        account = self._accounts[symbol]
        self._engine.withdraw(symbol)
        size = abs(account.position) * account.equity if self._is_by_share else abs(account.value)
        account.position, account.is_leaving = 0.0, False
        self._trade(symbol, -account.units, self._case.rate * size)

    @property
    def _is_by_share(self) -> bool:
        return self._case.fees == "share of the account"

    def _trade(self, symbol: int, units: float, cost: float) -> None:
        account = self._accounts[symbol]
        if units:
            self._engine.trade(symbol, units, cost if self._is_by_share else None)
            account.units += units
            account.equity -= cost

    def _scale(self, symbols: Sequence[int]) -> float:
        """The share of what is asked for at one instant that the limit leaves."""
        if self._case.max_gross is None:
            return 1.0
        asked, waiting = 0.0, 0.0
        for symbol, account in enumerate(self._accounts):
            size = abs(account.asked) * max(0.0, account.equity) if symbol in symbols else 0.0
            if symbol not in symbols:
                waiting += abs(account.value)
            else:
                asked += size if self._is_wished(account) else max(size, abs(account.value))
        room = self._case.max_gross * sum(account.equity for account in self._accounts) - waiting
        return 1.0 if asked <= room else max(0.0, room / asked)
