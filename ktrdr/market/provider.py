"""The port behind which every source of bars stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import polars as pl


@dataclass(frozen=True, slots=True)
class Fetched:
    """Bars in the schema, who served them, and what the reader should know about them."""

    frame: pl.DataFrame
    provider: str
    note: str = ""


class Provider(Protocol):
    """A source of bars.

    Thread safety: one instance may be used by several threads. State: none between calls.
    """

    @property
    def name(self) -> str: ...

    def fetch(
        self, symbol: str, timeframe: str, start: date | None, end: date | None, on_rows: Callable[[int], None]
    ) -> Fetched:
        """Closed bars from `start` to `end`, both inclusive, checked, at least one; None means as far as there are.

        `on_rows` hears the number of rows so far, from the calling thread.

        Raises:
            InputError: symbol, timeframe, dates or the file's rows cannot be right.
            ProviderError: the source does not have these bars, or did not deliver.
            ProviderUnreachable: the source cannot be reached at all.
        """
