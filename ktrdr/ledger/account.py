"""An account: all tries on the same bars, with their series on one axis of time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ktrdr.ledger.series import Instants, LookSeries, Singles
from ktrdr.payloads.looks import LedgerAccountDetail, Look, LookKind, Opening


@dataclass(frozen=True, slots=True, eq=False)
class AlignedSeries:
    """One value for each try and instant.

    instants: [instants], rising (us, UTC)
    look_ids: [tries], the look that stands for each try
    values: [instants, tries], float32; NaN where a try has no row
    """

    instants: Instants
    look_ids: tuple[str, ...]
    values: Singles


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """All looks that overlap with the bars of one look, or of one footprint.

    looks: every look, repetitions of the same inputs included, in the order in which they were opened
    tries: one look for each of the different inputs, in the order in which they were first opened: of those with a
        series the look that was asked for, or else the one with the most samples; without a series the last
    series: of those tries that have one, by the look's id
    openings: of sealed test rows among the bars, in order
    """

    looks: tuple[Look, ...]
    tries: tuple[Look, ...]
    series: Mapping[str, LookSeries]
    openings: tuple[Opening, ...] = ()

    @property
    def without_series(self) -> int:
        """Tries of which no series is stored: they are counted, and what they came to is not known."""
        return len(self.tries) - len(self.series)

    @property
    def baselines(self) -> tuple[str, ...]:
        """Names of the naive baselines of all series."""
        return tuple(dict.fromkeys(name for series in self.series.values() for name in series.gains))

    def samples(self) -> AlignedSeries:
        """Number of samples."""
        return self._aligned(lambda series: series.samples)

    def gains(self, baseline: str) -> AlignedSeries:
        """Sums of the gains over a naive baseline, of the tries that were compared with it."""
        return self._aligned(lambda series: series.gains[baseline], lambda series: baseline in series.gains)

    def agreement(self) -> AlignedSeries:
        """Sums of the agreement of predictions and outcomes, by which timing is tested."""
        return self._aligned(lambda series: series.agreement)

    def returns(self) -> AlignedSeries:
        """Net returns of the backtests, on the opening instants of their periods."""
        traded = {look_id: series for look_id, series in self.series.items() if len(series.periods)}
        return align({look_id: (series.periods, series.returns) for look_id, series in traded.items()})

    def _aligned(
        self, values: Callable[[LookSeries], Singles], has: Callable[[LookSeries], bool] = lambda _: True
    ) -> AlignedSeries:
        return align(
            {look_id: (series.instants, values(series)) for look_id, series in self.series.items() if has(series)}
        )


def describe(looks: Sequence[Look], bars: int, openings: Sequence[Opening]) -> LedgerAccountDetail:
    """An account in figures; `looks` are all of its looks, in order, and `bars` its different closing instants."""
    tries = distinct_tries(looks)
    return LedgerAccountDetail(
        account_id=looks[0].look_id,
        tries=len(tries),
        looks=len(looks),
        without_series=sum(not look.has_series for look in tries),
        bars=bars,
        timeframes=_distinct(look.timeframe for look in looks),
        symbols=_distinct(symbol for look in looks for symbol in look.symbols),
        strategies=_distinct(look.strategy_name for look in looks),
        first=min(look.first for look in looks),
        last=max(look.last for look in looks),
        first_opened_at=looks[0].opened_at,
        last_opened_at=looks[-1].opened_at,
        openings=tuple(openings),
        entries=tuple(looks),
    )


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def align(series: Mapping[str, tuple[Instants, Singles]]) -> AlignedSeries:
    """Set (instants, values) of each look, both [instants], on the axis of all instants."""
    instants = _union(own for own, _ in series.values())
    values = np.full((len(instants), len(series)), np.nan, np.float32)
    for column, (own, numbers) in enumerate(series.values()):
        values[np.searchsorted(instants, own), column] = numbers
    return AlignedSeries(instants, tuple(series), values)


def _union(axes: Iterable[Instants]) -> Instants:
    """The distinct instants of all axes, rising; equal axes, such as those of one search, cost nothing."""
    distinct = {axis.tobytes(): axis for axis in axes}
    return np.unique(np.concatenate([np.empty(0, "datetime64[us]"), *distinct.values()]))


def distinct_tries(looks: Sequence[Look], asked_for: str | None = None) -> tuple[Look, ...]:
    """One look for each of the different inputs, see `Account.tries`.

    A whole repeats what its folds have shown, so it is no other try; beside a whole other folds count as theirs.
    """
    beside_whole = any(look.look_id == asked_for and look.is_of_whole for look in looks)
    chosen: dict[str, Look] = {}
    for look in looks:
        if look.kind is LookKind.WHOLE and not beside_whole:
            continue
        inputs = look.whole_sha256 if beside_whole and look.whole_sha256 else look.inputs_sha256
        before = chosen.get(inputs)
        if before is None or _weight(look, asked_for) >= _weight(before, asked_for):
            chosen[inputs] = look
    return tuple(chosen.values())


def _weight(look: Look, asked_for: str | None) -> tuple[bool, bool, bool, int]:
    return (
        look.has_series,
        look.look_id == asked_for,
        look.kind is LookKind.WHOLE,
        look.samples if look.has_series else 0,
    )
