"""How positions are held, as far as that depends on the path of prices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ktrdr.payloads.trading_rules import Costs
from ktrdr.strategy.sections.labels import TripleBarrier

if TYPE_CHECKING:
    from ktrdr.strategy.spec import Strategy


@dataclass(frozen=True, slots=True)
class Holding:
    """Rules that the next position of an account depends on besides predictions.

    band: how far a position may be from its target, as a share of the account
    max_gross: largest sum of all symbols' positions, as a share of the capital; None where nothing can exceed it
    barriers: the label whose barriers end a position; None where another target does
    fills_at_next_open: whether a barrier is filled at the open after a close beyond it
    """

    band: float = 0.0
    max_gross: float | None = None
    barriers: TripleBarrier | None = None
    fills_at_next_open: bool = False

    @classmethod
    def of(cls, strategy: Strategy, symbols: int) -> Holding:
        rules, labels = strategy.positions, strategy.labels
        is_limited = symbols > 1 and rules.max_gross is not None and rules.max_gross < rules.max_symbol
        barriers = labels if rules.hold == "barrier" and isinstance(labels, TripleBarrier) else None
        return cls(
            0.0 if barriers else rules.band,
            rules.max_gross if is_limited else None,
            barriers,
            rules.barrier_fill == "next_open",
        )

    def depends_on_path(self, costs: Costs) -> bool:
        """Whether fills have to be simulated, because prices and costs decide what is traded."""
        return bool(
            self.band
            or self.max_gross is not None
            or self.barriers
            or costs.min_fee
            or costs.participation
            or costs.borrow_bps_per_day
            or costs.financing_bps_per_day
        )
