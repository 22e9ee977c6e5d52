"""Simulates fills: the units and the cash of each symbol's account, where what is traded depends on the path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ktrdr.evaluation.fills.account import Account, BarrierAccount
from ktrdr.evaluation.fills.orders import Barriers, FillBars, FillCosts, Floats, Simulation

Turn = Sequence[tuple[Account, int]]
"""The accounts that have a bar at one instant, with its row."""


@dataclass(frozen=True, slots=True, eq=False)
class SymbolOrders:
    """What is asked for of one symbol.

    targets: [bars], see `simulate`
    barriers: None where positions are held until another one is asked for
    """

    bars: FillBars
    targets: Floats
    barriers: Barriers | None = None


def simulate(
    bars: FillBars,
    targets: Floats,
    costs: FillCosts,
    *,
    capital: float = 1.0,
    band: float = 0.0,
    barriers: Barriers | None = None,
) -> Simulation:
    """Trade one symbol from the first bar's open to the last bar's close, with `capital` in cash at the start.

    `targets` [bars] are the positions that the close before each bar asks for, as a share of the account's value: 1 is
    all of it long, -1 short. A bar goes through these steps:

    1. The account is valued at the open: equity = cash + units * open. Where that is not above zero, the position is
       closed at the price -cash / units, without a cost (`ruin`), and nothing is traded any more.
    2. The order. Without barriers the position is traded to the target where it is flat, where the target is zero or
       on the other side, or where units * open is farther from target * equity than `band` * equity. With barriers
       only an account without a position enters, if the open lies between the barriers of this bar; not at an open
       at which a gap has just ended a position.
       The traded value `change` leaves target * (equity - cost) in the position, the cost being
       rate * |change| + max(0, min_fee - fee * |change|). It is filled at the open: units += change / open,
       cash -= change + cost. Values are real numbers: there are no lots.
    3. With `participation` no more than that share of the bar's volume is filled. The rest of a rebalancing or of an
       exit is filled at later opens (`volume`, or the exit's own reason); the rest of an entry with barriers is
       cancelled.
    4. Holding costs of the bar: days * (borrow * value held short + financing * negative cash), both after the fill
       at the open. A position that a barrier ends within the bar has paid for the whole bar.
    5. With barriers, between open and close: a long position whose bar's low is at or below the lower barrier is sold
       at the barrier (`stop`), else one whose high is at or above the upper barrier (`target`). At a later bar's
       open beyond a barrier it is sold at that open. A bar that touches both counts as a stop. After `horizon` bars it
       is sold at the close (`horizon`). Short positions are the mirror image. With `fills_at_next_open` the close alone
       is compared with the barriers and with the horizon, and the next open is the fill.
    6. At the close of a bar of `is_last` the position is closed, whatever the volume (`hole` or `end`).

    Prices are those of the bars; slippage is part of the cost. The sum over all fills of -units * price - cost, less
    the costs of holding, is the final equity less the capital.
    """
    account = _open_account(bars, targets, costs, capital, band, barriers)
    for bar in range(len(bars)):
        account.mark(bar)
        account.leave()
        account.enter()
        account.finish()
    return account.result()


def simulate_together(
    orders: Sequence[SymbolOrders], costs: FillCosts, max_gross: float, *, capital: float = 1.0, band: float = 0.0
) -> list[Simulation]:
    """Trade several symbols, each with an equal share of `capital`, under a limit for all of them together.

    Each account does what `simulate` says, but all of an instant go through a step before one goes on to the next. In
    step 2 the sum of all positions, long and short, is limited to `max_gross` times the sum of their equities before
    costs, each at its open, or at its last close where it has no bar at that instant: where it would be larger, all
    targets of the instant count for the same smaller share, and larger positions are reduced to it whatever the band.
    Positions of symbols without a bar at that instant stay, as do those between barriers, and use up their part of the
    limit.
    """
    share = capital / len(orders)
    accounts = [_open_account(each.bars, each.targets, costs, share, band, each.barriers) for each in orders]
    for turn in _turns(accounts, [each.bars for each in orders]):
        for account, bar in turn:
            account.mark(bar)
            account.leave()
        scale = _scale(accounts, turn, max_gross)
        for account, _ in turn:
            account.enter(scale)
            account.finish()
    return [account.result() for account in accounts]


def _open_account(
    bars: FillBars, targets: Floats, costs: FillCosts, capital: float, band: float, barriers: Barriers | None
) -> Account:
    if barriers is None:
        return Account(bars, targets, costs, capital, band)
    return BarrierAccount(bars, targets, costs, barriers, capital)


def _turns(accounts: Sequence[Account], bars: Sequence[FillBars]) -> Iterator[Turn]:
    instants = np.concatenate([each.opens for each in bars])
    owners = [account for account, own in zip(accounts, bars, strict=True) for _ in range(len(own))]
    rows = np.concatenate([np.arange(len(own)) for own in bars])
    order = np.argsort(instants, kind="stable")
    begins = np.flatnonzero(np.diff(instants[order])) + 1
    for places in np.split(order, begins):
        yield [(owners[place], int(rows[place])) for place in places.tolist()]


def _scale(accounts: Sequence[Account], turn: Turn, max_gross: float) -> float:
    """The share of what is asked for at one instant that the limit leaves."""
    demands = {id(account): value for account, _ in turn if (value := account.demand()) is not None}
    held = sum(abs(account.units * account.price) for account in accounts if id(account) not in demands)
    room = max_gross * sum(account.equity for account in accounts) - held
    asked = sum(demands.values())
    return 1.0 if asked <= max(0.0, room) else max(0.0, room / asked)
