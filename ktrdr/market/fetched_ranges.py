"""What a series' provider was asked for and has answered, so that it is not asked for the same nothing again.

It stands beside the bars, in `.<timeframe>.answered.json`. Losing it costs requests, never bars.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from ktrdr.files import write_atomically
from ktrdr.market.bars import folder_name
from ktrdr.market.ranges import Range, united
from ktrdr.market.series_file import SeriesInfo


def read_answered(root: Path, series: SeriesInfo) -> list[Range]:
    """Nothing where the file is missing or damaged, or the bars are not those that it was written beside."""
    try:
        about = json.loads(_path(root, series.symbol, series.timeframe).read_bytes())
        ranges = [(datetime.fromisoformat(since), datetime.fromisoformat(until)) for since, until in about["ranges"]]
        is_same = about["provider"] == series.provider and series.rows >= about["rows"]
        is_whole = series.first <= datetime.fromisoformat(about["first"]) and series.last >= datetime.fromisoformat(
            about["last"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return ranges if is_same and is_whole else []


def write_answered(root: Path, series: SeriesInfo, ranges: Iterable[Range]) -> None:
    about = {
        "provider": series.provider,
        "rows": series.rows,
        "first": series.first.isoformat(),
        "last": series.last.isoformat(),
        "ranges": [[since.isoformat(), until.isoformat()] for since, until in united(ranges)],
    }
    write_atomically(_path(root, series.symbol, series.timeframe), json.dumps(about).encode())


def _path(root: Path, symbol: str, timeframe: str) -> Path:
    return root / folder_name(symbol) / f".{timeframe}.answered.json"
