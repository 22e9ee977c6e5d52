from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrdr.market.bad_rows import Mending, mend
from ktrdr.market.bars import SCHEMA, check_bars
from ktrdr.market.store import BarStore
from tests.market.test_loading import Market, bring, weekdays

Row = tuple[float | None, float | None, float | None, float | None, float | None]

NAN, INF = float("nan"), float("inf")
RIGHT: Row = (10.0, 12.0, 9.0, 11.0, 100.0)


def bars(*rows: Row) -> pl.DataFrame:
    stamps = [datetime(2024, 1, day, tzinfo=UTC) for day in range(1, len(rows) + 1)]
    columns = zip(*rows, strict=True)
    return pl.DataFrame(
        {"timestamp": stamps, **dict(zip(list(SCHEMA)[1:], map(list, columns), strict=True))}, schema=SCHEMA
    )


@pytest.mark.parametrize(
    ("row", "mending", "mended"),
    [
        ((13.0, 12.0, 9.0, 11.0, 100.0), Mending(widened=1), (13.0, 13.0, 9.0, 11.0, 100.0)),
        ((10.0, 12.0, 9.0, 8.0, 100.0), Mending(widened=1), (10.0, 12.0, 8.0, 8.0, 100.0)),
        ((10.0, 9.0, 12.0, 11.0, 100.0), Mending(widened=1), (10.0, 12.0, 9.0, 11.0, 100.0)),
        ((10.0, 12.0, 9.0, 12.0 * (1 + 1e-15), 100.0), Mending(), (10.0, 12.0, 9.0, 12.0, 100.0)),
        ((10.0, None, 9.0, 11.0, 100.0), Mending(without_price=1), None),
        ((10.0, 12.0, 9.0, NAN, 100.0), Mending(without_price=1), None),
        ((10.0, INF, 9.0, 11.0, 100.0), Mending(without_price=1), None),
        ((0.0, 12.0, 9.0, 11.0, 100.0), Mending(not_positive=1), None),
        ((10.0, 12.0, -9.0, 11.0, 100.0), Mending(not_positive=1), None),
        ((10.0, 12.0, 9.0, 11.0, -1.0), Mending(bad_volume=1), None),
        ((10.0, 12.0, 9.0, 11.0, INF), Mending(bad_volume=1), None),
        ((10.0, 12.0, 9.0, 11.0, None), Mending(without_volume=1), (10.0, 12.0, 9.0, 11.0, 0.0)),
        ((10.0, 12.0, 9.0, 11.0, NAN), Mending(without_volume=1), (10.0, 12.0, 9.0, 11.0, 0.0)),
    ],
    ids=str,
)
def test_a_row_is_put_right_or_left_out_and_counted(row: Row, mending: Mending, mended: Row | None) -> None:
    frame, counts = mend(bars(RIGHT, row, RIGHT))

    assert counts == mending
    assert len(frame) == 3 - mending.left_out
    if mended is not None:
        assert frame.row(1)[1:] == pytest.approx(mended)


PRICE = st.one_of(st.none(), st.floats(width=32, allow_nan=True, allow_infinity=True))


@given(st.lists(st.tuples(PRICE, PRICE, PRICE, PRICE, PRICE), min_size=1, max_size=20))
def test_what_is_mended_passes_every_check(rows: list[Row]) -> None:
    frame, counts = mend(bars(*rows))

    check_bars(frame)
    assert len(frame) == len(rows) - counts.left_out


def test_a_note_counts_the_rows_of_all_pages_once(tmp_path: Path) -> None:
    week = weekdays(date(2024, 6, 3), date(2024, 6, 14))

    class Mended(Market):
        def pages(self, *arguments, **options):  # type: ignore[no-untyped-def]
            for page in super().pages(*arguments, **options):
                yield type(page)(page.frame, page.provider, page.through, "", Mending(widened=1, without_price=2))

    loaded = bring(BarStore(tmp_path), Mended(week, rows_a_page=5))

    assert loaded.note == "4 bars without prices left out; high or low widened to hold open and close in 2 bars"
