"""Days and weeks that close later than their date says, as shorter bars of the same market show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from ktrdr.market.alignment import Closes, find_early
from ktrdr.market.closings import closes_at
from ktrdr.market.quality.bars import as_instants, fault_at
from ktrdr.market.quality.formatting import times
from ktrdr.payloads.data import QualityFault
from ktrdr.timeframe import Timeframe


@dataclass(frozen=True, slots=True)
class ShorterBars:
    """Bars of a shorter timeframe of the same market."""

    frame: pl.DataFrame
    timeframe: Timeframe


def early_faults(frame: pl.DataFrame, timeframe: Timeframe, shorter: ShorterBars) -> Iterator[QualityFault]:
    """An instant that was cut to its date files a bar before it has closed: what is learned of it is look-ahead."""
    sound = frame.drop_nulls().unique("timestamp", keep="last").sort("timestamp")
    early = find_early(_closes(sound, timeframe), _closes(shorter.frame, shorter.timeframe))
    if early is None:
        return
    at = as_instants(sound["timestamp"])[early.rows]
    message = (
        f"the bars are filed early: they close {early.text} after they claim to, as the {shorter.timeframe} bars show: "
        f"{times(at, by_date=True)}; import them again with --replace, or load them with --replace"
    )
    yield fault_at("filed_early", "error", at, message, bars=len(at))


def _closes(frame: pl.DataFrame, timeframe: Timeframe) -> Closes:
    return Closes(closes_at(frame, timeframe), frame["close"].to_numpy())
