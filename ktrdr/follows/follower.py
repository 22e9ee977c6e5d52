"""Appends a row for each bar that has closed since the last one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from ktrdr.errors import ConflictError, KtrdrError
from ktrdr.follows.bars_read import known_at
from ktrdr.follows.chain import Chain, StoredRow
from ktrdr.follows.closes import next_close
from ktrdr.follows.followed_model import FollowedModel
from ktrdr.follows.sources import StoredSource
from ktrdr.market.closings import closes_at
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.payloads.follows import ModelRow, PredictionRow
from ktrdr.saved_models.predict import closed_bars

Trouble = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _NewRow:
    """A row that is to be written.

    in_time_until: when the next bar can have closed; None where it has
    """

    row: PredictionRow
    in_time_until: datetime | None

    def written(self, at: datetime) -> PredictionRow:
        is_late = self.in_time_until is None or at >= self.in_time_until
        return self.row.model_copy(update={"written_at": at, "late": is_late})


@dataclass(slots=True)
class Follower:
    """Follows one model on some symbols.

    chain: open, and held by this process
    on_trouble: hears in a sentence what keeps a symbol from being predicted; the others go on
    last: closing instant of the last row of each symbol
    next_closes: when the bar after the newest one of each symbol closes
    """

    model: FollowedModel
    symbols: Sequence[str]
    source: StoredSource
    chain: Chain
    on_trouble: Trouble
    last: dict[str, datetime] = field(default_factory=dict)
    next_closes: dict[str, datetime] = field(default_factory=dict)

    def begin(self, now: datetime, see: Callable[[StoredRow], None], *, is_replay: bool = False) -> None:
        """Read the chain, and record the model where it is not the one of the last rows.

        `see` is called with each row that is there already. Raises ConflictError and StorageError.
        """
        model: ModelRow | None = None
        for stored in self.chain.read():
            if isinstance(stored.row, PredictionRow):
                self.last[stored.row.symbol] = stored.row.closes_at
            else:
                model = stored.row
            see(stored)
        if model and model.is_replay != is_replay:
            raise ConflictError(
                f"{self.chain.folder} holds rows that were {'replayed' if model.is_replay else 'made live'}",
                hint="live rows and replayed ones cannot be in one file: name another folder",
            )
        if model is None or model.fingerprint != self.model.fingerprint:
            self.chain.append([self.model.row(now, is_replay=is_replay)])

    def step(self, now: datetime, clock: Callable[[], datetime] | None = None) -> list[StoredRow]:
        """Append a row for each bar that has closed by `now` since the last one, in the order of their closes.

        At first the newest bar alone has one. A row is late unless it is of the newest bar, and the next one cannot
        have closed when it is written, which `clock` says, or else `now`. Raises StorageError when the rows cannot be
        written.
        """
        found = [new for symbol in self.symbols for new in self._new_rows(symbol, now)]
        if not found:
            return []
        written_at = clock() if clock else now
        rows = sorted((new.written(written_at) for new in found), key=lambda row: (row.closes_at, row.symbol))
        stored = self.chain.append(rows)
        self.last.update({row.symbol: row.closes_at for row in rows})
        return stored

    def _new_rows(self, symbol: str, now: datetime) -> Iterator[_NewRow]:
        strategy = self.model.strategy
        try:
            inputs = self.source.read(symbol)
            bars = known_at(strategy, closed_bars(strategy, inputs.bars, now))
            if not self._has_later_bars(symbol, bars):
                return
            count = self._count_new(symbol, bars)
            if count or symbol not in self.next_closes:
                self.next_closes[symbol] = next_close(strategy, symbol, bars, inputs.base)
            rows = self.model.predict(symbol, bars, count, now) if count else []
        except KtrdrError as error:
            self.on_trouble(f"{symbol}: {error.detail}")
            return
        newest = bars[strategy.timeframes[0]]["timestamp"][-1]
        for row in rows:
            yield _NewRow(row, self.next_closes[symbol] if row.opens_at == newest else None)

    def _has_later_bars(self, symbol: str, bars: SymbolBars) -> bool:
        """Whether a bar has closed that is of no part of the training."""
        frame, until = bars[self.model.strategy.timeframes[0]], self.model.trained_until
        if not frame.is_empty() and frame["timestamp"][-1] > until:
            return True
        self.on_trouble(f"{symbol}: no bar has closed since the training, which ends at {until:%Y-%m-%d %H:%M} UTC")
        return False

    def _count_new(self, symbol: str, bars: SymbolBars) -> int:
        """The newest bars that have no row yet; of those before the first row none ever gets one."""
        base = self.model.strategy.timeframes[0]
        if symbol not in self.last:
            return 1
        closes = closes_at(bars[base], base, self.model.strategy.calendar)
        return int((closes > np.datetime64(self.last[symbol].replace(tzinfo=None), "us")).sum())
