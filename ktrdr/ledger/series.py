"""What a look came to at each instant: its gains over the naive baselines, its timing, and its returns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ktrdr.evaluation.evaluated_rows import EvaluatedRows

Instants = NDArray[np.datetime64]
Singles = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class LookSeries:
    """Sums over the samples of each instant. Arrays are [instants] or, of the backtest, [periods].

    instants: closing instants (us, UTC) of the bars that samples end on, rising
    samples: number of samples at the instant
    gains: sum of the model's quality minus a naive baseline's, by the baseline's name
    agreement: sum of `ScoredRows.agreement`
    lag: instants over which values may be correlated, as `Sampling.lag`
    span: mean number of instants that a label spans, as `Sampling.span`
    periods: opening instants (us, UTC) of the backtest's periods; empty without a backtest
    returns: simple net returns of the backtest, period by period
    held: those of holding at the same time
    """

    instants: Instants
    samples: Singles
    gains: Mapping[str, Singles]
    agreement: Singles
    lag: int
    span: float
    periods: Instants
    returns: Singles
    held: Singles

    @classmethod
    def of(
        cls,
        rows: EvaluatedRows,
        closes_at: Instants,
        periods: Instants | None = None,
        returns: NDArray[np.float64] | None = None,
        held: NDArray[np.float64] | None = None,
    ) -> Self:
        """Of evaluated `rows`, whose bars close at `closes_at` [samples], and of the backtest of the same rows."""
        scored = rows.scored
        instants, places = np.unique(closes_at.astype("datetime64[us]"), return_inverse=True)

        def sums(values: NDArray[np.float64] | None) -> Singles:
            return np.bincount(places, weights=values, minlength=len(instants)).astype(np.float32)

        return cls(
            instants=instants,
            samples=sums(None),
            gains={name: sums(scored.quality - quality) for name, quality in scored.rivals.naive.items()},
            agreement=sums(scored.agreement),
            lag=scored.sampling.lag,
            span=scored.sampling.span,
            periods=np.empty(0, "datetime64[us]") if periods is None else periods.astype("datetime64[us]"),
            returns=np.empty(0, np.float32) if returns is None else returns.astype(np.float32),
            held=np.empty(0, np.float32) if held is None else held.astype(np.float32),
        )

    def header(self) -> str:
        """All but the arrays, as JSON."""
        return json.dumps({"gains": list(self.gains), "lag": self.lag, "span": self.span})

    def content(self) -> bytes:
        """The arrays of numbers, one after another."""
        arrays = [self.samples, *self.gains.values(), self.agreement, self.returns, self.held]
        return b"".join(np.ascontiguousarray(array, np.float32).tobytes() for array in arrays)

    @classmethod
    def parse(cls, header: str, content: bytes, instants: Instants, periods: Instants) -> Self:
        """What `header` and `content` came from. Raises ValueError, KeyError and TypeError where they do not agree."""
        described = json.loads(header)
        names, numbers = described["gains"], np.frombuffer(content, np.float32)
        if len(numbers) != (2 + len(names)) * len(instants) + 2 * len(periods):
            raise ValueError(f"it has {len(numbers)} numbers for {len(instants)} instants and {len(periods)} periods")
        gains, traded = np.split(numbers, [len(numbers) - 2 * len(periods)])
        table, (returns, held) = gains.reshape(-1, len(instants)), traded.reshape(2, -1)
        return cls(
            instants=instants,
            samples=table[0],
            gains=dict(zip(names, table[1:-1], strict=True)),
            agreement=table[-1],
            lag=described["lag"],
            span=described["span"],
            periods=periods,
            returns=returns,
            held=held,
        )
